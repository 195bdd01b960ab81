/** What cells are called where people read. */
import { formatBytes, formatCount } from '../../src/cli/units.ts';
import type { Cell, Route, Scheme } from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';
import { describeCondition } from '../run/conditions.ts';

const ROUTE_NAMES: Readonly<Record<Route, string>> = {
  's3-s3': 'bucket to bucket',
  'fs-s3': 'files to bucket',
  's3-fs': 'bucket to files',
  's3-azure': 'bucket to Azure',
  's3-gcs': 'bucket to Cloud Storage',
  's3-swift': 'bucket to Swift',
  'azure-s3': 'Azure to bucket',
  'gcs-s3': 'Cloud Storage to bucket',
  'swift-s3': 'Swift to bucket',
};

export function workloadName({ workload }: Pick<Cell, 'workload'>, parameters: Parameters): string {
  switch (workload) {
    case 'small':
      return `${formatCount(parameters.small)} manifests and links`;
    case 'medium':
      return `${formatCount(parameters.medium)} × ${formatBytes(parameters.mediumBytes)}`;
    case 'large':
      return `${formatCount(parameters.large)} × ${formatBytes(parameters.largeBytes)}`;
    case 'mixed':
      return `${formatCount(parameters.mixed)} layers of all sizes`;
    case 'listing':
      return `${formatCount(parameters.listing)} keys, nothing to copy`;
  }
}

export function workloadDetail({ workload }: Pick<Cell, 'workload'>, parameters: Parameters): string {
  switch (workload) {
    case 'small':
      return 'half manifests of 1 to 5 KiB, half the links that name them';
    case 'medium':
    case 'large':
      return 'incompressible blobs under their digests';
    case 'mixed':
      return `log-normal sizes around ${formatBytes(parameters.mixedMedianBytes)} (σ ${parameters.mixedSigma}), and a tail of ${parameters.mixedTail} × ${formatBytes(parameters.mixedTailBytes)}`;
    case 'listing':
      return 'both sides hold them all already';
  }
}

export function wayName({ route, scheme }: { readonly route: Route; readonly scheme: Scheme }): string {
  return `${ROUTE_NAMES[route]}, ${scheme}`;
}

export function conditionName({ condition }: Pick<Cell, 'condition'>, parameters: Parameters): string {
  return describeCondition(condition, parameters);
}
