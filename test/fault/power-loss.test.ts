/** Whatever is said to be done survives a power cut: bytes, names, and the folders above them. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { CopyContext } from '../../src/copy/context.ts';
import { OpenUploads } from '../../src/copy/open-uploads.ts';
import { runShard } from '../../src/copy/run-shard.ts';
import type { PassSettings, Shard, WorkerReport } from '../../src/copy/shard.ts';
import { SlabPool } from '../../src/copy/slab-pool.ts';
import { compareUtf8 } from '../../src/core/byte-order.ts';
import { allocateCounters, CounterReader, CounterWriter } from '../../src/core/counters.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import { openFsDriver } from '../../src/drivers/fs/fs-driver.ts';
import { distributionLayout } from '../../src/layout/distribution.ts';
import { seededBytes } from '../support/seeded.ts';
import { tempFolderFor } from '../support/temp.ts';
import { blobPath, layerLinkPath, linkText, tagPath } from '../unit/copy/registry-names.ts';
import { PowerCut } from './power-cut.ts';

const { signal } = new AbortController();
const ctx = { signal };
const body = bodyOfBytes(Buffer.from('content'));
const PART_BYTES = 4_096;

interface World {
  readonly root: string;
  readonly record: PowerCut;
  target(): Promise<StorageDriver>;
  /** Fails with the first of these keys that a power cut would take. */
  assertSafe(keys: Iterable<string>): void;
}

async function makeWorld(t: TestContext): Promise<World> {
  const root = await tempFolderFor(t, 'power');
  const record = new PowerCut();
  return {
    root,
    record,
    target: () =>
      openFsDriver({ kind: 'fs', rootDirectory: root }, { role: 'target', calls: record.calls() }),
    assertSafe: (keys) => {
      for (const key of keys) assert.equal(record.whyLost(join(root, key)), undefined, key);
    },
  };
}

describe('flush() and a power cut', () => {
  it('leaves nothing that was written to be lost', async (t) => {
    const world = await makeWorld(t);
    const driver = await world.target();
    const keys = ['top', 'a/1', 'a/b/c/d/2', 'a/b/3'];
    for (const key of keys) await driver.write(ctx, key, body, {});
    assert.match(world.record.whyLost(join(world.root, 'a/1')) ?? '', /was not flushed/);
    await driver.flush(ctx);
    world.assertSafe(keys);
    // Replaced: the new bytes need their name again.
    await driver.write(ctx, 'a/1', body, {});
    assert.match(world.record.whyLost(join(world.root, 'a/1')) ?? '', /was not flushed/);
    await driver.flush(ctx);
    world.assertSafe(keys);
  });

  it('covers an upload in parts, however its parts came', async (t) => {
    const world = await makeWorld(t);
    const driver = await world.target();
    const { multipart } = driver;
    assert.ok(multipart);
    const upload = await multipart.begin(ctx, 'a/large');
    const part = (number: number) => ({ number, offset: (number - 1) * body.sizeBytes, body });
    const second = await multipart.putPart(ctx, upload, part(2));
    const third = await multipart.putPart(ctx, upload, part(3));
    const first = await multipart.putPart(ctx, upload, part(1));
    await multipart.complete(ctx, upload, [first, second, third], { sizeBytes: 3 * body.sizeBytes });
    await driver.flush(ctx);
    world.assertSafe(['a/large']);
  });

  it('covers folders that another thread made and has not flushed yet', async (t) => {
    const world = await makeWorld(t);
    const [one, two] = [await world.target(), await world.target()];
    await one.write(ctx, 'a/b/c/1', body, {});
    await two.write(ctx, 'a/b/c/2', body, {});
    await two.write(ctx, 'a/b/d/3', body, {});
    await two.flush(ctx);
    world.assertSafe(['a/b/c/2', 'a/b/d/3']);
  });

  it('covers folders that a run made which was killed before it flushed them', async (t) => {
    const world = await makeWorld(t);
    await (await world.target()).write(ctx, 'a/b/1', body, {});
    const next = await world.target();
    await next.write(ctx, 'a/b/2', body, {});
    await next.flush(ctx);
    world.assertSafe(['a/b/2']);
  });

  it('covers, where all is asked for, what a killed run left and this one has not touched', async (t) => {
    const world = await makeWorld(t);
    await (await world.target()).write(ctx, 'a/b/1', body, {});
    const next = await world.target();
    await next.write(ctx, 'c/2', body, {});
    await next.flush(ctx);
    assert.match(world.record.whyLost(join(world.root, 'a/b/1')) ?? '', /was not flushed/);
    await next.flush(ctx, 'all');
    world.assertSafe(['a/b/1', 'c/2']);
  });

  it('covers folders that a removal has looked at first', async (t) => {
    const world = await makeWorld(t);
    await (await world.target()).write(ctx, 'a/b/1', body, {});
    const next = await world.target();
    await next.remove(ctx, 'a/b/none');
    await next.write(ctx, 'a/b/2', body, {});
    await next.flush(ctx);
    world.assertSafe(['a/b/2']);
  });

  it('covers the name of a root that is made, as soon as it is opened', async (t) => {
    const { root, record } = await makeWorld(t);
    const spec = { kind: 'fs', rootDirectory: join(root, 'new') } as const;
    const openedBefore = record.flushedFolders.length;
    await openFsDriver(spec, { role: 'target', calls: record.calls() });
    assert.deepEqual(record.flushedFolders.slice(openedBefore), [root]);
    await openFsDriver(spec, { role: 'target', calls: record.calls() });
    assert.equal(record.flushedFolders.length, openedBefore + 1);
  });

  it('costs nothing for folders that have not changed since', async (t) => {
    const world = await makeWorld(t);
    const driver = await world.target();
    for (let at = 0; at < 50; at += 1) await driver.write(ctx, `a/b/${at}`, body, {});
    await driver.flush(ctx);
    const before = world.record.flushedFolders.length;
    await driver.flush(ctx);
    assert.equal(world.record.flushedFolders.length, before);
    await driver.write(ctx, 'a/b/more', body, {});
    await driver.flush(ctx);
    assert.deepEqual(world.record.flushedFolders.slice(before), [join(world.root, 'a/b')]);
  });
});

async function writeSource(root: string): Promise<readonly string[]> {
  const keys: string[] = [];
  const put = async (key: string, bytes: Uint8Array | string): Promise<void> => {
    await mkdir(dirname(join(root, key)), { recursive: true });
    await writeFile(join(root, key), bytes);
    keys.push(key);
  };
  for (let at = 0; at < 60; at += 1) {
    const content = seededBytes('power', `blob ${at}`, at % 10 === 0 ? 3 * PART_BYTES + at : 100 + at);
    await put(blobPath(content), content);
    await put(layerLinkPath(`app${at % 7}`, content), linkText(content));
    await put(tagPath(`app${at % 7}`, `v${at}`), linkText(content));
  }
  return keys;
}

const PASS: PassSettings = {
  jobId: 'power',
  source: { storage: { kind: 'memory', name: 'not asked' }, engine: 'direct' },
  target: { storage: { kind: 'memory', name: 'not asked' }, engine: 'direct' },
  sourcePrefix: '',
  targetPrefix: '',
  layout: 'distribution',
  isFrozen: true,
  readsTwice: false,
  ownsTarget: true,
  concurrency: 8,
  partBytes: PART_BYTES,
  slabBudgetBytes: 4 * PART_BYTES,
  outageMsMax: 60_000,
};

function contextOf(
  ends: { readonly source: StorageDriver; readonly target: StorageDriver },
  counters: CounterWriter,
  report: (report: WorkerReport) => void,
): CopyContext {
  return {
    ...ends,
    layout: distributionLayout,
    slabs: new SlabPool(PASS.slabBudgetBytes, () => undefined),
    counters,
    signal,
    isFrozen: true,
    readsTwice: false,
    ownsTarget: true,
    partBytes: PART_BYTES,
    readsBack: false,
    report,
    uploads: new OpenUploads(),
  };
}

describe('a shard and a power cut', () => {
  it('has made safe what its cursor passes, and everything when it is done, beside another thread', async (t) => {
    const world = await makeWorld(t);
    const sourceRoot = await tempFolderFor(t, 'power-source');
    const keys = await writeSource(sourceRoot);
    const memory = allocateCounters(2);
    let cursors = 0;
    const runs = ([7, 0xff] as const).map(async (firstDigits, thread): Promise<void> => {
      const prefix = 'docker/registry/v2/blobs/';
      const border = `${prefix}sha256/7f/`;
      const range = thread === 0 ? { prefix, upTo: border } : { prefix, after: border };
      const shard: Shard = { id: `blobs-${firstDigits}`, phase: 'blobs', range };
      const mine = keys.filter((key) => {
        const isLow = compareUtf8(key, border) <= 0;
        return key.startsWith(prefix) && (thread === 0 ? isLow : !isLow);
      });
      const source = await openFsDriver({ kind: 'fs', rootDirectory: sourceRoot }, { role: 'source' });
      const base = contextOf(
        { source, target: await world.target() },
        new CounterWriter(memory),
        (report) => {
          if (report.type !== 'cursor' || report.after === undefined) return;
          cursors += 1;
          const { after } = report;
          world.assertSafe(mine.filter((key) => compareUtf8(key, after) <= 0));
        },
      );
      const outcome = await runShard(base, PASS, shard, { cursorObjects: 5 });
      assert.deepEqual([outcome.stoppedBy, outcome.exceptions], [undefined, []]);
      world.assertSafe(mine);
    });
    await Promise.all(runs);
    assert.ok(cursors >= 2, `${cursors} cursors show little`);
    assert.equal(new CounterReader(memory).objects('copied', 'blob'), 60);
  });

  it('has made names safe, too', async (t) => {
    const world = await makeWorld(t);
    const sourceRoot = await tempFolderFor(t, 'power-source');
    const names = (await writeSource(sourceRoot)).filter((key) => key.includes('/repositories/'));
    const source = await openFsDriver({ kind: 'fs', rootDirectory: sourceRoot }, { role: 'source' });
    const counters = new CounterWriter(allocateCounters(1));
    const base = contextOf({ source, target: await world.target() }, counters, () => undefined);
    const outcome = await runShard(base, PASS, { id: 'names-1', phase: 'names', range: { prefix: '' } });
    assert.deepEqual([outcome.stoppedBy, outcome.exceptions], [undefined, []]);
    world.assertSafe(names);
  });
});
