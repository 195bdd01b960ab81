/** What the machine itself needs for a workload, measured in the same run and in the same way as the copiers. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { DataSet } from '../data/data-set.ts';
import { type Measured, measureProcess } from '../measure/measure-process.ts';
import type { Route } from '../plan/cell.ts';

export const FLOORS = ['sha256', 'pump', 'files'] as const;
export type FloorName = (typeof FLOORS)[number];

const HASH = fileURLToPath(new URL('./hash-floor.ts', import.meta.url));
const PUMP = fileURLToPath(new URL('./pump-floor.ts', import.meta.url));
const ENDS = fileURLToPath(new URL('./pump-ends.ts', import.meta.url));
const FILES = fileURLToPath(new URL('./files-floor.ts', import.meta.url));

export interface FloorInput {
  readonly route: Route;
  readonly set: DataSet;
  /** Of the files to read, on the route from a file system. */
  readonly folder: string | undefined;
  readonly limitSeconds: number;
  /** For its lists, the files it writes, and its output. */
  readonly scratch: string;
}

/** Which floors mean something: buckets have no files to open. */
export function floorsOf(route: Route): readonly FloorName[] {
  return route === 's3-s3' ? ['sha256', 'pump'] : FLOORS;
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
  sha256: async (input, folder) => {
    const list = join(folder, 'sizes');
    writeFileSync(list, [...input.set.sizes.values()].join('\n'));
    return runNode([HASH, list], input);
  },
  files: async (input, folder) => {
    const { route, set, folder: source } = input;
    const list = join(folder, 'files');
    writeFileSync(list, [...set.sizes].map(([path, size]) => `${size} ${path}`).join('\n'));
    const isRead = route === 'fs-s3';
    const place = isRead ? (source ?? '') : join(folder, 'target');
    return runNode([FILES, isRead ? 'read' : 'write', place, list], input);
  },
  pump: async (input) => {
    const { route, set } = input;
    const ends = await startEnds(set.bytes);
    try {
      const from = route === 'fs-s3' ? [] : ['--from', ends.from];
      const to = route === 's3-fs' ? [] : ['--to', ends.to];
      return await runNode([PUMP, ...from, ...to, '--bytes', String(set.bytes)], input);
    } finally {
      await ends.stop();
    }
  },
};

function runNode(args: readonly string[], { limitSeconds, scratch }: FloorInput): Promise<Measured> {
  const env = { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
  return measureProcess({ command: process.execPath, args, env }, { limitSeconds, folder: scratch });
}

interface Ends {
  readonly from: string;
  readonly to: string;
  stop(): Promise<void>;
}

async function startEnds(bytes: number): Promise<Ends> {
  const child = spawn(process.execPath, [ENDS, String(bytes)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const failed = exited.then(() => {
    throw new Error('The ends of the pump did not start');
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
