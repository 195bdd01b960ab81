/** Copies inside one service that goes wrong: what they come to, and how it is known. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertHolds } from '../support/outage-world.ts';
import { INSIDE, LARGE, proofsOf, ServiceWorld } from '../support/service-world.ts';

const MIB = 1024 ** 2;
const DENIED = { kind: 'status', status: 403, code: 'AccessDenied' } as const;

describe('a copy inside one service that computes sha256', () => {
  for (const [what, given] of [
    ['it is told to', { serverSide: 'never' }],
    ['every object is to be read back', { readsBack: true }],
  ] as const) {
    it(`streams everything where ${what}`, async (t) => {
      const world = await ServiceWorld.start(t);
      const { summary } = await world.copy(given);
      assert.equal(summary.serverSide.way, 'none');
      assert.deepEqual([summary.objectsServerSide, proofsOf(summary).service], [0, 0]);
      assert.equal((await world.server.stats()).requestsByOperation.CopyObject, undefined);
      await assertHolds(world.server, 'target', world.tree);
    });
  }

  it('does not take the sum that an object already had for a computed one', async (t) => {
    const world = await ServiceWorld.start(t);
    // What a stream wrote has a sha256 kept with it: the service may well hand that on instead of computing.
    await world.copy({ serverSide: 'never' });
    const places = { source: 'target', target: 'source', root: 'third' };
    const { summary, exitCode } = await world.copy({ journalDirectory: `${world.journal}/third` }, places);
    assert.equal(exitCode, 0);
    // Those in parts have none.
    assert.equal(proofsOf(summary).service, LARGE);
    assert.equal(proofsOf(summary).readBack, 0);
  });

  it('finds a copy that the service made wrongly, and reads the object instead', async (t) => {
    const world = await ServiceWorld.start(t);
    const faults = await world.server.misbehave(
      [world.blob(0), world.blob(2)].map((key) => ({
        fault: { kind: 'flip-copy', offset: 1_000 },
        bucket: 'target',
        operation: 'CopyObject',
        key,
      })),
    );
    const { summary, exitCode } = await world.copy();
    await faults.assertUsedUp();
    assert.equal(exitCode, 0);
    assert.equal(summary.serverCopiesWrong, 2);
    assert.equal(proofsOf(summary).service, INSIDE - 2);
    await assertHolds(world.server, 'target', world.tree);
  });

  for (const isFrozen of [false, true]) {
    it(`says of a damaged blob what a ${isFrozen ? 'frozen' : 'live'} pass says of it`, async (t) => {
      const world = await ServiceWorld.start(t);
      const damaged = world.blob(2);
      const bytes = Buffer.from(world.tree.objects.get(damaged) ?? []);
      bytes[5] = (bytes[5] ?? 0) ^ 1;
      await world.server.put('source', [{ key: damaged, body: bytes }]);
      const { summary, exitCode } = await world.copy({ isFrozen });
      assert.equal(exitCode, isFrozen ? 3 : 1);
      assert.equal(isFrozen ? summary.objectsDamaged : summary.objectsUnsettled, 1);
      assert.equal((await world.server.get('target', damaged))?.length, undefined, 'it is not in the target');
      assert.equal(summary.objectsServerSide, INSIDE - 1);
    });
  }

  it('begins again with an object that changes between the look and the copy', async (t) => {
    const world = await ServiceWorld.start(t);
    const key = world.blob(3);
    const right = world.tree.objects.get(key) ?? Buffer.alloc(0);
    await world.server.put('source', [{ key, body: Buffer.from(right).reverse() }]);
    const replaced = await world.server.misbehave({
      fault: { kind: 'status', status: 412, code: 'PreconditionFailed' },
      operation: 'CopyObject',
      bucket: 'target',
      key,
    });
    const mended = (async () => {
      while ((await replaced.used())[0] === 0) await new Promise(setImmediate);
      await world.server.put('source', [{ key, body: right }]);
    })();
    const { summary } = await world.copy({ concurrency: 1 });
    await mended;
    // Whichever of the two was found when it was looked at again: wrong bytes were not left there.
    const held = await world.server.get('target', key);
    assert.ok(held === undefined || right.equals(held));
    assert.equal(summary.objectsCopied, world.tree.objects.size - (held === undefined ? 1 : 0));
  });

  it('goes on by streaming, and says so once, where the service refuses to copy', async (t) => {
    const world = await ServiceWorld.start(t);
    const trial = { fault: DENIED, operation: 'CopyObject', keyPrefix: '.blobferry-probe/' } as const;
    const faults = await world.server.misbehave({ ...trial, skip: 1 });
    const { summary, exitCode } = await world.copy();
    await faults.assertUsedUp();
    assert.equal(exitCode, 0);
    assert.equal(summary.serverSide.way, 'none');
    assert.match(summary.serverSide.why, /AccessDenied/);
    assert.equal(summary.warnings.filter((one) => one.includes('does not copy')).length, 1);
    assert.equal(summary.objectsServerSide, 0);
    await assertHolds(world.server, 'target', world.tree);
  });

  it('streams what is refused later, with one warning', async (t) => {
    const world = await ServiceWorld.start(t);
    const every = { times: Number.POSITIVE_INFINITY, keyPrefix: 'docker/' };
    await world.server.misbehave({ fault: DENIED, operation: 'CopyObject', ...every });
    const { summary, exitCode } = await world.copy();
    assert.equal(exitCode, 0);
    assert.equal(summary.objectsServerSide, 0);
    assert.equal(summary.warnings.filter((one) => one.includes('refused to copy')).length, 1);
    await assertHolds(world.server, 'target', world.tree);
  });

  it('streams an object that the service cannot find although the source has it', async (t) => {
    const world = await ServiceWorld.start(t);
    const fault = { kind: 'status', status: 404, code: 'NoSuchKey' } as const;
    const faults = await world.server.misbehave({ fault, operation: 'CopyObject', key: world.blob(2) });
    const { summary, exitCode } = await world.copy();
    await faults.assertUsedUp();
    assert.deepEqual([exitCode, summary.objectsServerSide, summary.warnings], [0, INSIDE - 1, []]);
    await assertHolds(world.server, 'target', world.tree);
  });

  it('leaves no copy whose answer was lost when the same is refused after that, and the object cannot be read', async (t) => {
    const world = await ServiceWorld.start(t);
    const key = world.blob(2);
    const always = { times: Number.POSITIVE_INFINITY, key };
    const lost = await world.server.misbehave({
      fault: { kind: 'lost-reply' },
      operation: 'CopyObject',
      key,
    });
    await world.server.misbehave([
      { fault: DENIED, operation: 'CopyObject', skip: 1, ...always },
      { fault: DENIED, operation: 'GetObject', bucket: 'source', ...always },
    ]);
    const { summary, exitCode } = await world.copy();
    await lost.assertUsedUp();
    assert.deepEqual([exitCode, summary.objectsFailed, summary.serverCopiesUnseen], [1, 1, 1]);
    assert.equal((await world.server.get('target', key))?.length, undefined, 'it is not in the target');
  });

  it('gets through errors that pass, an error in a 200 among them', async (t) => {
    const world = await ServiceWorld.start(t);
    const copies = { operation: 'CopyObject', bucket: 'target' } as const;
    const faults = await world.server.misbehave([
      { fault: { kind: 'error-in-200', code: 'InternalError' }, ...copies, key: world.blob(0) },
      { fault: { kind: 'lost-reply' }, ...copies, key: world.blob(1) },
      { fault: { kind: 'status', status: 503, code: 'SlowDown' }, ...copies, key: world.blob(2) },
      { fault: { kind: 'latency', ms: 300 }, ...copies, key: world.blob(3), times: 1 },
    ]);
    const { summary, exitCode } = await world.copy();
    await faults.assertUsedUp();
    assert.equal(exitCode, 0);
    assert.equal(summary.objectsServerSide, INSIDE);
    await assertHolds(world.server, 'target', world.tree);
  });
});

describe('a copy inside one service that computes nothing', () => {
  it('reads back what it copied of the large blobs, and streams the others', async (t) => {
    const world = await ServiceWorld.start(t, { copyChecksums: 'none' });
    const { summary, exitCode } = await world.copy();
    assert.equal(exitCode, 0);
    assert.equal(summary.serverSide.way, 'read-back');
    assert.deepEqual([summary.objectsServerSide, proofsOf(summary).readBack], [LARGE, LARGE]);
    assert.equal(summary.uploadsOpen, 0);
    await assertHolds(world.server, 'target', world.tree);
    const { bytesIn } = await world.server.stats();
    const streamed = world.bytesOf(world.tree.blobs.slice(LARGE));
    assert.ok(bytesIn < streamed + 500_000, 'no large blob was sent');
  });

  it('is seen through when it hands on the sum of the source', async (t) => {
    const world = await ServiceWorld.start(t, { copyChecksums: 'copied' });
    const { summary } = await world.copy();
    assert.equal(summary.serverSide.way, 'read-back');
    assert.equal(proofsOf(summary).service, 0);
  });

  it('finds a copy that is wrong when it is read back', async (t) => {
    const world = await ServiceWorld.start(t, { copyChecksums: 'none' });
    const faults = await world.server.misbehave({
      fault: { kind: 'flip-copy', offset: 19 * MIB },
      bucket: 'target',
      operation: 'CopyObject',
      key: world.blob(0),
    });
    const { summary, exitCode } = await world.copy();
    await faults.assertUsedUp();
    assert.equal(exitCode, 0);
    assert.equal(summary.serverCopiesWrong, 1);
    assert.deepEqual([proofsOf(summary).readBack, summary.objectsServerSide], [LARGE - 1, LARGE - 1]);
    await assertHolds(world.server, 'target', world.tree);
  });

  it('streams into a target that held something before, where nothing marks an unfinished copy for sure', async (t) => {
    const world = await ServiceWorld.start(t, { copyChecksums: 'none' });
    await world.server.put('target', [{ key: 'docker/mine', body: Buffer.from('mine') }]);
    const { summary, exitCode } = await world.copy({ intoNonempty: true });
    assert.equal(exitCode, 0);
    assert.equal(summary.objectsServerSide, 0);
    // It says so, and tries nothing that it would not use but what the probe of the target does.
    assert.equal(summary.serverSide.way, 'none');
    assert.match(summary.serverSide.why, /held something before/);
    assert.equal((await world.server.stats()).requestsByOperation.CopyObject, 1);
  });
});
