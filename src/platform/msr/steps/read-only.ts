/** Switches the registry to read-only, and watches over the epoch that begins when every replica is shown to be. */
import { pause } from '../../../transport/pause.ts';
import { afterLook, type Epoch, openEpoch, type ReadOnlyLook } from '../../read-only-epoch.ts';
import type { Json } from '../../saga/saga-log.ts';
import type { Effect, Held, Step, StepContext } from '../../saga/step.ts';
import { clusterProblems, readClusterStatus } from '../msr-cluster.ts';
import type { MsrConnection } from '../msr-connection.ts';
import { isMsrError } from '../msr-error.ts';
import { readSettings, requestReadOnly } from '../msr-settings.ts';
import { type ReadOnlyEvidence, readOnlyEvidence } from '../read-only-evidence.ts';

export interface ReadOnlyOptions {
  /** How long all replicas may take to restart, one after the other. */
  readonly switchMsMax: number;
  /** Between two looks. */
  readonly pollMs: number;
  /** A longer time without a look breaks the epoch, as nothing shows what was so meanwhile. */
  readonly gapMsMax: number;
}

export function readOnlyStep(msr: MsrConnection, options: ReadOnlyOptions): Step {
  const turned = async (ctx: StepContext, wanted: ReadOnlyEvidence['is']): Promise<Looked | string> => {
    const untilMs = performance.now() + options.switchMsMax;
    for (;;) {
      const looked = await look(msr, ctx);
      const { evidence } = looked;
      // Whoever wants it writable again wants that of every replica.
      const states = [...evidence.replicas.values()];
      if (states.length > 0 && states.every((state) => state === wanted)) return looked;
      if (performance.now() + options.pollMs > untilMs) {
        const found = evidence.reasons.join('; ') || 'every replica is read-only';
        return `After ${Math.round(options.switchMsMax / 1000)} s: ${found}`;
      }
      await pause(options.pollMs, ctx.signal);
    }
  };
  return {
    id: 'read-only',
    title: 'Switch the registry to read-only',
    changes: 'Pushes and deletes are refused from now on; replicas restart one after the other',
    kind: 'reversible',
    check: async (ctx) => {
      const problems = await problemsThatStay(msr, ctx, options);
      if (problems.length > 0)
        return { is: 'blocked', why: problems.join('; '), hint: 'Mend the cluster first' };
      const { evidence } = await look(msr, ctx);
      return { is: evidence.is === 'read-only' ? 'done' : 'todo' };
    },
    do: async ({ signal }) => requestReadOnly(msr, signal, true),
    effect: async (ctx): Promise<Effect> => {
      const looked = await turned(ctx, 'read-only');
      if (typeof looked === 'string') return { is: 'missing', why: looked };
      const epoch = openEpoch(looked.look);
      if (typeof epoch === 'string') return { is: 'missing', why: epoch };
      ctx.memory.keep('epoch', epoch as unknown as Json);
      const replicas = Object.keys(epoch.replicas).join(', ');
      return {
        is: 'shown',
        evidence: `read-only on replicas ${replicas} since ${new Date(epoch.beganMs).toISOString()}`,
      };
    },
    held: async (ctx): Promise<Held> => {
      const epoch = await watchEpoch(msr, ctx, options);
      return epoch.broke ? { is: epoch.broke.is, why: epoch.broke.why } : { is: 'held' };
    },
    undo: async ({ signal }) => requestReadOnly(msr, signal, false),
    undone: async (ctx): Promise<Effect> => {
      const looked = await turned(ctx, 'writable');
      return typeof looked === 'string'
        ? { is: 'missing', why: looked }
        : { is: 'shown', evidence: 'every replica takes writes' };
    },
    ways: () => ({ forward: [], back: [byHand(msr, false)] }),
  };
}

/**
 * Looks, and keeps what that makes of the epoch: for whatever rests on it, again and again while it works. A look that sees
 * nothing is tried again as long as the epoch may go unwatched.
 */
async function watchEpoch(msr: MsrConnection, ctx: StepContext, options: ReadOnlyOptions): Promise<Epoch> {
  const before = ctx.memory.get('epoch') as unknown as Epoch;
  for (;;) {
    const { look: seen } = await look(msr, ctx);
    const isBlind = Object.keys(seen.replicas).length === 0;
    if (isBlind && seen.endedMs - before.seenMs <= options.gapMsMax) {
      await pause(options.pollMs, ctx.signal);
      continue;
    }
    const epoch = afterLook(before, seen, options);
    ctx.memory.keep('epoch', epoch as unknown as Json);
    return epoch;
  }
}

/** A replica that restarts is not well for a while. */
async function problemsThatStay(
  msr: MsrConnection,
  ctx: StepContext,
  { switchMsMax, pollMs }: ReadOnlyOptions,
): Promise<readonly string[]> {
  const untilMs = performance.now() + switchMsMax;
  for (;;) {
    const known = await replicasOf(msr, ctx);
    const problems = clusterProblems(await readClusterStatus(msr, ctx.signal), known);
    if (problems.length === 0 || performance.now() + pollMs > untilMs) return problems;
    await pause(pollMs, ctx.signal);
  }
}

interface Looked {
  readonly look: ReadOnlyLook;
  readonly evidence: ReadOnlyEvidence;
}

/** One that MSR does not answer has seen no replica. */
async function look(msr: MsrConnection, ctx: StepContext): Promise<Looked> {
  const beganMs = Date.now();
  const evidence = await evidenceNow(msr, ctx);
  const replicas = Object.fromEntries([...evidence.replicas].map(([id, is]) => [id, { is }]));
  return { look: { beganMs, endedMs: Date.now(), replicas }, evidence };
}

async function evidenceNow(msr: MsrConnection, ctx: StepContext): Promise<ReadOnlyEvidence> {
  try {
    const known = await replicasOf(msr, ctx);
    return readOnlyEvidence(await readClusterStatus(msr, ctx.signal), known);
  } catch (error) {
    if (isMsrError(error) && error.details.isTransient) return readOnlyEvidence(undefined);
    throw error;
  }
}

/** Those that are configured: one that is down may come back, and take writes. */
async function replicasOf(msr: MsrConnection, { signal }: StepContext): Promise<readonly string[]> {
  return (await readSettings(msr, signal)).replicas;
}

function byHand(msr: MsrConnection, isReadOnly: boolean): string {
  const body = JSON.stringify({ readOnlyRegistry: isReadOnly });
  return `curl -u USER:TOKEN -X POST ${msr.name}/api/v0/meta/settings -H 'content-type: application/json' -d '${body}'`;
}
