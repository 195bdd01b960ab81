/** What the machine itself needs for a workload, measured in the same run and in the same way as the copiers. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { DataSet } from '../data/data-set.ts';
import { type Measured, measureProcess } from '../measure/measure-process.ts';
import { type Cell, hasService, type Route, sourceOf, targetOf } from '../plan/cell.ts';
import type { ServerCertificate } from './listen.ts';

export const FLOORS = ['sha256', 'crc32', 'pump', 'exchange', 'files'] as const;
export type FloorName = (typeof FLOORS)[number];

const HASH = fileURLToPath(new URL('./hash-floor.ts', import.meta.url));
const PUMP = fileURLToPath(new URL('./pump-floor.ts', import.meta.url));
const PUMP_ENDS = fileURLToPath(new URL('./pump-ends.ts', import.meta.url));
const EXCHANGE = fileURLToPath(new URL('./exchange-floor.ts', import.meta.url));
const EXCHANGE_ENDS = fileURLToPath(new URL('./exchange-ends.ts', import.meta.url));
const FILES = fileURLToPath(new URL('./files-floor.ts', import.meta.url));

export interface FloorInput {
  readonly route: Route;
  readonly set: DataSet;
  /** What the pump moves, where that is not the set's bytes. */
  readonly pumpedBytes?: number;
  /** The pump speaks TLS. */
  readonly tls?: ServerCertificate;
  /** Of the files to read, on the route from a file system. */
  readonly folder: string | undefined;
  readonly limitSeconds: number;
  /** For its lists, the files it writes, and its output. */
  readonly scratch: string;
}

/**
 * Which floors mean something: buckets have no files to open, small objects cost by the request and others by the byte,
 * and CRC-32s are for what is uploaded in parts. Other services are held against S3.
 */
export function floorsOf({ workload, route }: Pick<Cell, 'workload' | 'route'>): readonly FloorName[] {
  // The machine needs the same for the same bytes from bucket to bucket.
  if (hasService(route)) return [];
  if (workload === 'listing') return route === 's3-s3' ? ['pump'] : [];
  const moving = workload === 'small' ? 'exchange' : 'pump';
  const hasParts = workload === 'large' && route.endsWith('-s3');
  return FLOORS.filter((floor) => {
    if (floor === 'sha256') return true;
    if (floor === 'crc32') return hasParts;
    return floor === 'files' ? sourceOf(route) === 'fs' || targetOf(route) === 'fs' : floor === moving;
  });
}

/** @throws Error where a floor does not do its work. */
export async function measureFloor(name: FloorName, input: FloorInput): Promise<Measured> {
  const folder = mkdtempSync(join(input.scratch, 'floor-'));
  try {
    const measured = await FLOOR_RUNS[name](input, folder);
    if (measured.exitCode !== 0 || measured.isLate)
      throw new Error(`The floor "${name}" ended with ${measured.exitCode}: ${measured.stderr}`);
    return measured;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const FLOOR_RUNS: Readonly<Record<FloorName, (input: FloorInput, folder: string) => Promise<Measured>>> = {
  sha256: async (input, folder) => runNode([HASH, sizesIn(folder, input)], input),
  crc32: async (input, folder) => runNode([HASH, sizesIn(folder, input), 'crc32'], input),
  exchange: async (input, folder) => {
    const ends = await startEnds([EXCHANGE_ENDS]);
    try {
      return await runNode([EXCHANGE, ...portsOf(input, ends), '--sizes', sizesIn(folder, input)], input);
    } finally {
      await ends.stop();
    }
  },
  files: async (input, folder) => {
    const { route, set, folder: source } = input;
    const list = join(folder, 'files');
    writeFileSync(list, [...set.sizes].map(([path, size]) => `${size} ${path}`).join('\n'));
    const isRead = route === 'fs-s3';
    const place = isRead ? (source ?? '') : join(folder, 'target');
    return runNode([FILES, isRead ? 'read' : 'write', place, list], input);
  },
  pump: async (input, folder) => {
    const { set, tls } = input;
    const bytes = String(input.pumpedBytes ?? set.bytes);
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    if (tls) {
      writeFileSync(key, tls.key);
      writeFileSync(cert, tls.cert);
    }
    const ends = await startEnds([PUMP_ENDS, bytes, ...(tls ? [key, cert] : [])]);
    try {
      const ca = tls ? ['--ca', cert] : [];
      return await runNode([PUMP, ...portsOf(input, ends), '--bytes', bytes, ...ca], input);
    } finally {
      await ends.stop();
    }
  },
};

function sizesIn(folder: string, { set }: FloorInput): string {
  const list = join(folder, 'sizes');
  writeFileSync(list, [...set.sizes.values()].join('\n'));
  return list;
}

function portsOf({ route, pumpedBytes }: FloorInput, ends: Ends): readonly string[] {
  const from = route === 'fs-s3' ? [] : ['--from', ends.from];
  // What is listed is only read.
  const to = route === 's3-fs' || pumpedBytes !== undefined ? [] : ['--to', ends.to];
  return [...from, ...to];
}

function runNode(args: readonly string[], { limitSeconds, scratch }: FloorInput): Promise<Measured> {
  const env = { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
  return measureProcess({ command: process.execPath, args, env }, { limitSeconds, folder: scratch });
}

interface Ends {
  readonly from: string;
  readonly to: string;
  stop(): Promise<void>;
}

async function startEnds(args: readonly string[]): Promise<Ends> {
  const child = spawn(process.execPath, [...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const failed = exited.then(() => {
    throw new Error('The ends of a floor did not start');
  });
  failed.catch(() => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await Promise.race([lines.next(), failed]);
  const ports = JSON.parse(String(first.value)) as { readonly from: number; readonly to: number };
  return {
    from: String(ports.from),
    to: String(ports.to),
    stop: () => {
      child.stdin.end();
      return exited;
    },
  };
}
