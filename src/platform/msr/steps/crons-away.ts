/** Takes away the crons that write to the registry or delete from it, and puts them back as they were. */
import type { Json } from '../../saga/saga-log.ts';
import type { Effect, Step, StepMemory } from '../../saga/step.ts';
import type { MsrConnection } from '../msr-connection.ts';
import { changesRegistry, deleteCron, listCrons, type MsrCron, putCron, readCron } from '../msr-crons.ts';

export function cronsAway(msr: MsrConnection): Step {
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
    undone: async ({ signal, memory }): Promise<Effect> => {
      for (const { action, schedule } of savedCrons(memory)) {
        const now = await readCron(msr, signal, action);
        if (now?.schedule === schedule) continue;
        const is = now ? `has the schedule "${now.schedule}"` : 'is not there';
        return { is: 'missing', why: `the cron "${action}" ${is}, and was "${schedule}"` };
      }
      return { is: 'shown', evidence: 'the crons are as they were' };
    },
    ways: ({ memory }) => ({
      forward: [],
      back: savedCrons(memory).map(
        ({ action, schedule }) =>
          `Under System > Garbage Collection, or by POST ${msr.name}/api/v0/crons: ${JSON.stringify({ action, schedule })}`,
      ),
    }),
  };
}

/** As they were before they were removed; one that somebody made anew meanwhile is as that person wanted it. */
function savedCrons(memory: Pick<StepMemory, 'get'>): readonly MsrCron[] {
  const saved = new Map<string, MsrCron>();
  for (let batch = 0; ; batch += 1) {
    const crons = memory.get(`crons-${batch}`) as unknown as readonly MsrCron[] | undefined;
    if (crons === undefined) return [...saved.values()];
    for (const cron of crons) saved.set(cron.action, cron);
  }
}

/** A batch for each time: one that somebody made meanwhile is as much to be put back as the first ones. */
function keepBatch(memory: StepMemory, crons: readonly MsrCron[]): void {
  let batch = 0;
  while (memory.get(`crons-${batch}`) !== undefined) batch += 1;
  memory.keepFirst(`crons-${batch}`, crons as unknown as Json);
}

function namesOf(crons: readonly MsrCron[]): string {
  return `${crons.length === 1 ? 'cron' : 'crons'} ${crons.map(({ action }) => `"${action}"`).join(', ')}`;
}
