/** What is run for the goals: cells of the bench, each with its own size, as few as all goals together need. */
import type { SetName } from '../data/data-set.ts';
import type { Cell, Condition } from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';
import { SERVICES, type ServiceKind } from '../service-servers/kinds.ts';

export const SERVICE_WORKLOADS = ['small', 'medium', 'large'] as const;
export type ServiceWorkload = (typeof SERVICE_WORKLOADS)[number];
type ServiceStep = `${ServiceKind}-${ServiceWorkload}${'' | '-unbound'}`;

const OWN_STEPS = [
  'small',
  'medium',
  'large',
  'large-put',
  'large-old',
  'large-tls',
  'files',
  'listing',
  'slow-small',
  'slow-large',
  'limited',
  'limited-silent',
] as const;
const SERVICE_STEPS: readonly ServiceStep[] = SERVICE_WORKLOADS.flatMap((workload) =>
  SERVICES.flatMap((service): readonly ServiceStep[] => [
    `${service}-${workload}`,
    `${service}-${workload}-unbound`,
  ]),
);

export type StepName = (typeof OWN_STEPS)[number] | ServiceStep;
export const STEPS: readonly StepName[] = [...OWN_STEPS, ...SERVICE_STEPS];

export interface Step {
  readonly cell: Cell;
  /** Peers are measured as well, by the whole workload alone. */
  readonly hasPeers: boolean;
  readonly sets: readonly SetName[];
  parametersOf(given: Parameters): Parameters;
}

const BOTH: readonly SetName[] = ['half', 'full'];
const WHOLE: readonly SetName[] = ['full'];

function bucketToBucket(workload: Cell['workload'], condition: Condition = 'loopback'): Cell {
  return { workload, route: 's3-s3', scheme: 'http', condition };
}

function step(cell: Cell, more: Partial<Step> = {}): Step {
  return { cell, hasPeers: false, sets: BOTH, parametersOf: (given) => given, ...more };
}

const once = (given: Parameters): Parameters => ({ ...given, repeat: 1 });

/** As many objects as the limit lets pass in that time. */
const limited = (given: Parameters): Parameters => ({
  ...once(given),
  small: 2 * Math.ceil((given.limitPerSecond * given.limitedSeconds) / 2),
});

/** From a bucket; no peers, whose way to other services is not what this is about. */
const serviceSteps = Object.fromEntries(
  SERVICE_WORKLOADS.flatMap((workload) =>
    SERVICES.flatMap((service) => {
      const cell = { workload, route: `s3-${service}`, scheme: 'http', condition: 'loopback' } as const;
      return [
        [`${service}-${workload}`, step(cell)],
        [`${service}-${workload}-unbound`, step({ ...cell, condition: 'unbound' })],
      ];
    }),
  ),
) as Readonly<Record<ServiceStep, Step>>;

export const STEP_PLANS: Readonly<Record<StepName, Step>> = {
  ...serviceSteps,
  small: step(bucketToBucket('small'), { hasPeers: true }),
  medium: step(bucketToBucket('medium'), { hasPeers: true }),
  large: step(bucketToBucket('large'), { hasPeers: true }),
  'large-put': step(bucketToBucket('large', 'one-put')),
  'large-old': step(bucketToBucket('large', 'old-target')),
  'large-tls': step({ ...bucketToBucket('large'), scheme: 'https' }),
  files: step({ ...bucketToBucket('small'), route: 'fs-s3' }),
  listing: step(bucketToBucket('listing'), { sets: WHOLE, parametersOf: once }),
  'slow-small': step(bucketToBucket('small', 'slow'), { parametersOf: once }),
  'slow-large': step(bucketToBucket('large', 'slow'), { parametersOf: once }),
  limited: step(bucketToBucket('small', 'limited'), { sets: WHOLE, parametersOf: limited }),
  'limited-silent': step(bucketToBucket('small', 'limited-silent'), { sets: WHOLE, parametersOf: limited }),
};
