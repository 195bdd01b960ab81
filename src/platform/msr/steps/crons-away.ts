/** Takes away the crons that write to the registry or delete from it, and puts them back as they were. */
import type { Json } from '../../saga/saga-log.ts';
import type { Effect, Step, StepMemory } from '../../saga/step.ts';
import { changesRegistry, deleteCron, listCrons, type MsrCron, putCron } from '../msr-crons.ts';
import type { MsrSite } from '../msr-site.ts';
import { NotBegun } from './not-begun.ts';
import { areCronsBack, cronsByHand, namesOf, savedCrons } from './saved-crons.ts';

export function cronsAway({ msr, byHand }: Pick<MsrSite, 'msr' | 'byHand'>): Step {
  const writers = async (signal: AbortSignal): Promise<readonly MsrCron[]> =>
    (await listCrons(msr, signal)).filter(({ action }) => changesRegistry(action));
  return {
    id: 'crons-away',
    title: 'Take away the crons of garbage collection, tag pruning and mirroring',
    changes:
      'Removes these crons from MSR and keeps them in the journal; they are put back at the end or by an undo',
    kind: 'reversible',
    check: async ({ signal }) => ({ is: (await writers(signal)).length === 0 ? 'done' : 'todo' }),
    do: async ({ signal, memory }) => {
      const found = await writers(signal);
      demandOneEach(found);
      // Before the first one goes: what is not kept then cannot be put back.
      keepBatch(memory, found);
      for (const cron of found) await deleteCron(msr, signal, cron);
    },
    effect: async ({ signal, memory }): Promise<Effect> => {
      const left = await writers(signal);
      if (left.length > 0) return { is: 'missing', why: `MSR still has the ${namesOf(left)}` };
      const gone = savedCrons(memory);
      return {
        is: 'shown',
        evidence: gone.length === 0 ? 'there are none' : `MSR has no ${namesOf(gone)} any more`,
      };
    },
    undo: async ({ signal, memory }) => {
      for (const cron of savedCrons(memory)) await putCron(msr, signal, cron);
    },
    undone: ({ signal, memory }) => areCronsBack(msr, signal, savedCrons(memory)),
    ways: ({ memory }) => ({ forward: [], back: cronsByHand(byHand, savedCrons(memory)) }),
  };
}

/** They are put back by their action: of two with the same one would be lost. @throws NotBegun */
function demandOneEach(crons: readonly MsrCron[]): void {
  const twice = crons.find(({ action }, at) => crons.findIndex((cron) => cron.action === action) < at);
  if (!twice) return;
  throw new NotBegun(`MSR has several crons "${twice.action}", of which only one could be put back`, {
    hint: 'Remove all but one of them under System in the web interface of MSR, then run the same migration again',
  });
}

/** A batch for each time: one that somebody made meanwhile is as much to be put back as the first ones. */
function keepBatch(memory: StepMemory, crons: readonly MsrCron[]): void {
  let batch = 0;
  while (memory.get(`crons-${batch}`) !== undefined) batch += 1;
  memory.keepFirst(`crons-${batch}`, crons as unknown as Json);
}
