/**
 * A restore should bring back a registry that is read-only, as it was when the backup was made, and a reconfigure should
 * leave it so. Whether they do is not documented: where they did not, it is made read-only again at once, and what was
 * pushed meanwhile is copied, too, where it went to the old storage.
 */
import type { Effect, Step, StepContext } from '../../saga/step.ts';
import { type EngineSite, engineCall, withDigests } from '../../steps/engine-steps.ts';
import { FINAL_PASS, keptDamage } from '../../steps/known-damage.ts';
import { demandGood } from '../../steps/live-passes.ts';
import { awaitReplicas, lookAtReplicas, switchPatience } from '../look-at-replicas.ts';
import { requestReadOnly } from '../msr-settings.ts';
import type { MsrSite } from '../msr-site.ts';
import { wasWritableBefore } from './restore.ts';

const AGAIN = 'read-only-again';
const CATCH_UP = 'catch-up';

/** Were tags moved and deleted, perhaps, since the backup that was restored? */
export function wasWritable(ctx: Pick<StepContext, 'memoryOf'>): boolean {
  const { memoryOf } = ctx;
  if (memoryOf(AGAIN).get('wasWritable') === true || wasWritableBefore(ctx)) return true;
  return Number(memoryOf(CATCH_UP).get('caughtUp') ?? 0) > 0;
}

/** @param back commands that bring the old storage back. */
export function readOnlyAgain(
  { msr, pace, byHand }: Pick<MsrSite, 'msr' | 'pace' | 'byHand'>,
  back: (ctx: StepContext) => readonly string[],
): Step {
  return {
    id: AGAIN,
    title: 'See that the registry came back read-only',
    changes: 'Where it came back writable: it is switched to read-only again',
    kind: 'forward',
    check: async ({ signal }) => {
      const { evidence } = await lookAtReplicas(msr, signal);
      return { is: evidence.is === 'read-only' ? 'done' : 'todo' };
    },
    do: async ({ signal, memory }) => {
      memory.keep('wasWritable', true);
      await requestReadOnly(msr, signal, true);
    },
    effect: async ({ signal, memory, isGlance }): Promise<Effect> => {
      const looked = await awaitReplicas(msr, signal, 'read-only', switchPatience(pace, { isGlance }));
      if (typeof looked === 'string') return { is: 'missing', why: looked };
      const how = memory.get('wasWritable') === true ? 'it was writable for a moment' : 'as it came back';
      return { is: 'shown', evidence: `every replica is read-only, ${how}` };
    },
    ways: (ctx) => ({ forward: [byHand.readOnly(true)], back: back(ctx) }),
  };
}

/**
 * Copies what may have been pushed to the old storage before the restored registry was read-only: always, as it may have
 * been writable while blobferry was away, and been made read-only by somebody else. Blobs are never removed.
 */
export function catchUp(site: EngineSite): Step {
  return {
    id: CATCH_UP,
    title: 'Copy what was pushed before the restored registry was read-only',
    changes:
      'Nothing of the registry; writes to the target, where the restored registry was writable for a moment',
    kind: 'read',
    check: async ({ memory }) => ({ is: memory.get('caughtUp') === undefined ? 'todo' : 'done' }),
    do: async (ctx) => {
      const { signal, memory, memoryOf } = ctx;
      // Ids that the second backup does not have are what it looks for: without digests each is compared with the source.
      // Only they tell what is damaged, which is left out once more.
      const digests = keptDamage(memoryOf(FINAL_PASS)).length > 0 ? withDigests(site, ctx) : {};
      const pass = await site.engine.runPass(engineCall(site, signal), { kind: 'live', ...digests });
      demandGood(pass, 'The pass after the restore');
      demandGood(await site.engine.verifyWritten(engineCall(site, signal), {}), 'Reading back what it wrote');
      memory.keep('caughtUp', pass.objectsChanged);
    },
    effect: async ({ memory }): Promise<Effect> => {
      const count = memory.get('caughtUp');
      if (count === undefined)
        return { is: 'missing', why: 'what was pushed meanwhile may not be in the target' };
      return { is: 'shown', evidence: `what was pushed meanwhile is in the target: ${count} objects` };
    },
  };
}
