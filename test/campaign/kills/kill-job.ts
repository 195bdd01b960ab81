/** One copy that is killed over and over, each time begun again with the same command, until it is done. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FaultScript } from '../../../bench/s3-server/faults/fault.ts';
import type { S3Server } from '../../../bench/s3-server/s3-server.ts';
import { startS3ServerProcess } from '../../../bench/s3-server/s3-server-process.ts';
import { makeTempFolder } from '../../support/temp.ts';
import { compareTrees, type TreeFile } from '../../support/tree.ts';
import type { Random } from '../random.ts';
import { Copier, type CopierEvent, type Ended, type Phase } from './copier.ts';
import { BucketEnd, type End, FolderEnd } from './ends.ts';
import { type Change, drawChange, fileOf, type KillTree } from './kill-tree.ts';
import { type SentAgain, SentCounter } from './sent.ts';
import {
  Armed,
  drawTrigger,
  leadOf,
  type Remaining,
  type Sides,
  type Trigger,
  triggerInNames,
} from './trigger.ts';

export interface Route extends Sides {
  readonly layout: 'registry' | 'raw';
}

const THREADS = 2;
const CONCURRENCY = 4;

/**
 * After one kill. A bucket shows what it has taken: an object at once, a part to whoever continues its upload, so nothing
 * is sent twice. A folder shows a file when it is whole: those in the making, one shard's window in each thread, are
 * made again.
 */
export function sentAgainMax(target: Route['target']): { readonly objects: number; readonly parts: number } {
  return { objects: target === 's3' ? 0 : THREADS * CONCURRENCY, parts: 0 };
}

interface Kill {
  readonly trigger: string;
  readonly phase: Phase;
  readonly change: Change['kind'] | undefined;
  readonly again: SentAgain;
}

export interface JobResult {
  readonly kills: readonly Kill[];
  readonly problems: readonly string[];
  /** Runs that were over before their kill: they count for nothing. */
  readonly runsTooShort: number;
  readonly seconds: number;
}

interface Parts {
  readonly route: Route;
  readonly tree: KillTree;
  readonly random: Random;
  readonly kills: number;
  readonly compileCache: string;
  readonly say: (line: string) => void;
}

export async function runKillJob(parts: Parts): Promise<JobResult> {
  const started = performance.now();
  await using folder = await makeTempFolder('kill-job');
  const server = await startS3ServerProcess({ buckets: ['source', 'target'], logsRequests: true });
  try {
    const endOf = async (side: 'source' | 'target'): Promise<End> => {
      if (parts.route[side] === 's3') return new BucketEnd(server, side);
      const root = join(folder.path, side);
      await mkdir(root);
      return new FolderEnd(root);
    };
    const [source, target] = [await endOf('source'), await endOf('target')];
    for (const [path, content] of parts.tree.contents) await source.put(path, content);
    const job = new KillJob(parts, { server, source, target, journal: join(folder.path, 'journal') });
    await job.run();
    return { ...job.result(), seconds: Math.round((performance.now() - started) / 1000) };
  } finally {
    await server.close();
  }
}

interface Ground {
  readonly server: S3Server;
  readonly source: End;
  readonly target: End;
  readonly journal: string;
}

class KillJob {
  readonly #parts: Parts;
  readonly #ground: Ground;
  readonly #kills: Kill[] = [];
  readonly #problems: string[] = [];
  readonly #sent: SentCounter;
  /** What the source must hold: it is never written to by the copier. */
  readonly #expected: Map<string, TreeFile>;
  /** Contents that a path had before, which the target may still hold until the copy is done. */
  readonly #former = new Map<string, Set<string>>();
  #runsTooShort = 0;

  constructor(parts: Parts, ground: Ground) {
    this.#parts = parts;
    this.#ground = ground;
    this.#sent = new SentCounter(parts.route.target === 's3');
    this.#expected = new Map([...parts.tree.contents].map(([path, content]) => [path, fileOf(content)]));
  }

  result(): Omit<JobResult, 'seconds'> {
    return { kills: this.#kills, problems: this.#problems, runsTooShort: this.#runsTooShort };
  }

  async run(): Promise<void> {
    while (this.#kills.length < this.#parts.kills && this.#problems.length === 0) {
      if ((await this.#runAndKill()) === 'done') break;
      await this.#lookAround();
    }
    await this.#finish();
  }

  /** Slows objects down, so that there is something to kill; not the copier's way to its first object. */
  #slowness(): FaultScript {
    const operation = ['GetObject', 'PutObject', 'UploadPart', 'CompleteMultipartUpload'] as const;
    return { operation, keyPrefix: 'docker/registry/v2/', fault: { kind: 'latency', ms: 20, jitterMs: 60 } };
  }

  async #runAndKill(): Promise<'killed' | 'done'> {
    const { random, route } = this.#parts;
    const { server, journal } = this.#ground;
    const right = await this.#right();
    const remaining = this.#remaining(right);
    const isHalfway = this.#kills.length > this.#parts.kills / 2 && remaining.isInBlobs;
    const lead = leadOf(this.#kills.length, route, remaining);
    const trigger = lead ?? (isHalfway ? triggerInNames(random) : drawTrigger(random, route, remaining));
    const slow = isHalfway ? undefined : await server.misbehave(this.#slowness());
    const armed = await Armed.arm(trigger, server, journal);
    const copier = this.#start((event) => armed.hear(event));
    armed.started();
    void armed.reached.then(() => copier.kill());
    const ended = await copier.ended;
    await armed.done();
    await slow?.remove();
    const again = await this.#countSent(right);
    if (ended.signal !== 'SIGKILL') return this.#tooShort(ended);
    const change = await this.#changeSource(lead !== undefined);
    this.#kills.push({ trigger: trigger.name, phase: ended.phase, change, again });
    this.#say(trigger, ended, change);
    return 'killed';
  }

  #say(trigger: Trigger, { phase }: Ended, change: string | undefined): void {
    const then = change === undefined ? '' : `, then ${change}`;
    this.#parts.say(`  kill ${this.#kills.length}: ${trigger.name}, while ${phase}${then}`);
  }

  #tooShort({ code, summary, said }: Ended): 'done' {
    this.#runsTooShort += 1;
    if (code !== 0)
      this.#problem(`a run that nobody killed ended with ${code}: ${said} ${JSON.stringify(summary)}`);
    return 'done';
  }

  #start(onEvent: (event: CopierEvent) => void): Copier {
    const { route, compileCache } = this.#parts;
    const { source, target, journal } = this.#ground;
    const ends = ['--from', source.url, '--to', target.url, '--journal', journal, '--layout', route.layout];
    const size = ['--threads', String(THREADS), '--concurrency', String(CONCURRENCY), '--part-size', '5MiB'];
    return new Copier(['copy', ...ends, ...size, '--json'], compileCache, onEvent);
  }

  /** Objects in the target that are the source's by now. */
  async #right(): Promise<ReadonlyMap<string, TreeFile>> {
    const target = await this.#ground.target.read();
    return new Map([...target].filter(([path, file]) => this.#expected.get(path)?.sha256 === file.sha256));
  }

  #remaining(right: ReadonlyMap<string, TreeFile>): Remaining & { readonly isInBlobs: boolean } {
    const { large, others } = this.#parts.tree;
    const left = [...this.#expected.keys()].filter((path) => !right.has(path));
    // While blobs are missing, names are not begun.
    const isInBlobs = left.some((path) => this.#isBlob(path));
    const inReach = isInBlobs ? left.filter((path) => this.#isBlob(path)) : left;
    const inParts = inReach.filter((path) => large.includes(path) || others.includes(path)).length;
    return { inParts, others: inReach.length - inParts, isInBlobs };
  }

  #isBlob(path: string): boolean {
    return this.#parts.route.layout === 'registry' && path.startsWith('docker/registry/v2/blobs/');
  }

  async #countSent(right: ReadonlyMap<string, TreeFile>): Promise<SentAgain> {
    const immutable = (path: string) =>
      this.#isBlob(path) || (this.#isRegistry && /\/_layers\/|\/revisions\//.test(path));
    const again = this.#sent.count(
      await this.#ground.server.takeRequests(),
      right,
      (path) => !immutable(path),
    );
    for (const path of again.visible) this.#problem(`copied again although it was there: ${path}`);
    const max = sentAgainMax(this.#parts.route.target);
    if (again.objects > max.objects)
      this.#problem(`${again.objects} objects were sent again after one kill, more than ${max.objects}`);
    if (again.parts > max.parts)
      this.#problem(`${again.parts} parts were sent again after one kill, more than ${max.parts}`);
    return again;
  }

  get #isRegistry(): boolean {
    return this.#parts.route.layout === 'registry';
  }

  /** A third of the time; after the leading kills as they were meant. */
  async #changeSource(isLead: boolean): Promise<Change['kind'] | undefined> {
    const { random, tree } = this.#parts;
    const { source, target } = this.#ground;
    const isDue = random.chance(1 / 3);
    const leading = ([this.#isRegistry ? undefined : 'rewrite', undefined, 'delete'] as const)[
      this.#kills.length
    ];
    if (isLead ? leading === undefined : !isDue) return undefined;
    const left = await target.leftovers();
    const change = drawChange({
      random,
      tree,
      present: this.#expected,
      open: tree.large.concat(tree.others).filter((path) => left.some((name) => name.endsWith(path))),
      isRaw: !this.#isRegistry,
      ...(isLead && leading ? { kind: leading } : {}),
    });
    const former = this.#former.get(change.path) ?? new Set();
    former.add(this.#expected.get(change.path)?.sha256 ?? '');
    this.#former.set(change.path, former);
    this.#sent.changed(change.path);
    if (change.content) {
      await source.put(change.path, change.content);
      this.#expected.set(change.path, fileOf(change.content));
    } else {
      await source.remove(change.path);
      this.#expected.delete(change.path);
    }
    return change.kind;
  }

  /** After a kill nothing half or wrong is visible, and no name without the bytes. */
  async #lookAround(): Promise<void> {
    const target = await this.#ground.target.read();
    for (const [path, { sha256 }] of target) {
      if (this.#expected.get(path)?.sha256 === sha256 || this.#former.get(path)?.has(sha256)) continue;
      this.#problem(`wrong in the target after a kill: ${path}`);
    }
    if (!this.#isRegistry || ![...target.keys()].some((path) => path.includes('/repositories/'))) return;
    const lacking = [...this.#expected.keys()].filter((path) => this.#isBlob(path) && !target.has(path));
    if (lacking.length > 0) this.#problem(`names came before ${lacking.length} blobs, such as ${lacking[0]}`);
  }

  async #finish(): Promise<void> {
    const right = await this.#right();
    const last = await this.#start(() => undefined).ended;
    await this.#countSent(right);
    if (last.code !== 0)
      this.#problem(`the last run ended with ${last.code}: ${last.said} ${JSON.stringify(last.summary)}`);
    const [source, target] = [await this.#ground.source.read(), await this.#ground.target.read()];
    for (const difference of compareTrees(this.#expected, source))
      this.#problem(`in the source: ${difference}`);
    // What was deleted from the source may be in the target from before: a copy deletes nothing.
    const wanted = new Map(
      [...target].filter(([path, { sha256 }]) => !source.has(path) && this.#former.get(path)?.has(sha256)),
    );
    for (const [path, file] of source) wanted.set(path, file);
    for (const difference of compareTrees(wanted, target)) this.#problem(`in the target: ${difference}`);
    for (const left of await this.#ground.target.leftovers()) this.#problem(`left over: ${left}`);
    const idle = await this.#start(() => undefined).ended;
    if (idle.code !== 0 || idle.summary?.objectsCopied !== 0)
      this.#problem(
        `a run with nothing to do ended with ${idle.code} and copied ${idle.summary?.objectsCopied}`,
      );
  }

  #problem(sentence: string): void {
    this.#problems.push(sentence);
  }
}
