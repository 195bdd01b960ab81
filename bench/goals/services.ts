/** Goals for the other services: what a copy to them costs beside the same copy to S3, measured in the same run. */

import type { CellResult, Figures, Spread } from '../report/summarise.ts';
import { formatNumber } from '../report/text.ts';
import { SERVICES, type ServiceKind } from '../service-servers/kinds.ts';
import type { Goal } from './goal.ts';
import { type ServiceWorkload, type StepName, SERVICE_WORKLOADS as WORKLOADS } from './steps.ts';

const OWN = 'blobferry';
/** Without the service's checksum. */
const TIMES_MAX = 1.3;
/** With it. Swift knows MD5 alone, which takes as long as everything else together. */
const BOUND_TIMES_MAX: Readonly<Record<ServiceKind, number>> = { azure: 1.3, gcs: 1.3, swift: 3 };

export function serviceGoals(): readonly Goal[] {
  return SERVICES.flatMap((service) =>
    WORKLOADS.flatMap((workload) => [
      ratioGoal(service, workload, 'unbound'),
      ratioGoal(service, workload, 'bound'),
    ]),
  );
}

function ratioGoal(service: ServiceKind, workload: ServiceWorkload, way: 'bound' | 'unbound'): Goal {
  const step: StepName = way === 'bound' ? `${service}-${workload}` : `${service}-${workload}-unbound`;
  const timesMax = way === 'bound' ? BOUND_TIMES_MAX[service] : TIMES_MAX;
  const what = way === 'bound' ? 'with its checksum' : 'without';
  const [unit, target] = ['× S3', `≤ ${timesMax}`];
  return {
    name: way === 'bound' ? `${service}-${workload}-bound` : `${service}-${workload}`,
    steps: [workload, step],
    title: `CPU, ${workload} to ${service}, ${what}`,
    judge: ({ results }) => {
      const [toS3, toService] = [
        costOf(results.get(workload), workload),
        costOf(results.get(step), workload),
      ];
      if (toS3 === undefined || toService === undefined) return { unit, target, note: '' };
      const per = workload === 'small' ? 'ms/object' : 's/GiB';
      const note = `${formatNumber(toService)} ${per}, to S3 ${formatNumber(toS3)}`;
      if (toS3 <= 0 || toService <= 0) return { unit, target, note: `too few objects: ${note}` };
      const value = toService / toS3;
      return { value, unit, target, isReached: value <= timesMax, note };
    },
  };
}

function costOf(result: CellResult | undefined, workload: ServiceWorkload): number | undefined {
  const figures = result?.copiers.find(({ copier }) => copier === OWN)?.figures;
  return figures && spreadOf(figures, workload)?.median;
}

function spreadOf(
  { cpuMsPerObject, cpuSecondsPerGib }: Figures,
  workload: ServiceWorkload,
): Spread | undefined {
  return workload === 'small' ? cpuMsPerObject : cpuSecondsPerGib;
}
