/** One look at all replicas, and waiting until they are as somebody wants them. */
import { pause } from '../../transport/pause.ts';
import type { ReadOnlyLook } from '../read-only-epoch.ts';
import type { StepContext } from '../saga/step.ts';
import { readClusterStatus } from './msr-cluster.ts';
import type { MsrConnection } from './msr-connection.ts';
import { isMsrError } from './msr-error.ts';
import { newestSwitch } from './msr-jobs.ts';
import { readSettings } from './msr-settings.ts';
import type { MsrPace } from './msr-site.ts';
import { type ReadOnlyEvidence, readOnlyEvidence } from './read-only-evidence.ts';

interface Looked {
  readonly look: ReadOnlyLook;
  readonly evidence: ReadOnlyEvidence;
}

export interface Patience {
  readonly msMax: number;
  readonly pollMs: number;
}

/** How long a step waits for replicas that restart one after the other. */
export function switchPatience(
  { pollMs, switchMsMax }: MsrPace,
  { isGlance }: Pick<StepContext, 'isGlance'>,
): Patience {
  return { pollMs, msMax: isGlance ? 0 : switchMsMax };
}

/** One that MSR does not answer has seen no replica. @throws MsrError for what will not pass by itself. */
export async function lookAtReplicas(msr: MsrConnection, signal: AbortSignal): Promise<Looked> {
  const beganMs = Date.now();
  const evidence = await evidenceNow(msr, signal);
  const replicas = Object.fromEntries([...evidence.replicas].map(([id, is]) => [id, { is }]));
  return { look: { beganMs, endedMs: Date.now(), replicas }, evidence };
}

/** With the last switch that was asked for, by whomever: what shows a writable moment between two looks. */
export async function lookAtEpoch(msr: MsrConnection, signal: AbortSignal): Promise<ReadOnlyLook> {
  const beganMs = Date.now();
  try {
    const lastSwitch = await newestSwitch(msr, signal);
    const { look } = await lookAtReplicas(msr, signal);
    return { ...look, beganMs, lastSwitch };
  } catch (error) {
    if (!isMsrError(error) || !error.details.isTransient) throw error;
    return { beganMs, endedMs: Date.now(), replicas: {} };
  }
}

/** Those that are configured: one that is down may come back, and take writes. */
export async function configuredReplicas(
  msr: MsrConnection,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return (await readSettings(msr, signal)).replicas;
}

/** Is a replica seen to take writes? One that does not answer is not seen to. */
export async function takesWrites(msr: MsrConnection, signal: AbortSignal): Promise<boolean> {
  try {
    const { evidence } = await lookAtReplicas(msr, signal);
    return evidence.is === 'writable';
  } catch (error) {
    if (isMsrError(error)) return false;
    throw error;
  }
}

/** Waits until every replica is shown to be so. @returns a sentence where that takes too long. */
export async function awaitReplicas(
  msr: MsrConnection,
  signal: AbortSignal,
  wanted: ReadOnlyEvidence['is'],
  patience: Patience,
): Promise<Looked | string> {
  let last: Looked | undefined;
  const late = await awaited(signal, patience, async () => {
    last = await lookAtReplicas(msr, signal);
    const states = [...last.evidence.replicas.values()];
    // Whoever wants it writable again wants that of every replica.
    if (states.length > 0 && states.every((state) => state === wanted)) return undefined;
    return last.evidence.reasons.join('; ') || 'every replica is read-only';
  });
  return late ?? last ?? 'nobody has looked';
}

/**
 * Looks again and again until there is nothing wrong any more. What fails for a reason that may pass is wrong for now.
 * @param wrong what is wrong, as a sentence; undefined: nothing.
 * @returns what was wrong at the end, undefined where all was well in time.
 */
export async function awaited(
  signal: AbortSignal,
  { msMax, pollMs }: Patience,
  wrong: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const untilMs = performance.now() + msMax;
  for (;;) {
    const found = await wrong().catch((error: unknown) => {
      if (isMsrError(error) && error.details.isTransient) return error.message;
      throw error;
    });
    if (found === undefined) return undefined;
    if (performance.now() + pollMs > untilMs) return `After ${Math.round(msMax / 1000)} s: ${found}`;
    await pause(pollMs, signal);
  }
}

async function evidenceNow(msr: MsrConnection, signal: AbortSignal): Promise<ReadOnlyEvidence> {
  try {
    const known = await configuredReplicas(msr, signal);
    return readOnlyEvidence(await readClusterStatus(msr, signal), known);
  } catch (error) {
    if (isMsrError(error) && error.details.isTransient) return readOnlyEvidence(undefined);
    throw error;
  }
}
