/** The migrations that are killed: both procedures forth, and back where they can be taken back. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { MigrateOptions, MigrateWorld } from '../../support/msr/migrate-world.ts';
import type { Direction } from './moments.ts';

const FORTH = ['--yes', '--yes-forward', '--json'];

export interface Way {
  readonly name: string;
  readonly direction: Direction;
  /** The command that is killed and begun again. */
  readonly args: readonly string[];
  /** Of the run that nobody kills. */
  readonly exitCode: 0 | 4;
  /** What is run before it, with its exit code. */
  readonly first?: { readonly args: readonly string[]; readonly exitCode: number };
  /** Steps that are killed at; default: all. */
  readonly steps?: readonly string[];
  /** @param folder one of its own. */
  options(folder: string): Promise<MigrateOptions>;
  /** How the registry misbehaves until the killed command has ended. */
  readonly fail?: (world: MigrateWorld) => void;
}

/** Two live passes, so that there is something between them. */
const MORE = ['passes: 2'];

export const WAYS: readonly Way[] = [
  {
    name: 'restore',
    direction: 'forth',
    args: FORTH,
    exitCode: 0,
    // Restored writable: so that the steps behind the restore have something to do.
    options: async () => ({
      procedure: 'restore',
      more: MORE,
      msr: { replicas: 2, assumes: { restoresReadOnly: false } },
    }),
  },
  {
    name: 'reconfigure',
    direction: 'forth',
    args: FORTH,
    exitCode: 0,
    options: async () => ({ procedure: 'reconfigure', more: MORE, msr: { replicas: 2 } }),
  },
  {
    name: 'reconfigure, mounted',
    direction: 'forth',
    args: FORTH,
    exitCode: 0,
    // What comes before is as with the other.
    steps: ['reconfigure', 'pull-test', 'writable', 'crons-back'],
    options: async (folder) => {
      const moved = movedIn(folder);
      await mkdir(moved);
      return {
        procedure: 'reconfigure',
        target: `file://${moved}`,
        platform: ['storageVolume: images'],
        more: MORE,
        msr: { replicas: 2, volumes: { images: moved }, assumes: { withoutMigratedFlag: 'wipes' } },
      };
    },
  },
  {
    name: 'undo, asked for',
    direction: 'back',
    args: ['--undo', '--yes', '--json'],
    exitCode: 0,
    first: { args: ['--yes', '--json', '--until', 'pull-test'], exitCode: 0 },
    options: async () => ({ procedure: 'reconfigure', more: MORE, msr: { replicas: 2 } }),
  },
  {
    name: 'undo, as a step failed',
    direction: 'back',
    args: FORTH,
    exitCode: 4,
    first: { args: ['--yes', '--json', '--until', 'switch'], exitCode: 0 },
    options: async () => ({ procedure: 'reconfigure', more: MORE, msr: { replicas: 2 } }),
    fail: ({ msr }) => {
      const json = { errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] };
      const does = { kind: 'answer', status: 404, json } as const;
      msr.faults.add({ on: /^GET \/v2\/.*\/manifests\//, times: 1_000_000, does });
    },
  },
  {
    name: 'undo before the replicas are destroyed',
    direction: 'back',
    args: ['--undo', '--yes', '--json'],
    exitCode: 0,
    first: { args: ['--yes', '--json', '--until', 'verify'], exitCode: 0 },
    options: async () => ({ procedure: 'restore', more: MORE, msr: { replicas: 2 } }),
  },
];

/** Where the new storage is, where that is a folder. */
export function movedIn(folder: string): string {
  return join(folder, 'moved');
}
