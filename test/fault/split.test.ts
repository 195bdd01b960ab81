/** One shard holds nearly everything: its thread shares it with the one that would have nothing to do. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { openDriver } from '../../src/cli/composition.ts';
import { runCopy } from '../../src/coordinator/coordinator.ts';
import type { CopySummary } from '../../src/core/job.ts';
import type { StorageSpec } from '../../src/drivers/spec.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { tempFolderFor } from '../support/temp.ts';
import { OPTIONS } from '../unit/coordinator/journal-samples.ts';
import { linkText, tagPath } from '../unit/copy/registry-names.ts';
import type { Written } from './split-worker.ts';

const MIB = 1024 ** 2;
const KEYS = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };

let server: S3Server;
before(async () => {
  server = await startS3Server({ buckets: ['split'] });
});
after(() => server.close());

function bucketAt(rootDirectory: string): StorageSpec {
  return {
    kind: 's3',
    bucket: 'split',
    rootDirectory,
    region: 'us-east-1',
    endpoint: server.endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: KEYS,
    encrypt: false,
  };
}

type Objects = ReadonlyMap<string, Uint8Array>;

/** A folder with so many objects, among folders with one each. */
function lopsided(count: number, sizeBytes = 20): Objects {
  const objects = new Map<string, Uint8Array>();
  for (let at = 0; at < count; at += 1) {
    const bytes = new Uint8Array(sizeBytes);
    bytes.set(Buffer.from(`object ${at}`));
    objects.set(`large/key-${String(at).padStart(6, '0')}`, bytes);
  }
  for (const name of 'abcdxyz') objects.set(`${name}/only`, Buffer.from(name));
  return objects;
}

async function putAll(storage: StorageSpec, objects: Objects): Promise<void> {
  if (storage.kind === 'fs') {
    for (const [path, bytes] of objects) {
      const file = join(storage.rootDirectory, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, bytes);
    }
    return;
  }
  assert.equal(storage.kind, 's3');
  const root = storage.kind === 's3' ? storage.rootDirectory : '';
  await server.put(
    'split',
    [...objects].map(([path, body]) => ({ key: `${root}/${path}`, body })),
  );
}

interface Copied {
  readonly summary: CopySummary;
  /** By thread, most first. */
  readonly objects: readonly number[];
  readonly split: number;
}

async function copy(
  test: TestContext,
  source: StorageSpec,
  objects: Objects,
  given: { readonly layout?: 'raw' | 'registry'; readonly dies?: string } = {},
): Promise<Copied> {
  const root = randomUUID();
  const name = `split-${root}`;
  const byThread = new Map<number, number>();
  const channel = new BroadcastChannel(name);
  channel.onmessage = (event) => {
    const { thread, objects: count } = (event as { data: Written }).data;
    byThread.set(thread, (byThread.get(thread) ?? 0) + count);
  };
  const journalDirectory = await tempFolderFor(test, 'split-journal');
  process.env['BLOBFERRY_TEST_SPLIT'] = name;
  process.env['BLOBFERRY_TEST_SPLIT_DIES'] = given.dies ?? '';
  process.env['BLOBFERRY_TEST_SPLIT_FLAG'] = join(journalDirectory, 'died');
  let split = 0;
  try {
    const summary = await runCopy(
      {
        source,
        target: bucketAt(root),
        options: {
          ...OPTIONS,
          layout: given.layout ?? 'raw',
          isFrozen: true,
          threads: 2,
          concurrency: 4,
          memoryBytes: 512 * MIB,
          journalDirectory,
        },
      },
      {
        openDriver,
        workerUrl: new URL('./split-worker.ts', import.meta.url),
        onEvent: (event) => {
          if (event.event === 'split') split += event.into.length;
        },
        onCounters: () => undefined,
        signal: new AbortController().signal,
      },
    );
    for (let count = 0; count < 5; count += 1) await turn();
    const bucket = new S3Bucket({ endpoint: server.endpoint, ...KEYS }, 'split');
    const keys = [...(await bucket.list(`${root}/`)).keys()].map((key) => key.slice(root.length + 1));
    bucket.close();
    assert.deepEqual(keys.sort(), [...objects.keys()].sort());
    // What a thread wrote and had not counted when it died is met as equal.
    assert.equal(summary.objectsCopied + summary.objectsSkipped, objects.size);
    if (given.dies === undefined) assert.equal(summary.objectsSkipped, 0);
    assert.equal(summary.isComplete, true, JSON.stringify(summary.stoppedBy));
    assert.equal(summary.shardsSplit, split);
    return { summary, objects: [...byThread.values()].sort((one, two) => two - one), split };
  } finally {
    channel.close();
  }
}

function assertShared({ objects }: Copied, total: number): void {
  const [, second = 0] = objects;
  assert.ok(second >= total / 4, `objects by thread: ${objects.join(', ')}`);
}

describe('A shard that is much larger than all others', () => {
  it('of 20,000 objects keeps both threads busy', async (t) => {
    const source = bucketAt(randomUUID());
    const objects = lopsided(20_000);
    await putAll(source, objects);
    const copied = await copy(t, source, objects);
    assert.ok(copied.split > 0);
    assertShared(copied, objects.size);
  });

  it('is shared where it is one folder of a file system', async (t) => {
    const source = { kind: 'fs', rootDirectory: await tempFolderFor(t, 'split-source') } as const;
    const objects = lopsided(6_000);
    await putAll(source, objects);
    assertShared(await copy(t, source, objects), objects.size);
  });

  it('is shared between repositories, and none is parted', async (t) => {
    const source = bucketAt(randomUUID());
    const objects = new Map<string, Uint8Array>();
    for (let at = 0; at < 2_000; at += 1) {
      const name = `team/app-${String(at % 200).padStart(3, '0')}`;
      objects.set(tagPath(name, `v${at}`), Buffer.from(linkText(`${at}`)));
    }
    await putAll(source, objects);
    assertShared(await copy(t, source, objects, { layout: 'registry' }), objects.size);
  });

  it('of few large objects gives those away that wait', async (t) => {
    const source = bucketAt(randomUUID());
    const objects = lopsided(8, 17 * MIB);
    await putAll(source, objects);
    const copied = await copy(t, source, objects);
    assert.ok(copied.split > 0);
    const [, second = 0] = copied.objects;
    assert.ok(second >= 2, `objects by thread: ${copied.objects.join(', ')}`);
  });

  for (const dies of ['probe', 'shared']) {
    it(`is copied once though a thread dies (${dies})`, async (t) => {
      const source = bucketAt(randomUUID());
      const objects = lopsided(3_000);
      await putAll(source, objects);
      const { summary, split } = await copy(t, source, objects, { dies });
      assert.ok(split > 0);
      assert.match(summary.warnings.join('\n'), /A worker thread died because it ended with code 9/);
    });
  }
});
