/** The crons that were taken away: what was kept of them, and whether they are back. */
import type { Effect, StepMemory } from '../../saga/step.ts';
import type { ByHand } from '../by-hand.ts';
import type { MsrConnection } from '../msr-connection.ts';
import { type MsrCron, readCron } from '../msr-crons.ts';

/** As they were before they were removed; one that somebody made anew meanwhile is as that person wanted it. */
export function savedCrons(memory: Pick<StepMemory, 'get'>): readonly MsrCron[] {
  const saved = new Map<string, MsrCron>();
  for (let batch = 0; ; batch += 1) {
    const crons = memory.get(`crons-${batch}`) as unknown as readonly MsrCron[] | undefined;
    if (crons === undefined) return [...saved.values()];
    for (const cron of crons) saved.set(cron.action, cron);
  }
}

export async function areCronsBack(
  msr: MsrConnection,
  signal: AbortSignal,
  crons: readonly MsrCron[],
): Promise<Effect> {
  for (const { action, schedule, parameters } of crons) {
    const now = await readCron(msr, signal, action);
    if (now?.schedule === schedule) {
      if (sameParameters(now.parameters, parameters)) continue;
      return { is: 'missing', why: `the cron "${action}" has other parameters than it had` };
    }
    const is = now ? `has the schedule "${now.schedule}"` : 'is not there';
    return { is: 'missing', why: `the cron "${action}" ${is}, and was "${schedule}"` };
  }
  return { is: 'shown', evidence: 'the crons are as they were' };
}

/** They say what it does, and to what. */
function sameParameters(one: MsrCron['parameters'], other: MsrCron['parameters']): boolean {
  const sorted = (parameters: MsrCron['parameters']): string =>
    JSON.stringify(Object.entries(parameters ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
  return sorted(one) === sorted(other);
}

export function cronsByHand(byHand: ByHand, crons: readonly MsrCron[]): readonly string[] {
  return crons.map(({ id: _, capacityMap, parameters, ...cron }) =>
    byHand.call('POST', '/api/v0/crons', {
      json: { ...cron, ...(capacityMap ? { capacityMap } : {}), ...(parameters ? { parameters } : {}) },
    }),
  );
}

export function namesOf(crons: readonly MsrCron[]): string {
  return `${crons.length === 1 ? 'cron' : 'crons'} ${crons.map(({ action }) => `"${action}"`).join(', ')}`;
}
