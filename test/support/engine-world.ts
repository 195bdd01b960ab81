/** Two storages, real folders or embedded S3 servers, and the engine of a migration between them. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FaultScript } from '../../bench/s3-server/faults/fault.ts';
import type { RequestRecord } from '../../bench/s3-server/request-log.ts';
import { startS3Server } from '../../bench/s3-server/s3-server.ts';
import { type MigrationEngineInput, openMigrationEngine } from '../../src/cli/migration/open-engine.ts';
import type { StorageSpec } from '../../src/drivers/spec.ts';
import { DigestIndexWriter } from '../../src/layout/digests/write-digest-index.ts';
import type { EngineOptions } from '../../src/platform/engine/parts.ts';
import type { CallEpoch, EngineCall, EnginePort } from '../../src/platform/engine-port.ts';
import { S3Bucket } from './s3-bucket.ts';
import { sha256Hex } from './seeded.ts';
import { type Afterwards, tempFolderFor } from './temp.ts';

/** One storage, seen past the engine. */
interface Side {
  readonly spec: StorageSpec;
  /** @param storageClass of a server: an archive, say. */
  put(
    objects: Iterable<readonly [path: string, content: Uint8Array | string]>,
    storageClass?: string,
  ): Promise<void>;
  get(path: string): Promise<Uint8Array | undefined>;
  remove(path: string): Promise<void>;
  paths(): Promise<readonly string[]>;
  /** Requests since the last call; none of a folder. */
  requests(): Promise<readonly RequestRecord[]>;
  /** Of a server. @returns what ends it. */
  misbehave(script: FaultScript): Promise<() => Promise<void>>;
}

export type SideKind = 'fs' | 's3';

const ACCESS = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };

async function openSide(test: Afterwards, kind: SideKind, label: string): Promise<Side> {
  return kind === 'fs' ? await openFolder(test, label) : await openBucket(test);
}

async function openFolder(test: Afterwards, label: string): Promise<Side> {
  const root = join(await tempFolderFor(test, `engine-${label}`), 'root');
  await mkdir(root);
  const at = (path: string): string => join(root, path);
  return {
    spec: { kind: 'fs', rootDirectory: root },
    put: async (objects) => {
      for (const [path, content] of objects) {
        await mkdir(dirname(at(path)), { recursive: true });
        await writeFile(at(path), content);
      }
    },
    get: async (path) => await readFile(at(path)).catch(() => undefined),
    remove: async (path) => await rm(at(path)),
    paths: async () => {
      const found = await readdir(root, { recursive: true, withFileTypes: true });
      const files = found.filter((entry) => entry.isFile());
      return files.map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1)).sort();
    },
    requests: async () => [],
    misbehave: () => Promise.reject(new TypeError('A folder has no server')),
  };
}

async function openBucket(test: Afterwards): Promise<Side> {
  const server = await startS3Server({ ...ACCESS, buckets: ['box'], logsRequests: true });
  const bucket = new S3Bucket({ ...ACCESS, endpoint: server.endpoint }, 'box');
  test.after(async () => {
    bucket.close();
    await server.close();
  });
  return {
    spec: {
      kind: 's3',
      bucket: 'box',
      rootDirectory: '',
      region: 'us-east-1',
      endpoint: server.endpoint,
      isPathStyle: true,
      skipsTlsVerify: false,
      encrypt: false,
      credentials: ACCESS,
    },
    put: async (objects, storageClass) => {
      const more =
        storageClass === undefined ? {} : { attributes: [['x-amz-storage-class', storageClass]] as const };
      const plain = [...objects].map(([key, content]) => ({ key, body: Buffer.from(content), ...more }));
      await server.put('box', plain);
    },
    get: async (path) => await server.get('box', path),
    remove: async (path) => await bucket.remove(path),
    paths: async () => (await server.keys('box')).map(({ key }) => key).sort(),
    requests: async () => await server.takeRequests(),
    misbehave: async (script) => {
      const fault = await server.misbehave(script);
      return () => fault.remove();
    },
  };
}

export interface EngineWorld {
  readonly source: Side;
  readonly target: Side;
  readonly engine: EnginePort;
  /** What it was opened with, for an engine in another process. */
  readonly parts: Omit<MigrationEngineInput, 'onNotice'>;
  /** Of the engine's journal. */
  readonly folder: string;
  /** Another engine for the same migration, as after a restart of the program. */
  reopen(): EnginePort;
}

export async function openEngineWorld(
  test: Afterwards,
  kinds: { readonly source: SideKind; readonly target: SideKind },
  more: Partial<EngineOptions> = {},
): Promise<EngineWorld> {
  const source = await openSide(test, kinds.source, 'source');
  const target = await openSide(test, kinds.target, 'target');
  const folder = join(await tempFolderFor(test, 'engine-journal'), 'journal');
  const options: EngineOptions = {
    layout: 'auto',
    threads: 2,
    concurrency: 'auto',
    partBytes: 'auto',
    memoryBytes: 512 * 1024 ** 2,
    engine: 'direct',
    serverSide: 'auto',
    readsTwice: false,
    outageMsMax: 60_000,
    journalDirectory: folder,
    ...more,
  };
  const parts = { source: source.spec, target: target.spec, options, env: {} };
  const reopen = (): EnginePort => openMigrationEngine({ ...parts, onNotice: () => undefined });
  return { source, target, engine: reopen(), parts, folder, reopen };
}

export function callWith(signal = new AbortController().signal): EngineCall {
  return { signal };
}

export function epochNamed(id: string, broke = new AbortController().signal): CallEpoch {
  return { id, broke };
}

/** An index of digests as a metadata backup gives it. */
export async function writeDigests(
  directory: string,
  name: string,
  rows: Iterable<readonly [id: string, content: Uint8Array | string]>,
): Promise<string> {
  const writer = await new DigestIndexWriter({ directory, name }, new AbortController().signal).open();
  for (const [id, content] of rows) if (writer.add({ id, sha256: sha256Hex(content) })) await writer.spill();
  return (await writer.finish()).path;
}
