/** A source and a target in memory, everything around them that copying needs, and the checks that end every test. */
import assert from 'node:assert/strict';
import { hash, randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { planShards } from '../../../src/coordinator/plan-shards.ts';
import type { CopyContext, CopyItem, CopyOutcome } from '../../../src/copy/context.ts';
import { copyObject } from '../../../src/copy/copy-object.ts';
import { OpenUploads } from '../../../src/copy/open-uploads.ts';
import { runShard, type ShardOptions, type ShardOutcome } from '../../../src/copy/run-shard.ts';
import type { PassSettings, Phase, Shard, WorkerReport } from '../../../src/copy/shard.ts';
import { SlabPool } from '../../../src/copy/slab-pool.ts';
import { allocateCounters, CounterReader, CounterWriter } from '../../../src/core/counters.ts';
import { isStorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type {
  FileAttributes,
  ListPage,
  ListQuery,
  MultipartFacet,
  ObjectInfo,
  ReadResult,
  StorageDriver,
  Upload,
} from '../../../src/drivers/driver.ts';
import { openMemoryDriver } from '../../../src/drivers/memory/memory-driver.ts';
import { forgetStore, type MemoryStore, storeNamed } from '../../../src/drivers/memory/memory-store.ts';
import type { DigestIndex } from '../../../src/layout/digests/digest-index.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import type { Layout } from '../../../src/layout/layout.ts';
import { type Fault, FaultDriver } from '../../support/fault-driver.ts';

/** How a backend in memory is bent to be like another. */
export interface Shape {
  readonly facts?: Partial<StorageDriver['facts']>;
  /** `none`: has no multipart facet. */
  readonly multipart?:
    | 'none'
    | Partial<Pick<MultipartFacet, 'partBytesMin' | 'partBytesMax' | 'partsMax' | 'partChecksum'>>;
  readonly hasStreamUpload?: boolean;
  /** What its answers and listings leave out. Memory has all of them. */
  readonly hides?: readonly ('md5' | 'checksums' | 'version' | 'attributes')[];
  /** Says another MD5 than the content's, as an ETag under SSE-KMS is. */
  readonly md5Is?: string;
  readonly pageObjectsMax?: number;
  /** Takes whatever arrives, as a server that knows no checksums does. */
  readonly checksNothing?: boolean;
  /** What it tells of the parts it holds. Memory tells both. */
  readonly keepsOfParts?: readonly ('md5' | 'crc32')[];
  /** Asks before it goes into a folder, each time it comes to one, as a file system does. */
  readonly asksBeforeFolders?: boolean;
  /** Listings show these as empty and without checksums, as Swift shows large objects; `stat` knows better. */
  readonly listsAsEmpty?: (key: string) => boolean;
}

export interface WorldOptions {
  readonly layout?: Layout;
  readonly isFrozen?: boolean;
  readonly readsTwice?: boolean;
  readonly readsBack?: boolean;
  readonly ownsTarget?: boolean;
  readonly partBytes?: number;
  readonly slabBudgetBytes?: number;
  readonly source?: Shape;
  readonly target?: Shape;
  readonly sourceFaults?: readonly Fault[];
  readonly targetFaults?: readonly Fault[];
  readonly sourcePrefix?: string;
  readonly targetPrefix?: string;
  readonly signal?: AbortSignal;
  /** Between the faults and the copy, as in a worker: retries for example. */
  readonly wrap?: (driver: StorageDriver) => StorageDriver;
  readonly threads?: number;
  /** Objects of a shard that are worked on at once. */
  readonly concurrency?: number;
  /** A cursor may be reported after so many objects. */
  readonly cursorObjects?: number;
  /** Memory for objects that wait in a shard's window; with 0 four times `concurrency` are looked ahead at. */
  readonly lookAheadBytes?: number;
  /** What is left of a shard is given away where it is worth so much. */
  readonly worthBytes?: number;
  /** Shards tell what only the target has. */
  readonly extrasMax?: number;
  /** What blobs that are named by an id must hash to. */
  readonly digests?: DigestIndex;
}

export interface LeftPart {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** Small, so that a few kilobytes are many parts. */
export const PART_BYTES = 4096;
const SLAB_BUDGET_BYTES = 4 * PART_BYTES;

export class CopyWorld {
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  readonly sourceDriver: FaultDriver;
  readonly targetDriver: FaultDriver;
  readonly counters: CounterReader;
  readonly ctx: CopyContext;
  /** Everything a thread told while it ran a shard. */
  readonly reports: WorkerReport[] = [];
  readonly sourcePrefix: string;
  readonly targetPrefix: string;
  readonly #names: readonly string[];
  readonly #threads: number;
  readonly #concurrency: number;
  readonly #shardOptions: ShardOptions;
  readonly #extrasMax: number | undefined;

  constructor(options: WorldOptions = {}) {
    const names = { source: `source-${randomUUID()}`, target: `target-${randomUUID()}` };
    this.#names = Object.values(names);
    this.#threads = options.threads ?? 2;
    this.#concurrency = options.concurrency ?? 8;
    const { cursorObjects, lookAheadBytes, worthBytes } = options;
    this.#shardOptions = {
      ...(cursorObjects === undefined ? {} : { cursorObjects }),
      ...(lookAheadBytes === undefined ? {} : { lookAheadBytes }),
      ...(worthBytes === undefined ? {} : { worthBytes }),
    };
    this.#extrasMax = options.extrasMax;
    this.source = storeNamed(names.source);
    this.target = storeNamed(names.target);
    this.sourcePrefix = options.sourcePrefix ?? '';
    this.targetPrefix = options.targetPrefix ?? '';
    this.sourceDriver = new FaultDriver(shaped(names.source, options.source), options.sourceFaults);
    this.targetDriver = new FaultDriver(shaped(names.target, options.target), options.targetFaults);
    const memory = allocateCounters(1);
    const counters = new CounterWriter(memory);
    this.counters = new CounterReader(memory);
    const wrap = options.wrap ?? ((driver) => driver);
    this.ctx = {
      source: wrap(this.sourceDriver),
      target: wrap(this.targetDriver),
      layout: options.layout ?? distributionLayout,
      slabs: new SlabPool(options.slabBudgetBytes ?? SLAB_BUDGET_BYTES, (delta) =>
        counters.gauge('slabBytesUsed', delta),
      ),
      counters,
      signal: options.signal ?? new AbortController().signal,
      isFrozen: options.isFrozen ?? false,
      readsTwice: options.readsTwice ?? false,
      ownsTarget: options.ownsTarget ?? true,
      partBytes: options.partBytes ?? PART_BYTES,
      readsBack: options.readsBack ?? false,
      report: (report) => void this.reports.push(report),
      uploads: new OpenUploads(),
      digests: options.digests,
    };
  }

  put(path: string, content: Uint8Array | string, attributes?: FileAttributes): string {
    this.source.put(this.sourcePrefix + path, Buffer.from(content), attributes);
    return path;
  }

  putTarget(path: string, content: Uint8Array | string): string {
    this.target.put(this.targetPrefix + path, Buffer.from(content), undefined);
    return path;
  }

  /** What the target holds, as text where it is text. */
  inTarget(path: string): Buffer | undefined {
    const stored = this.target.get(this.targetPrefix + path);
    return stored && Buffer.from(stored.bytes);
  }

  /** As a shard would find it: both sides as their listings have them right now. */
  async item(path: string): Promise<CopyItem> {
    const sourceKey = this.sourcePrefix + path;
    const targetKey = this.targetPrefix + path;
    const source = await listed(this.sourceDriver, sourceKey);
    assert.ok(source, `the source has no ${path}`);
    const target = await listed(this.targetDriver, targetKey);
    return { path, classified: this.ctx.layout.classify(path), source, target, targetKey };
  }

  /** Nothing is visible under the path, half or whole. */
  assertAbsent(path: string): void {
    const length = this.inTarget(path)?.length;
    assert.equal(length, undefined, `the target shows ${length} bytes of ${path}`);
  }

  async copy(path: string): Promise<CopyOutcome> {
    return this.copyItem(await this.item(path));
  }

  copyItem(item: CopyItem): Promise<CopyOutcome> {
    return copyObject(this.ctx, item);
  }

  /** An upload as a run that was killed leaves it: begun, and some parts sent. */
  async leaveUpload(path: string, parts: readonly LeftPart[]): Promise<Upload> {
    const ctx = { signal: new AbortController().signal };
    // Not through the script: this is another process.
    const { multipart } = this.targetDriver.inner;
    assert.ok(multipart);
    const upload = await multipart.begin(ctx, this.targetPrefix + path);
    for (const { number, bytes } of parts) {
      const sums = { crc32: crc32(bytes), sha256: hash('sha256', bytes, 'hex') };
      await multipart.putPart(ctx, upload, { number, offset: 0, body: bodyOfBytes(bytes), ...sums });
    }
    return upload;
  }

  /** Copies with uploads that an earlier run of the job left open. */
  async goOn(path: string, uploads: readonly Upload[]): Promise<CopyOutcome> {
    return copyObject({ ...this.ctx, uploads: new OpenUploads(uploads) }, await this.item(path));
  }

  plan(phase: Phase): Promise<readonly Shard[]> {
    const { source: driver, layout, signal } = this.ctx;
    const input = { driver, keyPrefix: this.sourcePrefix, layout, threads: this.#threads };
    return planShards({ signal }, input, phase);
  }

  /** @param given another thread's counters, reports or signal. */
  shard(shard: Shard, given: Partial<CopyContext> = {}, options: ShardOptions = {}): Promise<ShardOutcome> {
    return runShard({ ...this.ctx, ...given }, this.settings(), shard, {
      ...this.#shardOptions,
      ...options,
    });
  }

  /** Everything of one phase, as one shard. */
  wholePhase(phase: Phase): Promise<ShardOutcome> {
    const prefix = phase === 'blobs' ? (this.ctx.layout.blobPrefixes[0] ?? '') : '';
    return this.shard({ id: `${phase}-1`, phase, range: { prefix } });
  }

  /** One pass over everything: both phases, each with its shards side by side. */
  async pass(): Promise<readonly ShardOutcome[]> {
    const outcomes: ShardOutcome[] = [];
    for (const phase of ['blobs', 'names'] as const) {
      const shards = await this.plan(phase);
      outcomes.push(...(await Promise.all(shards.map((shard) => this.shard(shard)))));
    }
    for (const { stoppedBy } of outcomes) if (stoppedBy !== undefined) throw stoppedBy;
    return outcomes;
  }

  /** Only what a shard itself looks at; who opens drivers is not asked here. */
  settings(): PassSettings {
    const { ctx } = this;
    const spec = (name: string) => ({ storage: { kind: 'memory', name }, engine: 'direct' }) as const;
    return {
      jobId: 'test',
      source: spec('source'),
      target: spec('target'),
      sourcePrefix: this.sourcePrefix,
      targetPrefix: this.targetPrefix,
      layout: ctx.layout.name,
      isFrozen: ctx.isFrozen,
      readsTwice: ctx.readsTwice,
      ownsTarget: ctx.ownsTarget,
      concurrency: this.#concurrency,
      partBytes: ctx.partBytes,
      slabBudgetBytes: ctx.slabs.budgetBytes,
      outageMsMax: 60_000,
      ...(this.#extrasMax === undefined ? {} : { extrasMax: this.#extrasMax }),
    };
  }

  /** What must be true whatever happened: nothing half-done is left anywhere. */
  async end(): Promise<void> {
    try {
      this.sourceDriver.assertUsedUp();
      this.targetDriver.assertUsedUp();
      assert.equal(this.ctx.slabs.usedBytes, 0, 'slabs are still in use');
      for (const gauge of ['slabBytesUsed', 'objectsInFlight', 'bytesInFlight'] as const) {
        assert.equal(this.counters.gauge(gauge), 0, `${gauge} is not back to 0`);
      }
      const largest = await this.ctx.slabs.acquire(this.ctx.slabs.slabBytesMax, AbortSignal.timeout(20_000));
      largest.release();
      assert.deepEqual([...this.target.uploads.values()], [], 'an upload was left open');
      assert.equal(this.source.uploads.size, 0);
      const wrote = this.sourceDriver.calls.filter(
        ({ operation }) => !['list', 'stat', 'read'].includes(operation),
      );
      assert.deepEqual(wrote, [], 'something was written to the source');
    } finally {
      for (const name of this.#names) forgetStore(name);
    }
  }
}

async function listed(driver: FaultDriver, key: string): Promise<ObjectInfo | undefined> {
  const { signal } = new AbortController();
  try {
    // Not through the script: it counts what copying does.
    return await driver.inner.stat({ signal }, key);
  } catch (error) {
    if (isStorageError(error, 'not-found')) return undefined;
    throw error;
  }
}

function shaped(name: string, shape: Shape = {}): StorageDriver {
  const inner = openMemoryDriver(
    { kind: 'memory', name },
    shape.pageObjectsMax === undefined ? {} : { pageObjectsMax: shape.pageObjectsMax },
  );
  const { multipart } = inner;
  assert.ok(multipart && inner.streamUpload);
  return {
    kind: inner.kind,
    name: inner.name,
    facts: { ...inner.facts, ...shape.facts },
    ...(shape.multipart === 'none' ? {} : { multipart: reshaped(multipart, shape) }),
    ...(shape.hasStreamUpload ? { streamUpload: inner.streamUpload } : {}),
    list: (ctx, query) => {
      const pages = inner.list(ctx, query);
      return shownPages(shape.asksBeforeFolders ? prunedPages(pages, query) : pages, shape);
    },
    stat: async (ctx, key) => shown(await inner.stat(ctx, key), shape),
    read: async (ctx, key, into, options) => shown(await inner.read(ctx, key, into, options), shape),
    write: (ctx, key, body, options) => inner.write(ctx, key, body, shape.checksNothing ? {} : options),
    remove: (ctx, key) => inner.remove(ctx, key),
    flush: (ctx) => inner.flush(ctx),
    close: () => inner.close(),
  };
}

function reshaped(inner: MultipartFacet, shape: Shape): MultipartFacet {
  const { partBytesMin, partBytesMax, partsMax, partChecksum } =
    shape.multipart === 'none' ? {} : (shape.multipart ?? {});
  const checksum = partChecksum ?? inner.partChecksum;
  return {
    partBytesMin: partBytesMin ?? inner.partBytesMin,
    partBytesMax: partBytesMax ?? inner.partBytesMax,
    partsMax: partsMax ?? inner.partsMax,
    partChecksum: checksum,
    begin: (ctx, key) => inner.begin(ctx, key),
    putPart: (ctx, upload, part) => {
      if (checksum === 'crc32') assert.notEqual(part.crc32, undefined, 'a part came without its CRC-32');
      if (checksum === 'sha256') assert.notEqual(part.sha256, undefined, 'a part came without its sha256');
      const { number, offset, body } = part;
      return inner.putPart(ctx, upload, shape.checksNothing ? { number, offset, body } : part);
    },
    complete: (ctx, upload, parts, options) => {
      assert.deepEqual(
        parts.map((part) => part.number),
        parts.map((_, index) => index + 1),
        'the parts do not ascend',
      );
      if (checksum === 'crc32')
        assert.notEqual(options.crc32, undefined, 'the whole came without its CRC-32');
      return inner.complete(ctx, upload, parts, options);
    },
    abort: (ctx, upload) => inner.abort(ctx, upload),
    listParts: async (ctx, upload) => {
      const { keepsOfParts } = shape;
      const parts = await inner.listParts(ctx, upload);
      if (!keepsOfParts) return parts;
      return parts.map(({ md5, crc32: sum, ...part }) => ({
        ...part,
        ...(keepsOfParts.includes('md5') && md5 !== undefined ? { md5 } : {}),
        ...(keepsOfParts.includes('crc32') && sum !== undefined ? { crc32: sum } : {}),
      }));
    },
    listUploads: (ctx, prefix) => inner.listUploads(ctx, prefix),
  };
}

function shown<T extends ObjectInfo | ReadResult>(answer: T, { hides = [], md5Is }: Shape): T {
  const entries = Object.entries(answer).filter(([name]) => !hides.some((hidden) => hidden === name));
  const kept = Object.fromEntries(entries) as unknown as T;
  return md5Is === undefined ? kept : { ...kept, md5: md5Is };
}

async function* prunedPages(pages: AsyncIterable<ListPage>, query: ListQuery): AsyncGenerator<ListPage> {
  const answers = new Map<string, boolean>();
  const isAsked = (folder: string): boolean => {
    let answer = answers.get(folder);
    if (answer === undefined) {
      answer = query.prune?.(folder) ?? false;
      answers.set(folder, answer);
    }
    return answer;
  };
  const isIn = ({ key }: ObjectInfo): boolean => {
    for (let at = key.indexOf('/', query.prefix.length); at >= 0; at = key.indexOf('/', at + 1)) {
      if (isAsked(key.slice(0, at + 1))) return false;
    }
    return true;
  };
  for await (const page of pages) yield { ...page, objects: page.objects.filter(isIn) };
}

async function* shownPages(pages: AsyncIterable<ListPage>, shape: Shape): AsyncGenerator<ListPage> {
  for await (const page of pages) {
    const objects = page.objects.map((object): ObjectInfo => {
      const isHidden = shape.listsAsEmpty?.(object.key) === true;
      return isHidden ? { key: object.key, sizeBytes: 0, isSizeUnsure: true } : shown(object, shape);
    });
    yield { ...page, objects };
  }
}

/** Runs a test in a world of its own; ends with the checks of `end`, unless the test itself failed. */
export async function inWorld(
  options: WorldOptions,
  test: (world: CopyWorld) => Promise<void>,
): Promise<void> {
  const world = new CopyWorld(options);
  await test(world);
  await world.end();
}

export function assertCopied(outcome: CopyOutcome, proof: 'digest' | 'stored' | 'twice' | 'none'): void {
  if (outcome.state !== 'copied') {
    assert.fail(`not copied but ${outcome.state}: ${'error' in outcome ? outcome.error.message : ''}`);
  }
  assert.equal(outcome.proof, proof);
}

export function assertNotCopied(
  outcome: CopyOutcome,
  state: 'failed' | 'damaged' | 'unsettled' | 'vanished' | 'conflict',
  message: RegExp,
): void {
  assert.equal(outcome.state, state, 'error' in outcome ? outcome.error.message : '');
  assert.ok('error' in outcome);
  assert.match(outcome.error.message, message);
}
