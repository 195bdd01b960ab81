/** What a run's counters came to, by name: one run is compared with another by it. */
import { CLASSES, type CounterReader, GAUGES, OBJECT_STATES } from '../../../src/core/counters.ts';

export function figures(counters: CounterReader): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const state of OBJECT_STATES) {
    for (const objectClass of CLASSES) {
      found[`${state} ${objectClass}`] = counters.objects(state, objectClass);
      found[`bytes ${state} ${objectClass}`] = counters.bytes(state, objectClass);
    }
  }
  for (const name of ['unproved', 'leftOut', 'listedSource'] as const) found[name] = counters.count(name);
  for (const name of GAUGES) if (name !== 'slabBytesUsed') found[name] = counters.gauge(name);
  return found;
}
