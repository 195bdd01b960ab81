/**
 * Whole passes from each backend to another, through the real coordinator and threads, over a source that changes at the
 * moments a test chooses: what the words of the summary are tried with.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startS3Server } from '../../bench/s3-server/s3-server.ts';
import { openDriver } from '../../src/cli/composition.ts';
import { runCopy } from '../../src/coordinator/coordinator.ts';
import type { CounterReader } from '../../src/core/counters.ts';
import { type CopyOptions, type CopySummary, exitCodeOf } from '../../src/core/job.ts';
import { openMemoryDriver } from '../../src/drivers/memory/memory-driver.ts';
import { forgetStore, storeNamed } from '../../src/drivers/memory/memory-store.ts';
import type { S3Spec, StorageSpec } from '../../src/drivers/spec.ts';
import { type S3Access, S3Bucket } from '../support/s3-bucket.ts';
import { tempFolderFor } from '../support/temp.ts';
import { readTree, type Tree } from '../support/tree.ts';

/** 3 parts where parts have 5 MiB, the least that S3 takes. */
export const PART_BYTES = 5 * 1024 ** 2;
export const LARGE_BYTES = 11 * 1024 ** 2;

export interface AskedCall {
  readonly type: 'read' | 'fill';
  readonly key?: string;
  readonly offset?: number;
}

export interface Question {
  readonly from: string;
  readonly id: number;
  readonly call: AskedCall;
}

export interface Answer {
  /** Bytes of what is read that come out wrong. */
  readonly flips?: readonly { readonly at: number; readonly by: number }[];
  /** For a source in memory, whose store is the thread's own. */
  readonly put?: readonly { readonly path: string; readonly bytes: Uint8Array }[];
  readonly remove?: readonly string[];
}

interface Hooks {
  after(fn: () => Promise<void>): void;
}

/** Where objects come from or go to; `root` is empty at first. */
export interface End {
  readonly storage: StorageSpec;
  put(path: string, bytes: Uint8Array): Promise<Answer>;
  remove(path: string): Promise<Answer>;
  tree(): Promise<Tree>;
  /** Keys of uploads that are still open. */
  openUploads(): Promise<readonly string[]>;
}

export type EndKind = 'memory' | 'fs' | 'fs (rename)' | 's3' | 's3 (opaque ETags)';

export interface Way {
  readonly name: string;
  readonly from: EndKind;
  readonly to: EndKind;
  readonly engine: 'direct' | 'sdk';
}

export function way(from: EndKind, to: EndKind, engine: Way['engine'] = 'direct'): Way {
  return { name: `${from} to ${to}${engine === 'sdk' ? ' by the SDK engine' : ''}`, from, to, engine };
}

/** Every driver that exists as a source, each of them once. */
export const WAYS: readonly Way[] = [
  way('memory', 'fs'),
  way('fs', 's3'),
  way('s3', 'fs'),
  way('s3', 's3', 'sdk'),
];

/** Further targets, and files that are replaced by a rename instead of being written over. */
export const MORE_WAYS: readonly Way[] = [
  way('fs (rename)', 'fs'),
  way('s3', 's3'),
  way('fs', 's3', 'sdk'),
  way('s3', 'fs', 'sdk'),
];

interface Opened {
  readonly access: S3Access;
  readonly bucket: S3Bucket;
  close(): Promise<void>;
}

/** Servers with one bucket each for the tests of a file; every run has roots of its own in them. */
export class Servers {
  readonly #opened = new Map<EndKind, Promise<Opened>>();
  readonly #real: S3Access | undefined;

  /** @param real stands in for the embedded server of kind `s3`. */
  constructor(real?: S3Access) {
    this.#real = real;
  }

  open(kind: EndKind): Promise<Opened> {
    const known = this.#opened.get(kind);
    if (known) return known;
    const opening = kind === 's3' && this.#real ? openReal(this.#real) : openEmbedded(kind !== 's3');
    this.#opened.set(kind, opening);
    return opening;
  }

  async close(): Promise<void> {
    for (const opening of this.#opened.values()) await (await opening).close();
  }
}

async function openReal(access: S3Access): Promise<Opened> {
  const bucket = await new S3Bucket(access, `words-${randomUUID()}`).create();
  return { access, bucket, close: async () => bucket.close() };
}

async function openEmbedded(opaqueEtags: boolean): Promise<Opened> {
  const server = await startS3Server({ buckets: ['words'], opaqueEtags });
  const access = { endpoint: server.endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' };
  const bucket = new S3Bucket(access, 'words');
  return {
    access,
    bucket,
    close: async () => {
      bucket.close();
      await server.close();
    },
  };
}

async function makeEnd(test: Hooks, kind: EndKind, servers: Servers): Promise<End> {
  if (kind === 'memory') return memoryEnd(test);
  if (kind.startsWith('fs')) return folderEnd(await tempFolderFor(test, 'words'), kind === 'fs (rename)');
  return bucketEnd(await servers.open(kind), randomUUID());
}

function memoryEnd(test: Hooks): End {
  const name = `words-${randomUUID()}`;
  test.after(async () => forgetStore(name));
  const store = storeNamed(name);
  return {
    storage: { kind: 'memory', name },
    put: async (path, bytes) => {
      store.put(path, bytes, undefined);
      return { put: [{ path, bytes }] };
    },
    remove: async (path) => {
      store.remove(path);
      return { remove: [path] };
    },
    tree: () => assert.fail('A store in memory is the source only'),
    openUploads: async () => [],
  };
}

function folderEnd(root: string, byRename: boolean): End {
  return {
    storage: { kind: 'fs', rootDirectory: root },
    put: async (path, bytes) => {
      const file = join(root, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(byRename ? `${root}.new` : file, bytes);
      if (byRename) await rename(`${root}.new`, file);
      return {};
    },
    remove: async (path) => {
      await rm(join(root, path));
      return {};
    },
    tree: () => readTree(root),
    // What an upload leaves is a file in the tree.
    openUploads: async () => [],
  };
}

function bucketEnd({ access, bucket }: Opened, root: string): End {
  const { endpoint, accessKeyId, secretAccessKey } = access;
  const storage: S3Spec = {
    kind: 's3',
    bucket: bucket.name,
    rootDirectory: root,
    region: 'us-east-1',
    endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: { accessKeyId, secretAccessKey },
    encrypt: false,
  };
  const prefix = `${root}/`;
  return {
    storage,
    put: async (path, bytes) => {
      await bucket.put(prefix + path, bytes);
      return {};
    },
    remove: async (path) => {
      await bucket.remove(prefix + path);
      return {};
    },
    tree: () => bucket.readTree(prefix),
    openUploads: async () => (await bucket.openUploads()).filter((key) => key.startsWith(prefix)),
  };
}

/** Answers one read of the source; `nth` counts the reads of this key from 1. */
export type Script = (key: string, nth: number, offset: number) => Promise<Answer | undefined> | undefined;

export interface Pass {
  readonly summary: CopySummary;
  readonly exitCode: number;
  readonly counters: CounterReader;
  /** What the target holds in the end, temporary files included. */
  readonly tree: Tree;
  /** How often each key of the source was read. */
  readonly reads: ReadonlyMap<string, number>;
}

/** A source and a target of a test's own, with passes from one to the other. */
export class Words {
  readonly source: End;
  readonly target: End;
  readonly #engine: Way['engine'];
  readonly #objects = new Map<string, Uint8Array>();
  readonly #journal: string;

  private constructor(ends: { source: End; target: End; journal: string }, engine: Way['engine']) {
    this.source = ends.source;
    this.target = ends.target;
    this.#journal = ends.journal;
    this.#engine = engine;
  }

  static async between(test: Hooks, { from, to, engine }: Way, servers: Servers): Promise<Words> {
    const source = await makeEnd(test, from, servers);
    const target = await makeEnd(test, to, servers);
    return new Words({ source, target, journal: await tempFolderFor(test, 'words-journal') }, engine);
  }

  async put(path: string, content: Uint8Array | string): Promise<void> {
    const bytes = Buffer.from(content);
    this.#objects.set(path, bytes);
    await this.source.put(path, bytes);
  }

  async pass(given: Partial<CopyOptions> = {}, script: Script = () => undefined): Promise<Pass> {
    const name = `words-${randomUUID()}`;
    const reads = new Map<string, number>();
    const channel = new BroadcastChannel(name);
    channel.onmessage = (event) => {
      const { data } = event as { data: Question };
      void this.#answer(data.call, reads, script).then((answer) =>
        channel.postMessage({ to: data.from, id: data.id, answer }),
      );
    };
    process.env['BLOBFERRY_TEST_WORDS'] = name;
    let counters: CounterReader | undefined;
    try {
      const summary = await runCopy(
        {
          source: this.source.storage,
          target: this.target.storage,
          options: { ...this.#options(), ...given },
        },
        {
          openDriver: async (spec, role) =>
            spec.storage.kind === 'memory' ? openMemoryDriver(spec.storage) : openDriver(spec, role),
          workerUrl: new URL('./words-worker.ts', import.meta.url),
          onEvent: () => undefined,
          onCounters: (reader) => {
            counters = reader;
          },
          signal: new AbortController().signal,
        },
      );
      assert.ok(counters);
      assert.deepEqual(await this.target.openUploads(), [], 'an upload was left open');
      const tree = await this.target.tree();
      return { summary, exitCode: exitCodeOf(summary), counters, tree, reads };
    } finally {
      delete process.env['BLOBFERRY_TEST_WORDS'];
      channel.close();
    }
  }

  async #answer(call: AskedCall, reads: Map<string, number>, script: Script): Promise<Answer> {
    if (call.type === 'fill' || call.key === undefined) {
      return { put: [...this.#objects].map(([path, bytes]) => ({ path, bytes })) };
    }
    const { storage } = this.source;
    const path = storage.kind === 's3' ? call.key.slice(storage.rootDirectory.length + 1) : call.key;
    const nth = (reads.get(path) ?? 0) + 1;
    reads.set(path, nth);
    return (await script(path, nth, call.offset ?? 0)) ?? {};
  }

  #options(): CopyOptions {
    return {
      layout: 'auto',
      isFrozen: false,
      threads: 1,
      concurrency: 'auto',
      partBytes: PART_BYTES,
      memoryBytes: 1024 ** 3,
      engine: this.#engine,
      // What a read or a write meets is tried here; copies inside a service have tests of their own.
      serverSide: 'never',
      readsTwice: false,
      intoNonempty: false,
      keepGoing: false,
      deletesExtra: false,
      deleteMax: 1_000,
      abortsUploads: false,
      outageMsMax: 60_000,
      journalDirectory: this.#journal,
    };
  }
}
