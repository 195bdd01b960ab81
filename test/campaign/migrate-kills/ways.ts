/** The migrations that are killed: both procedures forth, and back where they can be taken back. */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { MigrateOptions, MigrateWorld } from '../../support/msr/migrate-world.ts';
import type { Assumptions, MsrState } from '../../support/msr/state.ts';
import { readStore } from '../../support/object-store.ts';
import type { Swift } from '../../support/swift.ts';
import { SwiftContainer } from '../../support/swift-container.ts';
import { readTree, type Tree } from '../../support/tree.ts';
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
  /** A slice of the campaign has kills of it. */
  readonly isInSlice?: true;
  /** Steps that are killed at; default: all. */
  readonly steps?: readonly string[];
  /** @param folder one of its own. @param swift the server, started when it is first asked for. */
  open(folder: string, swift: () => Promise<Swift>): Promise<OpenWay>;
  /** How the registry misbehaves until the killed command has ended. */
  readonly fail?: (world: MigrateWorld) => void;
}

export interface OpenWay {
  readonly options: MigrateOptions;
  /** What the old storage holds. */
  readOld(world: MigrateWorld): Promise<Tree>;
  isOnOld(state: MsrState, world: MigrateWorld): boolean;
}

/** Two live passes, so that there is something between them. */
const MORE = ['passes: 2'];

export const WAYS: readonly Way[] = [
  {
    name: 'restore',
    isInSlice: true,
    direction: 'forth',
    args: FORTH,
    exitCode: 0,
    // Restored writable: so that the steps behind the restore have something to do.
    open: fromFolder({
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
    open: fromFolder({ procedure: 'reconfigure', more: MORE, msr: { replicas: 2 } }),
  },
  {
    name: 'reconfigure, mounted',
    direction: 'forth',
    args: FORTH,
    exitCode: 0,
    // What comes before is as with the other. It comes back writable, so that the step behind it has something to do.
    steps: ['reconfigure', 'read-only-again', 'pull-test', 'writable', 'crons-back'],
    open: mounted('reconfigure', { withoutMigratedFlag: 'wipes', reconfiguresReadOnly: false }),
  },
  {
    name: 'restore, mounted',
    direction: 'forth',
    args: FORTH,
    exitCode: 0,
    steps: ['destroy', 'restore', 'read-only-again', 'pull-test', 'writable', 'gc', 'pull-test-2'],
    open: mounted('restore', { restoresReadOnly: false }),
  },
  {
    name: 'restore, from Swift',
    direction: 'forth',
    args: FORTH,
    exitCode: 0,
    steps: ['live', 'final-pass', 'verify', 'catch-up', 'switch'],
    open: fromSwift({
      procedure: 'restore',
      more: MORE,
      msr: { replicas: 2, assumes: { restoresReadOnly: false } },
    }),
  },
  {
    name: 'reconfigure, from Swift',
    direction: 'forth',
    args: FORTH,
    exitCode: 0,
    steps: ['final-pass', 'verify', 'switch'],
    open: fromSwift({ procedure: 'reconfigure', more: MORE, msr: { replicas: 2 } }),
  },
  {
    name: 'undo, asked for',
    isInSlice: true,
    direction: 'back',
    args: ['--undo', '--yes', '--json'],
    exitCode: 0,
    first: { args: ['--yes', '--json', '--until', 'pull-test'], exitCode: 0 },
    open: fromFolder({ procedure: 'reconfigure', more: MORE, msr: { replicas: 2 } }),
  },
  {
    name: 'undo, as a step failed',
    direction: 'back',
    args: FORTH,
    exitCode: 4,
    first: { args: ['--yes', '--json', '--until', 'switch'], exitCode: 0 },
    open: fromFolder({ procedure: 'reconfigure', more: MORE, msr: { replicas: 2 } }),
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
    open: fromFolder({ procedure: 'restore', more: MORE, msr: { replicas: 2 } }),
  },
];

/** Where the new storage is, where that is a folder. */
export function movedIn(folder: string): string {
  return join(folder, 'moved');
}

function fromFolder(options: MigrateOptions): Way['open'] {
  return async () => ({
    options,
    readOld: ({ storage }) => readTree(storage),
    isOnOld: ({ section, mounted }, { storage }) => 'filesystem' in section && mounted?.folder === storage,
  });
}

function mounted(procedure: MigrateOptions['procedure'], assumes: Assumptions): Way['open'] {
  return async (folder, swift) => {
    const moved = movedIn(folder);
    await mkdir(moved);
    const options: MigrateOptions = {
      procedure,
      target: `file://${moved}`,
      platform: ['storageVolume: images'],
      more: MORE,
      msr: { replicas: 2, volumes: { images: moved }, assumes },
    };
    return await fromFolder(options)(folder, swift);
  };
}

function fromSwift(options: MigrateOptions): Way['open'] {
  return async (folder, startSwift) => {
    const swift = await startSwift();
    const name = basename(folder);
    const container = await new SwiftContainer(swift, name).create();
    return {
      options: { ...options, source: { swift: { ...swift, container: name, prefix: 'msr' } } },
      readOld: () => readStore(container, 'msr/files/'),
      isOnOld: ({ section }) => 'swift' in section,
    };
  };
}
