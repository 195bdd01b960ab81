/** Puts the crons back that were taken away at the beginning. */
import type { Step } from '../../saga/step.ts';
import { putCron } from '../msr-crons.ts';
import type { MsrSite } from '../msr-site.ts';
import { areCronsBack, cronsByHand, savedCrons } from './saved-crons.ts';

export function cronsBack({ msr, byHand }: Pick<MsrSite, 'msr' | 'byHand'>): Step {
  return {
    id: 'crons-back',
    title: 'Put the crons back',
    changes: 'Garbage collection, tag pruning and mirroring run by the clock again, as before',
    // What they start removes and writes: there is no way back behind them.
    kind: 'forward',
    check: async ({ signal, memoryOf }) => {
      const back = await areCronsBack(msr, signal, savedCrons(memoryOf('crons-away')));
      return { is: back.is === 'shown' ? 'done' : 'todo' };
    },
    do: async ({ signal, memoryOf }) => {
      for (const cron of savedCrons(memoryOf('crons-away'))) await putCron(msr, signal, cron);
    },
    effect: ({ signal, memoryOf }) => areCronsBack(msr, signal, savedCrons(memoryOf('crons-away'))),
    ways: ({ memoryOf }) => ({ forward: cronsByHand(byHand, savedCrons(memoryOf('crons-away'))), back: [] }),
  };
}
