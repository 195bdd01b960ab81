import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, StorageError } from '../../../src/core/errors.ts';
import { type VerifyException, type VerifySummary, verifyExitCodeOf } from '../../../src/verify/summary.ts';
import { runVerify, type VerifyOptions } from '../../../src/verify/verify.ts';
import { blobPath, FakeStore, layerLinkPath, sha256, storageError, TEST_LAYOUT } from './fake-store.ts';

const QUICK = { attemptsMax: 3, delayMsMin: 1, delayMsMax: 2, random: () => 0 };
const LAYER = 'a layer of some bytes';
const TAG = 'repos/app/_tags/latest/link';

interface World {
  readonly source: FakeStore;
  readonly target: FakeStore;
}

/** Two equal stores: three blobs, a layer link, a tag, a plain file. The target has its keys below `root/`. */
function equalWorld(options: { listsMd5?: boolean; md5MayBeOpaque?: boolean } = {}): World {
  const world = {
    source: new FakeStore('source', { ...options }),
    target: new FakeStore('target', { ...options, prefix: 'root/' }),
  };
  for (const content of [LAYER, 'second', 'third']) both(world, blobPath(content), content);
  both(world, layerLinkPath('app', LAYER), `sha256:${sha256(LAYER)}`);
  both(world, TAG, `sha256:${sha256('second')}`);
  both(world, 'repos/app/note', 'plain text');
  return world;
}

function both({ source, target }: World, path: string, content: string | Uint8Array): void {
  source.put(path, content);
  target.put(path, content);
}

interface Outcome {
  readonly summary: VerifySummary;
  readonly exitCode: number;
  /** `problem side path` of every streamed exception. */
  readonly found: readonly string[];
  readonly exceptions: readonly VerifyException[];
}

async function verify(world: World, more: Partial<VerifyOptions> = {}): Promise<Outcome> {
  const exceptions: VerifyException[] = [];
  const summary = await runVerify({
    ...world,
    sourcePrefix: '',
    targetPrefix: 'root/',
    layout: TEST_LAYOUT,
    isDeep: false,
    allowExtra: false,
    signal: new AbortController().signal,
    retries: QUICK,
    onException: (exception) => exceptions.push(exception),
    ...more,
  });
  const found = exceptions.map(({ problem, side, path }) => `${problem} ${side} ${path}`);
  return { summary, exitCode: verifyExitCodeOf(summary), found, exceptions };
}

const MODES = [
  { name: 'by listing', isDeep: false },
  { name: 'deep', isDeep: true },
] as const;

for (const { name, isDeep } of MODES) {
  describe(`verify ${name}`, () => {
    it('finds two equal stores equal although their key prefixes differ', async () => {
      const { summary, exitCode, found } = await verify(equalWorld(), { isDeep });
      assert.deepEqual(found, []);
      assert.equal(exitCode, 0);
      assert.equal(summary.isComplete, true);
      assert.equal(summary.objectsCompared, 6);
      assert.equal(summary.objectsMatched, 6);
      assert.deepEqual(summary.matchedByClass, { blob: 3, link: 1, tag: 1, other: 1 });
    });

    it('names a missing object and exits 3', async () => {
      const world = equalWorld();
      world.target.objects.delete(`root/${blobPath(LAYER)}`);
      const { summary, exitCode, found } = await verify(world, { isDeep });
      assert.deepEqual(found, [`missing target ${blobPath(LAYER)}`]);
      assert.equal(summary.objectsMissing, 1);
      assert.equal(summary.objectsMatched, 5);
      assert.equal(exitCode, 3);
    });

    it('names an extra object and exits 3, or 0 when extra objects are allowed', async () => {
      const world = equalWorld();
      world.target.put('repos/zoo/more', 'more');
      const strict = await verify(world, { isDeep });
      assert.deepEqual(strict.found, ['extra target repos/zoo/more']);
      assert.equal(strict.exitCode, 3);
      const lenient = await verify(world, { isDeep, allowExtra: true });
      assert.equal(lenient.summary.objectsExtra, 1);
      assert.equal(lenient.exitCode, 0);
    });

    it('names a shortened blob of the target', async () => {
      const world = equalWorld();
      world.target.put(blobPath(LAYER), LAYER.slice(0, -1));
      const { exitCode, found } = await verify(world, { isDeep });
      assert.deepEqual(found, [`wrong-size target ${blobPath(LAYER)}`]);
      assert.equal(exitCode, 3);
    });

    it('names a moved tag, which has the same size and no MD5 on either side', async () => {
      const world = equalWorld();
      world.target.put(TAG, `sha256:${sha256('third')}`);
      const { exitCode, exceptions, found } = await verify(world, { isDeep });
      assert.deepEqual(found, [`wrong-content target ${TAG}`]);
      assert.match(exceptions[0]?.detail ?? '', new RegExp(sha256('third')));
      assert.equal(exitCode, 3);
    });

    it('names wrong content of the same size where the listings state different MD5s', async () => {
      const world = equalWorld({ listsMd5: true });
      world.target.put(blobPath(LAYER), LAYER.toUpperCase());
      const { exitCode, found } = await verify(world, { isDeep });
      assert.deepEqual(found, [`wrong-content target ${blobPath(LAYER)}`]);
      assert.equal(exitCode, 3);
    });

    it('calls an object unreadable when its reads fail for good, which is exit code 1', async () => {
      const world = equalWorld();
      world.target.beforeRead = (key) => {
        if (key.endsWith(TAG)) throw storageError(world.target, key, 'denied');
      };
      const { summary, exitCode, found } = await verify(world, { isDeep });
      assert.deepEqual(found, [`unreadable target ${TAG}`]);
      assert.equal(summary.objectsMatched, 5);
      assert.equal(exitCode, 1);
    });

    it('repeats a read that failed for a moment', async () => {
      const world = equalWorld();
      let failures = 0;
      world.target.beforeRead = (key) => {
        if (!key.endsWith(TAG) || failures >= 2) return;
        failures += 1;
        throw storageError(world.target, key, 'unavailable', { isTransient: true });
      };
      const { exitCode } = await verify(world, { isDeep });
      assert.equal(failures, 2);
      assert.equal(exitCode, 0);
    });

    it('goes on with a listing that broke off, without losing or repeating an object', async () => {
      const world = equalWorld();
      let isBroken = false;
      world.target.onPage = (page) => {
        if (page !== 2 || isBroken) return;
        isBroken = true;
        throw storageError(world.target, '', 'unavailable', { isTransient: true, operation: 'list' });
      };
      const { summary, exitCode } = await verify(world, { isDeep });
      assert.equal(isBroken, true);
      assert.equal(summary.objectsMatched, 6);
      assert.equal(exitCode, 0);
    });

    it('refuses a listing that is out of order instead of joining it', async () => {
      const world = equalWorld();
      world.target.onList = (infos) => [...infos].reverse();
      await assert.rejects(
        verify(world, { isDeep }),
        (error) => error instanceof StorageError && /not ascending order/.test(error.message),
      );
    });

    it('refuses a listing that repeats a key, and says in the summary that it stopped early', async () => {
      const world = equalWorld();
      world.target.onList = (infos) => infos.flatMap((info, index) => (index === 4 ? [info, info] : [info]));
      const { summary, exitCode } = await verify(world, { isDeep });
      assert.match(summary.stoppedBy?.message ?? '', /not ascending order/);
      assert.equal(summary.isComplete, false);
      assert.equal(exitCode, 1);
    });

    it('leaves out what the layout leaves out, on both sides, and says so', async () => {
      const world = equalWorld();
      world.source.put('repos/app/_uploads/1/data', 'half');
      world.target.put('repos/app/_uploads/2/data', 'other half');
      const { summary, exitCode } = await verify(world, { isDeep });
      assert.equal(summary.objectsLeftOut, 1);
      assert.equal(summary.objectsLeftOutTarget, 1);
      assert.deepEqual([...summary.leftOut].sort(), [
        'repos/app/_uploads/1/data',
        'repos/app/_uploads/2/data',
      ]);
      assert.equal(exitCode, 0);
    });

    it('refuses to call two empty stores equal', async () => {
      const world = { source: new FakeStore('source'), target: new FakeStore('target') };
      await assert.rejects(verify(world, { isDeep }), ConfigError);
    });

    it('rejects when a side cannot be listed at all', async () => {
      const world = equalWorld();
      world.target.onPage = () => {
        throw storageError(world.target, '', 'not-found', { scope: 'backend', operation: 'list' });
      };
      await assert.rejects(verify(world, { isDeep }), StorageError);
    });

    it('reports everything missing when the target is empty', async () => {
      const world = equalWorld();
      world.target.objects.clear();
      const { summary, exitCode } = await verify(world, { isDeep });
      assert.equal(summary.objectsMissing, 6);
      assert.equal(exitCode, 3);
    });

    it('orders names as their UTF-8 bytes, beyond the basic plane too', async () => {
      const world = equalWorld();
      both(world, 'repos/\u{1F600}', 'emoji');
      both(world, 'repos/\uFFFD', 'replacement');
      const { exitCode, summary } = await verify(world, { isDeep });
      assert.equal(exitCode, 0);
      assert.equal(summary.objectsMatched, 8);
    });

    it('stops on abort with exit code 130 and a summary', async () => {
      const world = equalWorld();
      const controller = new AbortController();
      world.target.beforeRead = () => controller.abort();
      const { summary, exitCode } = await verify(world, { isDeep, signal: controller.signal });
      assert.equal(summary.isStopped, true);
      assert.equal(summary.isComplete, false);
      assert.equal(summary.stoppedBy, undefined);
      assert.equal(exitCode, 130);
    });

    it('keeps the first hundred exceptions and streams and counts all', async () => {
      const world = equalWorld();
      for (let index = 0; index < 250; index += 1) world.source.put(`repos/many/${index}`, 'x');
      const { summary, exceptions } = await verify(world, { isDeep });
      assert.equal(summary.objectsMissing, 250);
      assert.equal(summary.exceptions.length, 100);
      assert.equal(exceptions.length, 250);
    });

    it('reports its progress, the end included', async () => {
      const seen: number[] = [];
      await verify(equalWorld(), { isDeep, onProgress: ({ objectsCompared }) => seen.push(objectsCompared) });
      assert.equal(seen.at(-1), 6);
    });
  });
}

describe('verify of what cannot be listed', () => {
  /** As a file system does: the folder is told of, and nothing in it is listed. */
  function hide(store: FakeStore, folder: string): void {
    store.onList = (infos, { onUnlistable }) => {
      assert.equal(onUnlistable?.(folder, storageError(store, folder, 'denied')), true);
      return infos.filter(({ key }) => !key.startsWith(folder));
    };
  }

  for (const { name, isDeep } of MODES) {
    it(`names a folder of the source, and calls nothing in it extra (${name})`, async () => {
      const world = equalWorld();
      hide(world.source, 'repos/app/');
      const { summary, exitCode, found } = await verify(world, { isDeep });
      assert.deepEqual(
        found.toSorted(),
        [
          'unreadable source repos/app/',
          `unreadable source ${layerLinkPath('app', LAYER)}`,
          `unreadable source ${TAG}`,
          'unreadable source repos/app/note',
        ].toSorted(),
      );
      assert.equal(exitCode, 1);
      assert.equal(summary.objectsMatched, 3);
      assert.equal(summary.objectsUnreadable, 4);
      assert.equal(summary.objectsExtra, 0);
      assert.equal(summary.isComplete, true);
    });

    it(`names a folder of the target, and calls nothing in it missing (${name})`, async () => {
      const world = equalWorld();
      hide(world.target, 'root/repos/app/_tags/');
      const { summary, exitCode, found } = await verify(world, { isDeep });
      assert.deepEqual(found, ['unreadable target repos/app/_tags/', `unreadable target ${TAG}`]);
      assert.equal(summary.objectsMissing, 0);
      assert.equal(exitCode, 1);
    });
  }

  it('still finds what is wrong elsewhere, which then decides', async () => {
    const world = equalWorld();
    hide(world.target, 'root/repos/app/_tags/');
    world.target.objects.delete(`root/${blobPath(LAYER)}`);
    const { exitCode, found } = await verify(world);
    assert.deepEqual(
      found.toSorted(),
      [
        `missing target ${blobPath(LAYER)}`,
        `unreadable target ${TAG}`,
        'unreadable target repos/app/_tags/',
      ].toSorted(),
    );
    assert.equal(exitCode, 3);
  });

  it('has a summary even where nothing else was found', async () => {
    const world = { source: new FakeStore('source'), target: new FakeStore('target', { prefix: 'root/' }) };
    hide(world.source, 'repos/');
    const { exitCode, summary } = await verify(world);
    assert.equal(exitCode, 1);
    assert.equal(summary.objectsUnreadable, 1);
  });
});

describe('verify by listing', () => {
  it('takes equal MD5s as proof, reads only small mutable objects, and says what rests on size alone', async () => {
    const plain = equalWorld();
    both(plain, 'repos/big', 'x'.repeat(5000));
    const bySize = await verify(plain);
    assert.deepEqual(bySize.summary.matchedBy, { digest: 0, content: 2, md5: 0, size: 5 });
    const hashed = equalWorld({ listsMd5: true });
    const byMd5 = await verify(hashed);
    assert.deepEqual(byMd5.summary.matchedBy, { digest: 0, content: 0, md5: 6, size: 0 });
    assert.equal(hashed.target.reads, 0);
  });

  it('does not take opaque checksums that differ for wrong content', async () => {
    const world = equalWorld({ listsMd5: true, md5MayBeOpaque: true });
    world.target.onList = (infos) => infos.map((info) => ({ ...info, md5: '0'.repeat(32) }));
    const { summary, exitCode } = await verify(world);
    assert.equal(exitCode, 0);
    assert.equal(summary.matchedBy.size, 4);
    assert.equal(summary.matchedBy.content, 2);
  });

  it('looks at the bytes before it believes an MD5 that differs', async () => {
    const world = equalWorld({ listsMd5: true });
    world.target.onList = (infos) => infos.map((info) => ({ ...info, md5: '0'.repeat(32) }));
    const { summary, exitCode } = await verify(world);
    assert.equal(exitCode, 0);
    assert.deepEqual(summary.matchedBy, { digest: 4, content: 2, md5: 0, size: 0 });
  });

  it('asks the objects themselves where the listings differ in size', async () => {
    const world = equalWorld();
    world.target.onList = (infos) => infos.map((info) => ({ ...info, sizeBytes: 0 }));
    const { exitCode, summary } = await verify(world);
    assert.equal(exitCode, 0);
    assert.equal(summary.objectsMatched, 6);
  });
});
