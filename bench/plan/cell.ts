/** What is measured: each cell of workloads × routes × schemes × conditions, by name. */
import { SERVICES, type ServiceKind } from '../service-servers/kinds.ts';

export const WORKLOADS = ['small', 'medium', 'large', 'mixed', 'listing'] as const;
export type WorkloadName = (typeof WORKLOADS)[number];

export const ROUTES = [
  's3-s3',
  'fs-s3',
  's3-fs',
  's3-azure',
  's3-gcs',
  's3-swift',
  'azure-s3',
  'gcs-s3',
  'swift-s3',
] as const;
export type Route = (typeof ROUTES)[number];

export type StorageKind = 's3' | 'fs' | ServiceKind;

export function sourceOf(route: Route): StorageKind {
  return route.split('-')[0] as StorageKind;
}

export function targetOf(route: Route): StorageKind {
  return route.split('-')[1] as StorageKind;
}

export function isService(kind: StorageKind): kind is ServiceKind {
  return (SERVICES as readonly string[]).includes(kind);
}

export function hasService(route: Route): boolean {
  return isService(sourceOf(route)) || isService(targetOf(route));
}

export const SCHEMES = ['http', 'https'] as const;
export type Scheme = (typeof SCHEMES)[number];

export const CONDITIONS = [
  'loopback',
  'slow',
  'refused',
  'limited',
  'limited-silent',
  'old-target',
  'one-put',
  'unbound',
] as const;
export type Condition = (typeof CONDITIONS)[number];

export interface Cell {
  readonly workload: WorkloadName;
  readonly route: Route;
  readonly scheme: Scheme;
  readonly condition: Condition;
}

export interface PlannedCell extends Cell {
  /** `small/s3-s3/http/loopback` */
  readonly id: string;
  /** Runs when nothing is said about cells. */
  readonly isDefault: boolean;
}

export function cellId({ workload, route, scheme, condition }: Cell): string {
  return `${workload}/${route}/${scheme}/${condition}`;
}

/**
 * The whole product takes a day. By default runs what answers most questions: every workload from bucket to bucket, the
 * three basic ones on every route, TLS, and the two worse networks where they matter most.
 */
const DEFAULTS: readonly string[] = [
  '*/s3-s3/http/loopback',
  'small/*/http/loopback',
  'medium/*/http/loopback',
  'large/*/http/loopback',
  'small/s3-s3/https/loopback',
  'medium/s3-s3/https/loopback',
  'large/s3-s3/https/loopback',
  'small/s3-s3/http/slow',
  'medium/s3-s3/http/slow',
  'small/s3-s3/http/refused',
  'medium/s3-s3/http/refused',
  'small/s3-s3/http/limited*',
  'large/s3-s3/http/old-target',
  'large/s3-s3/http/one-put',
  'medium/s3-*/http/unbound',
  'small/*-s3/http/loopback',
];

/** Each workload once, and between them every route and scheme; the conditions that are missing are those of the goals. */
const QUICK_DEFAULTS: readonly string[] = [
  'small/s3-s3/http/loopback',
  'medium/fs-s3/http/refused',
  'large/s3-s3/https/loopback',
  'mixed/s3-fs/http/slow',
  'listing/s3-s3/http/loopback',
  'small/s3-azure/http/loopback',
  'large/s3-gcs/http/unbound',
  'medium/s3-swift/http/loopback',
  'small/azure-s3/http/loopback',
  'small/gcs-s3/http/loopback',
  'small/swift-s3/http/loopback',
];

export function allCells(isQuick: boolean): readonly PlannedCell[] {
  const defaults = isQuick ? QUICK_DEFAULTS : DEFAULTS;
  const cells: PlannedCell[] = [];
  for (const workload of WORKLOADS) {
    for (const route of ROUTES) {
      for (const scheme of SCHEMES) {
        for (const condition of CONDITIONS) {
          const cell = { workload, route, scheme, condition };
          if (!isPossible(cell)) continue;
          const id = cellId(cell);
          cells.push({ ...cell, id, isDefault: defaults.some((pattern) => matches(pattern, id)) });
        }
      }
    }
  }
  return cells;
}

const SERVICE_WORKLOADS: readonly WorkloadName[] = ['small', 'medium', 'large'];

/** The bench's Azure, Cloud Storage and Swift know no TLS and no faults, and S3 and files have no checksum to leave out. */
function isPossible({ workload, route, scheme, condition }: Cell): boolean {
  if (condition === 'unbound' && !isService(targetOf(route))) return false;
  if (!hasService(route)) return true;
  const isPlain = scheme === 'http' && (condition === 'loopback' || condition === 'unbound');
  return isPlain && SERVICE_WORKLOADS.includes(workload);
}

/**
 * The cells that any of the patterns names. `*` stands for any text; parts left out at the end stand for anything, so
 * `small` and `small/s3-s3` are patterns too.
 * @throws Error where a pattern names no cell.
 */
export function chooseCells(
  cells: readonly PlannedCell[],
  patterns: readonly string[],
): readonly PlannedCell[] {
  if (patterns.length === 0) return cells.filter((cell) => cell.isDefault);
  for (const pattern of patterns) {
    if (!cells.some((cell) => matches(pattern, cell.id)))
      throw new Error(`No cell is called "${pattern}"; --list shows them all`);
  }
  return cells.filter((cell) => patterns.some((pattern) => matches(pattern, cell.id)));
}

function matches(pattern: string, id: string): boolean {
  const parts = pattern.split('/');
  const names = id.split('/');
  if (parts.length > names.length) return false;
  return parts.every((part, at) => {
    const words = part.split('*').map((word) => word.replace(/[^\w-]/g, '\\$&'));
    return new RegExp(`^${words.join('.*')}$`).test(names[at] ?? '');
  });
}
