import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type VerifySummary, verifyExitCodeOf } from '../../../src/verify/summary.ts';
import { runVerify, type VerifyOptions } from '../../../src/verify/verify.ts';
import { blobPath, FakeStore, layerLinkPath, sha256, storageError, TEST_LAYOUT } from './fake-store.ts';

const MIB = 1024 * 1024;
const QUICK = { attemptsMax: 3, delayMsMin: 1, delayMsMax: 2, random: () => 0 };

interface World {
  readonly source: FakeStore;
  readonly target: FakeStore;
}

function newWorld(): World {
  return { source: new FakeStore('source'), target: new FakeStore('target') };
}

function both({ source, target }: World, path: string, content: string | Uint8Array): void {
  source.put(path, content);
  target.put(path, content);
}

async function deep(world: World, more: Partial<VerifyOptions> = {}): Promise<VerifySummary> {
  return await runVerify({
    ...world,
    sourcePrefix: '',
    targetPrefix: '',
    layout: TEST_LAYOUT,
    isDeep: true,
    allowExtra: false,
    signal: new AbortController().signal,
    retries: QUICK,
    ...more,
  });
}

function found(summary: VerifySummary): readonly string[] {
  return summary.exceptions.map(({ problem, side }) => `${problem} ${side}`);
}

/** Content no two ranges of which are alike. */
function patterned(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 4096) bytes.writeUInt32LE(at / 4096, at);
  return bytes;
}

describe('verify --deep', () => {
  it('reads the target alone where the path holds a digest, and both sides elsewhere', async () => {
    const world = newWorld();
    both(world, blobPath('one'), 'one');
    both(world, layerLinkPath('app', 'one'), `sha256:${sha256('one')}`);
    both(world, 'repos/note', 'text');
    const summary = await deep(world);
    assert.deepEqual(summary.matchedBy, { digest: 2, content: 1, md5: 0, size: 0 });
    assert.equal(world.source.reads, 1);
    assert.equal(world.target.reads, 3);
  });

  it('finds a flipped bit in a blob of the same size and blames the target', async () => {
    const world = newWorld();
    both(world, blobPath('one'), 'one');
    world.target.put(blobPath('one'), 'onf');
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['wrong-content target']);
    assert.match(summary.exceptions[0]?.detail ?? '', /the source is right/);
    assert.equal(verifyExitCodeOf(summary), 3);
  });

  it('finds a link that holds another digest than its path', async () => {
    const world = newWorld();
    both(world, layerLinkPath('app', 'one'), `sha256:${sha256('one')}`);
    world.target.put(layerLinkPath('app', 'one'), `sha256:${sha256('two')}`);
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['wrong-content target']);
    assert.match(summary.exceptions[0]?.detail ?? '', new RegExp(`${sha256('two')}.*${sha256('one')}`));
  });

  it('finds a link with a newline behind its digest', async () => {
    const world = newWorld();
    both(world, layerLinkPath('app', 'one'), `sha256:${sha256('one')}\n`);
    assert.deepEqual(found(await deep(world)), ['damaged both']);
  });

  it('calls it damage on both sides when the target is a true copy of a damaged source', async () => {
    const world = newWorld();
    both(world, blobPath('one'), 'bad');
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['damaged both']);
    assert.equal(verifyExitCodeOf(summary), 3);
  });

  it('calls it damage of the source when the target is right and the source is cut short', async () => {
    const world = newWorld();
    both(world, blobPath('one'), 'one');
    world.source.put(blobPath('one'), 'on');
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['damaged source']);
    assert.equal(verifyExitCodeOf(summary), 3);
  });

  it('blames both when each holds other wrong bytes', async () => {
    const world = newWorld();
    world.source.put(blobPath('one'), 'bad');
    world.target.put(blobPath('one'), 'mad');
    assert.deepEqual(found(await deep(world)), ['wrong-content both']);
  });

  it('calls a tag link damaged when both sides hold the same text that is no digest', async () => {
    const world = newWorld();
    both(world, 'repos/app/_tags/latest/link', 'sha256:123');
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['damaged both']);
  });

  it('still blames the target when the source cannot be asked', async () => {
    const world = newWorld();
    both(world, blobPath('one'), 'one');
    world.target.put(blobPath('one'), 'onf');
    world.source.beforeRead = (key) => {
      throw storageError(world.source, key, 'denied');
    };
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['wrong-content target']);
    assert.equal(verifyExitCodeOf(summary), 3);
  });

  it('calls an object missing that was listed and is gone when read', async () => {
    const world = newWorld();
    both(world, blobPath('one'), 'one');
    world.target.beforeRead = (key) => void world.target.objects.delete(key);
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['missing target']);
  });

  it('believes the second read where the first was wrong once, and counts it', async () => {
    const world = newWorld();
    both(world, blobPath('one'), 'one');
    const fresh: (boolean | undefined)[] = [];
    world.target.beforeRead = (_key, { isFresh }) => void fresh.push(isFresh);
    world.target.onRead = (_key, into, result, number) => {
      if (number === 1) into[0] = 0;
      return result;
    };
    const summary = await deep(world);
    assert.deepEqual(fresh, [false, true]);
    assert.deepEqual(found(summary), []);
    assert.equal(summary.objectsReadAgain, 1);
    assert.equal(verifyExitCodeOf(summary), 0);
  });

  it('says nothing about content when two reads differ from each other: unreadable, exit code 1', async () => {
    const world = newWorld();
    both(world, blobPath('one'), 'one');
    world.target.onRead = (_key, into, result, number) => {
      into[0] = number;
      return result;
    };
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['unreadable target']);
    assert.equal(verifyExitCodeOf(summary), 1);
  });

  it('reads large objects in ranges of 8 MiB of one version', async () => {
    const world = newWorld();
    const content = patterned(20 * MIB + 5);
    both(world, blobPath(content), content);
    const versions: (string | undefined)[] = [];
    world.target.beforeRead = (_key, { version }) => void versions.push(version);
    const summary = await deep(world);
    assert.equal(verifyExitCodeOf(summary), 0);
    assert.equal(summary.bytesRead, content.length);
    assert.equal(versions.length, 3);
    assert.equal(versions[0], undefined);
    assert.ok(versions[1] !== undefined && versions[1] === versions[2]);
  });

  it('starts again when a large object changes between two ranges', async () => {
    const world = newWorld();
    const before = patterned(9 * MIB);
    const after = patterned(10 * MIB);
    both(world, 'repos/big', before);
    let hasChanged = false;
    world.target.beforeRead = (key, { offset }) => {
      if (hasChanged || (offset ?? 0) === 0) return;
      hasChanged = true;
      world.source.objects.set(key, after);
      world.target.objects.set(key, after);
    };
    const summary = await deep(world);
    assert.equal(hasChanged, true);
    // The source was hashed before the change, so the first comparison differs and both are read again.
    assert.deepEqual(found(summary), []);
    assert.equal(summary.objectsReadAgain, 1);
  });

  it('gives up on an object that changes every time', async () => {
    const world = newWorld();
    both(world, blobPath('x'), patterned(9 * MIB));
    let round = 0;
    world.target.beforeRead = (key, { offset }) => {
      if ((offset ?? 0) === 0) return;
      round += 1;
      world.target.objects.set(key, patterned(9 * MIB + round));
    };
    const summary = await deep(world);
    assert.deepEqual(found(summary), ['unreadable target']);
    assert.match(summary.exceptions[0]?.detail ?? '', /changed 4 times/);
  });

  it('reads no more objects at once than it was told', async () => {
    const world = newWorld();
    for (let index = 0; index < 60; index += 1) both(world, blobPath(`${index}`), `${index}`);
    let atOnce = 0;
    let most = 0;
    world.target.beforeRead = async () => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
    };
    const summary = await deep(world, { concurrency: 4 });
    assert.equal(summary.objectsMatched, 60);
    assert.equal(most, 4);
  });

  it('does not list ahead of slow reads without bound', async () => {
    const world = newWorld();
    for (let index = 0; index < 900; index += 1) both(world, blobPath(`${index}`), `${index}`);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let pagesWhileHeld = 0;
    world.target.beforeRead = () => held;
    const verified = deep(world, { concurrency: 2 });
    // Every turn of the event loop gives the producer a chance to run away.
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    pagesWhileHeld = world.target.pages;
    release();
    const summary = await verified;
    assert.equal(summary.objectsMatched, 900);
    assert.ok(pagesWhileHeld <= 5, `${pagesWhileHeld} pages of 300 were listed while 2 reads hung`);
  });

  it('stops the whole run when a backend refuses everything, and says why', async () => {
    const world = newWorld();
    for (const content of ['a', 'b', 'c', 'd']) both(world, blobPath(content), content);
    world.target.beforeRead = (key, _options, number) => {
      if (number > 2) throw storageError(world.target, key, 'denied', { scope: 'backend' });
    };
    const summary = await deep(world, { concurrency: 1 });
    assert.equal(summary.isComplete, false);
    assert.match(summary.stoppedBy?.message ?? '', /denied/);
    assert.equal(verifyExitCodeOf(summary), 1);
  });

  it('ends reads that hang when it is stopped', async () => {
    const world = newWorld();
    both(world, blobPath('a'), 'a');
    both(world, blobPath('b'), 'b');
    const controller = new AbortController();
    world.target.beforeRead = () =>
      new Promise<void>((_, reject) => {
        controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true });
        setImmediate(() => controller.abort());
      });
    const summary = await deep(world, { signal: controller.signal });
    assert.equal(summary.isStopped, true);
    assert.equal(verifyExitCodeOf(summary), 130);
  });

  it('compares empty objects', async () => {
    const world = newWorld();
    both(world, blobPath(''), '');
    both(world, 'repos/empty', '');
    const summary = await deep(world);
    assert.deepEqual(summary.matchedBy, { digest: 1, content: 1, md5: 0, size: 0 });
  });
});
