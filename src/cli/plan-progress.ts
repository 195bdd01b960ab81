/** What a running plan tells a progress display. */
import type { PlanProgress } from '../plan/plan-run.ts';
import type { ProgressReading } from './progress.ts';

export function planReading(progress: PlanProgress | undefined): ProgressReading {
  const { phase = 'listing', objectsListed = 0, bytesListed = 0 } = progress ?? {};
  const { shardsDone = 0, shards = 0 } = progress ?? {};
  return {
    phase,
    objectsDone: objectsListed,
    objectsKnown: objectsListed,
    bytesDone: bytesListed,
    errors: 0,
    phaseObjects: phase === 'listing' ? objectsListed : 0,
    phaseBytes: phase === 'listing' ? bytesListed : 0,
    ...(phase === 'listing' && shards > 0 && shardsDone > 0 ? { share: shardsDone / shards } : {}),
  };
}
