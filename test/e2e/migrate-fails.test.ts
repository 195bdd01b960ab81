/**
 * Each step of a migration fails once. In front of the first forward step everything is taken back; behind it the commands
 * that are printed are run as they are, those that lead forward and those that lead back.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { CliResult } from '../support/cli.ts';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet } from '../support/images.ts';
import { AtStep } from '../support/msr/at-step.ts';
import { BREAKS, BROKEN_BEFORE, UNDO_BREAKS } from '../support/msr/breaks.ts';
import { type MigrateOptions, type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { cleanEnvironment, runCommand } from '../support/process.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { compareTrees, readTree, type Tree } from '../support/tree.ts';

const CRONS = ['onlinegc', 'tag_pruning'].map((action) => ({
  action,
  schedule: '0 0 1 * * 0',
  retries: 2,
  deadline: '30m',
  stopTimeout: '30s',
}));
const ALL = ['--yes', '--yes-forward', '--json'];

/** What is printed to be pasted; the rest of what is indented are sentences. */
function commandsBelow(title: string, lines: readonly string[]): readonly string[] {
  const from = lines.indexOf(title);
  const below = from < 0 ? [] : lines.slice(from + 1);
  const end = below.findIndex((line) => !line.startsWith('  '));
  const indented = (end < 0 ? below : below.slice(0, end)).map((line) => line.slice(2));
  return indented.filter((line) => /^(curl|docker|[A-Z_]+="\$)/.test(line));
}

describe('a step of a migration that fails', {
  skip: missingTools('registry', 'skopeo'),
  concurrency: 4,
}, () => {
  let folder: TempFolder;
  let images: ImageSet;

  before(async () => {
    folder = await makeTempFolder('migrate-fails');
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'fails',
      repositories: ['team/app', 'ab/early'],
      imagesPerRepository: 1,
      layerBytes: [200],
      largestLayerBytes: 30_000,
    });
  });

  after(() => folder?.remove());

  /** One registry, in which one migration after the other is begun. */
  class Registry {
    readonly world: MigrateWorld;
    readonly #gate: AtStep;
    readonly #old: Tree;

    constructor(world: MigrateWorld, gate: AtStep, old: Tree) {
      this.world = world;
      this.#gate = gate;
      this.#old = old;
    }

    static async start(options: MigrateOptions): Promise<Registry> {
      const gate = new AtStep();
      const world = await startMigrateWorld({
        ...options,
        platform: [...(options.platform ?? []), 'readOnlyMax: 3s', 'jobsMax: 2s'],
        more: ['passes: 1'],
        msr: { replicas: 1, ...options.msr },
        gate,
      });
      for (const cron of CRONS)
        world.msr.state.crons.set(cron.action, { id: `cron-${cron.action}`, ...cron });
      await pushImages(images, world.msr.host);
      return new Registry(world, gate, await readTree(world.storage));
    }

    /** Runs until the step fails. @returns the lines that are told. */
    async fails(step: string, exitCode: number, more: readonly string[] = []): Promise<readonly string[]> {
      // The preflight would find it.
      if (BROKEN_BEFORE[step]) await this.migrate(['--yes', '--json', '--until', 'crons-away'], 0);
      const mends = [await BROKEN_BEFORE[step]?.(this.world)];
      const act = async (): Promise<void> => {
        mends.push(await BREAKS[step]?.(this.world));
        for (const undo of more) mends.push(await UNDO_BREAKS[undo]?.(this.world));
      };
      if (BREAKS[step]) this.#gate.once(step, act);
      const { code, summary, stderr } = await this.#migrate(ALL);
      for (const mend of mends) await mend?.();
      assert.equal(code, exitCode, `${step}: ${JSON.stringify(summary)}${stderr}`);
      assert.ok(this.#gate.hasActed, `${step} was never come to`);
      await this.oldIsUntouched();
      return summary?.['lines'] as readonly string[];
    }

    async migrate(args: readonly string[], exitCode: number): Promise<void> {
      const { code, summary, stderr } = await this.#migrate(args);
      assert.equal(code, exitCode, `${JSON.stringify(summary)}${stderr}`);
    }

    #migrate(args: readonly string[]): Promise<CliResult> {
      const env = { NODE_COMPILE_CACHE: join(folder.path, 'cache') };
      return this.world.migrate(args, { onLine: this.#gate.onLine, env });
    }

    async run(commands: readonly string[]): Promise<void> {
      const env = cleanEnvironment(this.world.env);
      for (const line of commands) {
        const { code, stdout, stderr } = await runCommand('sh', ['-c', line], { env });
        assert.equal(code, 0, `${line}: ${stdout}${stderr}`);
      }
      // Replicas follow one after the other.
      for (let looks = 0; looks < 6; looks += 1) await this.world.msr.state.replicas.look();
    }

    async oldIsUntouched(): Promise<void> {
      assert.deepEqual(compareTrees(this.#old, await readTree(this.world.storage)), []);
    }

    /** On every replica. */
    get isReadOnly(): boolean {
      const states = Object.values(this.world.msr.state.replicas.readOnly());
      return states.length > 0 && !states.includes(false);
    }

    async isAsBefore(): Promise<void> {
      const { state } = this.world.msr;
      assert.deepEqual([...new Set(Object.values(state.replicas.readOnly()))], [false]);
      assert.deepEqual([state.mounted?.folder, 'filesystem' in state.section], [this.world.storage, true]);
      await this.#works();
    }

    async isMoved(moved: string | undefined): Promise<void> {
      const { state } = this.world.msr;
      assert.deepEqual([...new Set(Object.values(state.replicas.readOnly()))], [false]);
      assert.ok(moved === undefined ? 's3' in state.section : state.mounted?.folder === moved);
      await this.#works();
      // One that failed stays, so that somebody can see why.
      const left = this.world.msr.docker.containers.filter(({ exitCode }) => exitCode === 0);
      assert.deepEqual(
        left.map(({ name }) => name),
        [],
        'no container is left behind',
      );
    }

    async #works(): Promise<void> {
      const { state, host } = this.world.msr;
      const crons = [...state.crons.values()].map(({ id: _, ...cron }) => cron);
      for (const cron of CRONS) {
        const now = crons.find(({ action }) => action === cron.action);
        assert.deepEqual({ ...now, ...cron }, now, `the cron ${cron.action}`);
      }
      assert.equal(crons.length, CRONS.length);
      assert.deepEqual((await pullAll(host, images.images)).problems, []);
      await this.oldIsUntouched();
    }
  }

  const WAYS: readonly {
    readonly name: string;
    readonly options: (moved: string) => MigrateOptions;
    readonly isMounted?: true;
    /** Steps that are taken back when they fail. */
    readonly takenBack?: readonly string[];
    /** Steps whose undo fails, and the step at which that is found. */
    readonly stuck?: readonly (readonly [undo: string, at: string])[];
    /** Steps behind which nothing is taken back by itself; those that fail with their way forward tried. */
    readonly forward: readonly string[];
    /** And with their way back. */
    readonly back: readonly string[];
  }[] = [
    {
      name: 'restore',
      options: () => ({ procedure: 'restore', msr: { assumes: { restoresReadOnly: false } } }),
      takenBack: ['crons-away', 'window', 'read-only'],
      forward: [
        ...['destroy', 'restore', 'read-only-again', 'catch-up', 'switch', 'pull-test'],
        ...['writable', 'gc', 'pull-test-2', 'crons-back'],
      ],
      back: ['destroy', 'restore', 'read-only-again', 'switch', 'writable'],
    },
    {
      name: 'restore to a folder',
      isMounted: true,
      options: (moved) => ({
        procedure: 'restore',
        target: `file://${moved}`,
        platform: ['storageVolume: images'],
        msr: { volumes: { images: moved }, assumes: { restoresReadOnly: false } },
      }),
      forward: ['restore', 'read-only-again', 'writable'],
      back: ['writable'],
    },
    {
      name: 'reconfigure',
      options: () => ({ procedure: 'reconfigure' }),
      takenBack: ['crons-away', 'jobs-drained', 'live', 'read-only', 'final-pass', 'switch'],
      stuck: [
        ['crons-away', 'live'],
        ['read-only', 'backup-2'],
        ['switch', 'pull-test'],
      ],
      forward: ['writable', 'crons-back'],
      back: ['writable'],
    },
    {
      name: 'reconfigure to a folder',
      isMounted: true,
      options: (moved) => ({
        procedure: 'reconfigure',
        target: `file://${moved}`,
        platform: ['storageVolume: images'],
        msr: {
          volumes: { images: moved },
          assumes: { withoutMigratedFlag: 'wipes', reconfiguresReadOnly: false },
        },
      }),
      forward: ['reconfigure', 'read-only-again', 'pull-test', 'writable', 'crons-back'],
      back: ['reconfigure', 'read-only-again', 'writable'],
    },
  ];
  /** From its first call on the registry takes writes. */
  const AT_WORK = ['gc', 'pull-test-2', 'crons-back'];

  const firstLine = (step: string): RegExp => {
    if (AT_WORK.includes(step)) return /^The registry works on its new storage and takes writes/;
    // It is this very step that makes it read-only.
    if (step === 'read-only-again') return /^The registry TAKES WRITES, and should not yet/;
    return /^The registry is still read-only/;
  };

  async function open(
    way: (typeof WAYS)[number],
  ): Promise<{ registry: Registry; moved: string | undefined }> {
    const moved = await mkdtemp(join(folder.path, 'moved-'));
    const registry = await Registry.start(way.options(moved));
    return { registry, moved: way.isMounted ? moved : undefined };
  }

  /** @returns the commands that lead back. */
  async function isStuck(
    registry: Registry,
    step: string,
    lines: readonly string[],
  ): Promise<readonly string[]> {
    assert.match(lines[0] ?? '', firstLine(step), step);
    const isOff = step === 'destroy' || step === 'restore';
    if (!AT_WORK.includes(step) && step !== 'read-only-again' && !isOff) assert.ok(registry.isReadOnly, step);
    const back = commandsBelow('By hand, back:', lines);
    assert.equal(back.length > 0, !AT_WORK.includes(step), lines.join('\n'));
    return back;
  }

  for (const way of WAYS) {
    const { name, back, forward, takenBack = [], stuck = [] } = way;
    it(`${name}: goes on by the commands forward, whichever forward step fails`, async (t) => {
      const { registry, moved } = await open(way);
      t.after(() => registry.world.stop());
      for (const step of forward) {
        const lines = await registry.fails(step, 5);
        await isStuck(registry, step, lines);
        const commands = commandsBelow('By hand, forward:', lines);
        // Behind the collection they put the crons back as well, and their own step would have nothing to do.
        const isLast = step === forward.at(-1);
        await registry.run(commands.filter((line) => isLast || !line.includes('/api/v0/crons')));
      }
      await registry.migrate(ALL, 0);
      await registry.isMoved(moved);
    });

    it(`${name}: is back by the commands back, whichever forward step fails`, async (t) => {
      const { registry } = await open(way);
      t.after(() => registry.world.stop());
      for (const step of back) {
        await registry.run(await isStuck(registry, step, await registry.fails(step, 5)));
        await registry.isAsBefore();
        // As the manual says: the next run begins anew.
        await rm(join(registry.world.folder, 'journal/steps'), { recursive: true });
      }
    });

    if (takenBack.length === 0) continue;
    it(`${name}: takes everything back, whichever step fails before the first forward one`, async (t) => {
      const { registry, moved } = await open(way);
      t.after(() => registry.world.stop());
      for (const step of takenBack) {
        const lines = await registry.fails(step, 4);
        assert.match(lines[0] ?? '', /^Everything that was changed is as it was before/, step);
        await registry.isAsBefore();
      }
      for (const [undo, at] of stuck) {
        const lines = await registry.fails(at, 5, [undo]);
        assert.match(lines[0] ?? '', /^NOT everything is as it was before/, undo);
        await registry.run(commandsBelow('Do this first, then run the same migration with --undo:', lines));
        await registry.migrate(['--undo', '--yes'], 4);
        await registry.isAsBefore();
      }
      await registry.migrate(ALL, 0);
      await registry.isMoved(moved);
    });
  }
});
