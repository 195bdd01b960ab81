/** Lets the registry take writes again: the first one is on the new storage, and the old one lacks it from then on. */
import type { Effect, Step, StepContext } from '../../saga/step.ts';
import { awaitReplicas, lookAtReplicas, switchPatience } from '../look-at-replicas.ts';
import { requestReadOnly } from '../msr-settings.ts';
import type { MsrSite } from '../msr-site.ts';

/** @param back commands that bring the old storage back, as long as nothing was written to the new one. */
export function writable(
  site: Pick<MsrSite, 'msr' | 'pace' | 'byHand'>,
  back: (ctx: StepContext) => readonly string[],
): Step {
  const { msr, pace } = site;
  return {
    id: 'writable',
    title: 'End read-only: the registry takes writes on its new storage',
    changes: 'Pushes and deletes are let in again, and go to the new storage alone',
    kind: 'forward',
    check: async ({ signal }) => {
      const { evidence } = await lookAtReplicas(msr, signal);
      const states = [...evidence.replicas.values()];
      if (states.length > 0 && states.every((state) => state === 'writable')) return { is: 'done' };
      return evidence.is === 'read-only' ? { is: 'todo', isUntouched: true } : { is: 'todo' };
    },
    do: async ({ signal }) => requestReadOnly(msr, signal, false),
    effect: async (ctx): Promise<Effect> => {
      const looked = await awaitReplicas(msr, ctx.signal, 'writable', switchPatience(pace, ctx));
      return typeof looked === 'string'
        ? { is: 'missing', why: looked }
        : {
            is: 'shown',
            evidence: `replicas ${[...looked.evidence.replicas.keys()].join(', ')} take writes`,
          };
    },
    ways: (ctx) => ({ forward: [site.byHand.readOnly(false)], back: back(ctx) }),
  };
}
