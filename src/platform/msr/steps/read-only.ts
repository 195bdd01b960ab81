/** Switches the registry to read-only, and watches over the epoch that begins when every replica is shown to be. */
import { pause } from '../../../transport/pause.ts';
import { afterLook, type Epoch, openEpoch } from '../../read-only-epoch.ts';
import type { Json } from '../../saga/saga-log.ts';
import type { Effect, Held, Step, StepContext } from '../../saga/step.ts';
import {
  awaitReplicas,
  configuredReplicas,
  lookAtEpoch,
  lookAtReplicas,
  type Patience,
  switchPatience,
} from '../look-at-replicas.ts';
import { clusterProblems, readClusterStatus } from '../msr-cluster.ts';
import type { MsrConnection } from '../msr-connection.ts';
import { requestReadOnly } from '../msr-settings.ts';
import type { MsrPace, MsrSite } from '../msr-site.ts';
import type { GetAccess } from '../pull/http-get.ts';
import { probeWrites, type WriteProbe } from '../write-probe.ts';
import { READ_ONLY } from './step-ids.ts';
import { isSwitched } from './switch-storage.ts';

const HINT =
  'Look at the newest job ro_registry of MSR and at its replicas, or wait longer with readOnlyMax; then run the same migration again';

export function readOnlyStep(site: Pick<MsrSite, 'msr' | 'pace' | 'byHand'>, access: GetAccess): Step {
  const { msr, pace } = site;
  return {
    id: READ_ONLY,
    title: 'Switch the registry to read-only',
    changes: 'Pushes and deletes are refused from now on; replicas restart one after the other',
    kind: 'reversible',
    check: async (ctx) => {
      const problems = await problemsThatStay(msr, ctx, switchPatience(pace, ctx));
      if (problems.length > 0)
        return { is: 'blocked', why: problems.join('; '), hint: 'Mend the cluster first' };
      const { evidence } = await lookAtReplicas(msr, ctx.signal);
      return { is: evidence.is === 'read-only' ? 'done' : 'todo' };
    },
    do: async ({ signal }) => requestReadOnly(msr, signal, true),
    effect: async (ctx): Promise<Effect> => {
      const looked = await awaitReplicas(msr, ctx.signal, 'read-only', switchPatience(pace, ctx));
      if (typeof looked === 'string') return { is: 'missing', why: looked, hint: HINT };
      const epoch = openEpoch(await lookAtEpoch(msr, ctx.signal));
      if (typeof epoch === 'string') return { is: 'missing', why: epoch };
      const replicas = Object.keys(epoch.replicas);
      const push = await probeWrites(msr, ctx.signal, access, replicas.length);
      if (push.is === 'accepted') {
        const why = 'A push was let in, although every replica is said to be read-only';
        return { is: 'missing', why, hint: HINT };
      }
      ctx.memory.keep('epoch', epoch as unknown as Json);
      const since = new Date(epoch.beganMs).toISOString();
      return {
        is: 'shown',
        evidence: `read-only on replicas ${replicas.join(', ')} since ${since}; ${pushText(push)}`,
      };
    },
    held: async (ctx): Promise<Held> => {
      if (isSwitched(ctx)) return { is: 'held' };
      const epoch = await watchEpoch(msr, ctx, pace);
      return epoch.broke ? { is: epoch.broke.is, why: epoch.broke.why } : { is: 'held' };
    },
    undo: async ({ signal }) => requestReadOnly(msr, signal, false),
    undone: async (ctx): Promise<Effect> => {
      const looked = await awaitReplicas(msr, ctx.signal, 'writable', switchPatience(pace, ctx));
      return typeof looked === 'string'
        ? { is: 'missing', why: looked }
        : { is: 'shown', evidence: 'every replica takes writes' };
    },
    ways: () => ({ forward: [], back: [site.byHand.readOnly(false)] }),
  };
}

function pushText(push: Exclude<WriteProbe, { readonly is: 'accepted' }>): string {
  return push.is === 'refused'
    ? 'a push that was tried was refused'
    : `whether pushes are refused could not be tried: ${push.why}`;
}

/**
 * Looks, and keeps what that makes of the epoch: for whatever rests on it, again and again while it works. A look that sees
 * nothing is tried again as long as the epoch may go unwatched.
 */
async function watchEpoch(msr: MsrConnection, ctx: StepContext, pace: MsrPace): Promise<Epoch> {
  const before = ctx.memory.get('epoch') as unknown as Epoch;
  for (;;) {
    const seen = await lookAtEpoch(msr, ctx.signal);
    const isBlind = Object.keys(seen.replicas).length === 0;
    if (isBlind && seen.endedMs - before.seenMs <= pace.gapMsMax) {
      await pause(pace.pollMs, ctx.signal);
      continue;
    }
    const epoch = afterLook(before, seen, pace);
    ctx.memory.keep('epoch', epoch as unknown as Json);
    return epoch;
  }
}

/** A replica that restarts is not well for a while. */
async function problemsThatStay(
  msr: MsrConnection,
  ctx: StepContext,
  { msMax, pollMs }: Patience,
): Promise<readonly string[]> {
  const untilMs = performance.now() + msMax;
  for (;;) {
    const known = await configuredReplicas(msr, ctx.signal);
    const problems = clusterProblems(await readClusterStatus(msr, ctx.signal), known);
    if (problems.length === 0 || performance.now() + pollMs > untilMs) return problems;
    await pause(pollMs, ctx.signal);
  }
}
