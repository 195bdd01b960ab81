/** One migration that is killed at some moments, begun again each time, and looked at in the end. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CliResult } from '../../support/cli.ts';
import { pullAll } from '../../support/image-pull.ts';
import type { ImageSet } from '../../support/images.ts';
import { type MigrateWorld, startMigrateWorld } from '../../support/msr/migrate-world.ts';
import { tail } from '../../support/process.ts';
import type { Swift } from '../../support/swift.ts';
import { makeTempFolder } from '../../support/temp.ts';
import { compareTrees, readTree, type Tree } from '../../support/tree.ts';
import type { Random } from '../random.ts';
import { type Moment, nameOf, type Seen } from './moments.ts';
import { Pusher } from './pusher.ts';
import { Watcher } from './watcher.ts';
import { movedIn, type OpenWay, type Way } from './ways.ts';

const CRONS = ['onlinegc', 'tag_pruning'].map((action) => ({
  action,
  schedule: '0 0 1 * * 0',
  retries: 2,
  deadline: '30m',
  stopTimeout: '30s',
}));
/** Looks until a job is done that runs when the migration begins. */
const JOB = ['waiting', ...Array.from({ length: 20 }, () => 'running'), 'done'];
const IMAGES_AT_FIRST = 4;

export interface KillJob {
  readonly way: Way;
  /** In their order. */
  readonly moments: readonly Moment[];
  readonly images: ImageSet;
  readonly random: Random;
  readonly compileCache: string;
  readonly swift: () => Promise<Swift>;
  readonly say: (line: string) => void;
}

export interface KillResult {
  readonly kills: readonly { readonly moment: Moment; readonly change: string | undefined }[];
  /** The run was over before it came to them. */
  readonly notMet: readonly Moment[];
  readonly problems: readonly string[];
  readonly seen: Seen;
}

export async function killMigration(job: KillJob): Promise<KillResult> {
  await using folder = await makeTempFolder('migrate-kills');
  const watcher = new Watcher((command, until, onHeld) =>
    world.msr.docker.misbehave(command, { kind: 'hold', until, onHeld }),
  );
  const way = await job.way.open(folder.path, job.swift);
  const world: MigrateWorld = await startMigrateWorld({ ...way.options, gate: watcher });
  try {
    const killed = new KilledMigration(job, { ...way, world, watcher, moved: movedIn(folder.path) });
    await killed.run();
    return killed.result();
  } finally {
    watcher.release();
    await world.stop();
  }
}

interface Place extends OpenWay {
  readonly world: MigrateWorld;
  readonly watcher: Watcher;
  /** Where the new storage is, where that is a folder. */
  readonly moved: string;
}

class KilledMigration {
  readonly #job: KillJob;
  readonly #place: Place;
  readonly #world: MigrateWorld;
  readonly #watcher: Watcher;
  readonly #pusher: Pusher;
  readonly #kills: KillResult['kills'][number][] = [];
  readonly #notMet: Moment[] = [];
  readonly #problems: string[] = [];
  #before: Tree = new Map();
  #seen: Seen = { lines: [], calls: [] };

  constructor(job: KillJob, place: Place) {
    this.#job = job;
    this.#place = place;
    this.#world = place.world;
    this.#watcher = place.watcher;
    this.#pusher = new Pusher(job.images, place.world.msr, job.random);
  }

  result(): KillResult {
    return { kills: this.#kills, notMet: this.#notMet, problems: this.#problems, seen: this.#seen };
  }

  async run(): Promise<void> {
    const { way, moments } = this.#job;
    const { state, faults } = this.#world.msr;
    for (const cron of CRONS) state.crons.set(cron.action, { id: `cron-${cron.action}`, ...cron });
    await this.#pusher.push(IMAGES_AT_FIRST);
    state.jobs.script('tag_pruning', JOB);
    state.jobs.create('tag_pruning');
    await this.#lookAtSource();
    if (way.first) await this.#mustEnd(way.first.args, way.first.exitCode);
    way.fail?.(this.#world);
    for (const [at, moment] of moments.entries()) {
      if ((await this.#killAt(moment)) === 'killed') continue;
      this.#notMet.push(...moments.slice(at));
      break;
    }
    if (this.#notMet.length === 0) await this.#mustEnd(way.args, way.exitCode);
    this.#watcher.release();
    this.#seen = this.#watcher.seen;
    faults.clear();
    if (way.direction === 'back') {
      await this.#isBack();
      await this.#pusher.push(1);
      await this.#lookAtSource();
      await this.#mustEnd(['--yes', '--yes-forward', '--json'], 0);
    }
    await this.#isThere();
  }

  async #killAt(moment: Moment): Promise<'killed' | 'over'> {
    const { way, random } = this.#job;
    const { code, stderr, stdout } = await this.#migrate(way.args, moment);
    if (code !== null) {
      if (code !== way.exitCode)
        this.#problem(`${nameOf(moment)}: ended with ${code}: ${tail(stderr + stdout, 8)}`);
      return 'over';
    }
    await this.#lookAround(moment);
    const isDue = this.#pusher.mayChange && !this.#isOnNew && random.chance(1 / 2);
    const change = isDue ? await this.#pusher.change() : undefined;
    if (isDue) await this.#lookAtSource();
    this.#kills.push({ moment, change });
    this.#job.say(`  killed at ${nameOf(moment)}${change === undefined ? '' : `, then ${change}`}`);
    return 'killed';
  }

  async #mustEnd(args: readonly string[], exitCode: number): Promise<void> {
    const { code, stderr, stdout } = await this.#migrate(args, undefined);
    if (code !== exitCode)
      this.#problem(`${args.join(' ')}: ended with ${code} and not ${exitCode}: ${tail(stderr + stdout, 8)}`);
  }

  async #migrate(args: readonly string[], moment: Moment | undefined): Promise<CliResult> {
    const { over, onLine, signal } = this.#watcher.begin(moment);
    try {
      return await this.#world.migrate(args, {
        onLine,
        signal,
        stopWith: 'SIGKILL',
        env: { NODE_COMPILE_CACHE: this.#job.compileCache },
      });
    } finally {
      over();
    }
  }

  get #isOnNew(): boolean {
    const { section, mounted } = this.#world.msr.state;
    return 's3' in section || mounted?.folder === this.#place.moved;
  }

  /** Is it as the bootstrapper has left it, and not made read-only again yet? */
  get #comesWritable(): boolean {
    const { assumes, mounted } = this.#world.msr.state;
    const leavesSo = assumes.restoresReadOnly === false || assumes.reconfiguresReadOnly === false;
    const isMounted = mounted?.folder === this.#place.moved;
    return leavesSo && isMounted && !this.#watcher.hasSeen('read-only-again', 'effect-shown');
  }

  /** What must be so at every moment. */
  async #lookAround(moment: Moment): Promise<void> {
    const { state } = this.#world.msr;
    const isWritable = Object.values(state.replicas.readOnly()).includes(false);
    const mayBe = this.#watcher.hasSeen('pull-test', 'effect-shown') || this.#comesWritable;
    if (this.#isOnNew && isWritable && !mayBe)
      this.#problem(`${nameOf(moment)}: writable on the new storage before anything was pulled from it`);
    const old = await this.#place.readOld(this.#world);
    for (const difference of compareTrees(this.#before, old))
      this.#problem(`${nameOf(moment)}: in the old storage ${difference}`);
  }

  async #lookAtSource(): Promise<void> {
    this.#before = await this.#place.readOld(this.#world);
  }

  /** As it was before the migration. */
  async #isBack(): Promise<void> {
    const { state } = this.#world.msr;
    const replicas = Object.values(state.replicas.readOnly());
    if (state.isReadOnly || replicas.includes(true)) this.#problem('undone, and not writable');
    if (!this.#place.isOnOld(state, this.#world)) this.#problem('undone, and not on the old storage');
    await this.#looksRight('undone');
  }

  async #isThere(): Promise<void> {
    const { state, docker } = this.#world.msr;
    const replicas = Object.values(state.replicas.readOnly());
    if (state.isReadOnly || replicas.includes(true)) this.#problem('done, and not writable');
    if (!this.#isOnNew) this.#problem('done, and not on the new storage');
    await this.#looksRight('done');
    const isMounted = state.mounted?.folder === this.#place.moved;
    const { bucket } = this.#world;
    const target = isMounted ? await readTree(this.#place.moved) : await bucket.readTree('msr/');
    for (const difference of compareTrees(this.#before, target)) this.#problem(`in the target ${difference}`);
    const ours = [...(await bucket.names()), ...(await bucket.openUploads())];
    const left = ours.filter((name) => name.includes('.blobferry-'));
    if (left.length > 0) this.#problem(`left over in the target: ${left.join(', ')}`);
    const containers = docker.containers.map(({ name }) => name);
    if (containers.length > 0) this.#problem(`containers are left: ${containers.join(', ')}`);
    await this.#filesLeft();
    const again = await this.#world.migrate([]);
    if (again.code !== 0 || !/complete already/.test(again.stdout))
      this.#problem(`begun again, it is not complete: ${again.code} ${again.stdout}`);
  }

  /** All that holds both forth and back. */
  async #looksRight(when: string): Promise<void> {
    const { state, host } = this.#world.msr;
    const { problems } = await pullAll(host, this.#pusher.held);
    for (const problem of problems) this.#problem(`${when}: ${problem}`);
    for (const problem of cronProblems(state.crons.values())) this.#problem(`${when}: ${problem}`);
    const old = await this.#place.readOld(this.#world);
    for (const difference of compareTrees(this.#before, old))
      this.#problem(`${when}: in the old storage ${difference}`);
  }

  /** Secrets of the registry are in what a backup that was cut off has left. */
  async #filesLeft(): Promise<void> {
    const names = await readdir(join(this.#world.folder, 'backups'));
    const left = names.filter((name) => !/\.(tar|json)$/.test(name));
    if (left.length > 0) this.#problem(`left over beside the backups: ${left.join(', ')}`);
  }

  #problem(sentence: string): void {
    this.#problems.push(`${this.#job.way.name}: ${sentence}`);
  }
}

function cronProblems(found: Iterable<{ readonly action: string }>): readonly string[] {
  const crons = new Map([...found].map((cron) => [cron.action, cron]));
  const more = [...crons.keys()].filter((action) => !CRONS.some((cron) => cron.action === action));
  const less = CRONS.filter((cron) => {
    const now: Record<string, unknown> = { ...crons.get(cron.action) };
    return Object.entries(cron).some(([name, value]) => now[name] !== value);
  });
  return [
    ...more.map((action) => `there is a cron "${action}" that was not there before`),
    ...less.map(({ action }) => `the cron "${action}" is not as it was`),
  ];
}
