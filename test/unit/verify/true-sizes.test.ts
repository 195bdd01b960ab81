import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import { type VerifySummary, verifyExitCodeOf } from '../../../src/verify/summary.ts';
import type { VerifyProgress } from '../../../src/verify/tally.ts';
import { runVerify, type VerifyOptions } from '../../../src/verify/verify.ts';
import { blobPath, FakeStore, TEST_LAYOUT } from './fake-store.ts';

const LAYER = 'a layer of some bytes';
const NO_RETRIES = { attemptsMax: 1, delayMsMin: 1, delayMsMax: 1, random: () => 0 };

/** Lists everything as Swift lists large objects. */
function unsureStore(name: string): FakeStore {
  const store = new FakeStore(name);
  store.onList = (infos) => infos.map(({ key }) => ({ key, sizeBytes: 0, isSizeUnsure: true }));
  return store;
}

async function verify(
  source: FakeStore,
  target: FakeStore,
  more: Partial<VerifyOptions> = {},
): Promise<{ readonly summary: VerifySummary; readonly found: readonly string[]; readonly exit: number }> {
  const found: string[] = [];
  const summary = await runVerify({
    source,
    target,
    sourcePrefix: '',
    targetPrefix: '',
    layout: TEST_LAYOUT,
    isDeep: false,
    allowExtra: false,
    signal: new AbortController().signal,
    retries: NO_RETRIES,
    onException: ({ problem, side, path, detail }) => found.push(`${problem} ${side} ${path}: ${detail}`),
    ...more,
  });
  return { summary, found, exit: verifyExitCodeOf(summary) };
}

const SIDES = [
  ['source', () => [unsureStore('source'), new FakeStore('target')]],
  ['target', () => [new FakeStore('source'), unsureStore('target')]],
  ['both', () => [unsureStore('source'), unsureStore('target')]],
] as const;

for (const [name, make] of SIDES) {
  describe(`verify where the listing does not tell the sizes of large objects (${name})`, () => {
    for (const isDeep of [false, true]) {
      it(`finds equal objects equal, with their true bytes (${isDeep ? 'deep' : 'by listing'})`, async () => {
        const [source, target] = make();
        for (const store of [source, target]) {
          store?.put(blobPath(LAYER), LAYER);
          store?.put('repos/app/note', 'plain text');
          store?.put('empty', '');
        }
        assert.ok(source && target);
        const { summary, found, exit } = await verify(source, target, { isDeep });
        assert.deepEqual(found, []);
        assert.equal(exit, 0);
        assert.equal(summary.bytesMatched, LAYER.length + 'plain text'.length);
      });

      it(`finds a layer that is short or empty in the target (${isDeep ? 'deep' : 'by listing'})`, async () => {
        for (const there of ['a layer', '']) {
          const [source, target] = make();
          assert.ok(source && target);
          source.put(blobPath(LAYER), LAYER);
          target.put(blobPath(LAYER), there);
          const { found, exit } = await verify(source, target, { isDeep });
          assert.equal(found.length, 1);
          assert.match(found[0] ?? '', /^wrong-size target blobs/);
          assert.equal(exit, 3);
        }
      });
    }

    it('reads what may change, although it looks like two empty objects', async () => {
      const [source, target] = make();
      assert.ok(source && target);
      source.put('repos/app/note', 'some text');
      target.put('repos/app/note', 'same text');
      const { found, exit } = await verify(source, target);
      assert.match(found[0] ?? '', /^wrong-content target repos\/app\/note/);
      assert.equal(exit, 3);
    });

    it('counts the true bytes of what is missing', async () => {
      const [source, target] = make();
      assert.ok(source && target);
      source.put(blobPath(LAYER), LAYER);
      source.put('here', 'x');
      target.put('here', 'x');
      const bytes: number[] = [];
      const onProgress = ({ bytesCompared }: VerifyProgress): void => void bytes.push(bytesCompared);
      const { found } = await verify(source, target, { onProgress });
      assert.deepEqual(found, [`missing target ${blobPath(LAYER)}: not in the target`]);
      assert.equal(bytes.at(-1), LAYER.length + 1);
    });

    it('says which object could not be asked for its size', async () => {
      const [source, target] = make();
      assert.ok(source && target);
      const path = blobPath(LAYER);
      source.put(path, LAYER);
      target.put(path, LAYER);
      const unsure = name === 'source' ? source : target;
      unsure.onPage = () => void unsure.objects.delete(path);
      const { found } = await verify(source, target);
      assert.equal(found.length, 1);
      assert.match(found[0] ?? '', name === 'source' ? /^unreadable source/ : /^missing target/);
    });
  });
}

describe('verify of names that end in a slash and look empty', () => {
  it('leaves out what is empty, and compares what is not', async () => {
    const [source, target] = [unsureStore('source'), new FakeStore('target')];
    source.put('folder/', 'content');
    source.put('marker/', '');
    target.put('folder/', 'content');
    const { summary, found } = await verify(source, target, { layout: distributionLayout });
    assert.deepEqual(found, []);
    assert.equal(summary.objectsLeftOut, 1);
    assert.equal(summary.objectsMatched, 1);
  });
});
