/** Listings that lag behind: what they lack is asked for, what they still show is not missed, and what cannot be told is said. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { verifyExitCodeOf } from '../../../src/verify/summary.ts';
import { runVerify } from '../../../src/verify/verify.ts';
import { blobPath, FakeStore, storageError, TEST_LAYOUT } from './fake-store.ts';

const LAYER = 'a layer of some bytes';
const PATH = blobPath(LAYER);
const OTHER = blobPath('another layer');
const NO_RETRIES = { attemptsMax: 1, delayMsMin: 1, delayMsMax: 1, random: () => 0 };

interface World {
  readonly source: FakeStore;
  readonly target: FakeStore;
}

/** Both sides hold another layer, which both list. */
function world(late: { readonly source?: boolean; readonly target?: boolean } = { target: true }): World {
  const source = new FakeStore('source', { listsLate: late.source ?? false, prefix: 'from/' });
  const target = new FakeStore('target', { listsLate: late.target ?? false, prefix: 'to/' });
  for (const store of [source, target]) store.put(OTHER, 'another layer');
  return { source, target };
}

function hides(store: FakeStore, path: string): void {
  store.onList = (infos) => infos.filter(({ key }) => !key.endsWith(path));
}

async function found({ source, target }: World): Promise<readonly [readonly string[], number, number]> {
  const lines: string[] = [];
  const summary = await runVerify({
    source,
    target,
    sourcePrefix: 'from/',
    targetPrefix: 'to/',
    layout: TEST_LAYOUT,
    isDeep: false,
    allowExtra: false,
    signal: new AbortController().signal,
    retries: NO_RETRIES,
    onException: ({ problem, side, path }) => lines.push(`${problem} ${side} ${path}`),
  });
  return [lines, summary.objectsMatched, verifyExitCodeOf(summary)];
}

describe('verify over listings that lag behind', () => {
  it('finds what the listing of the target lacks, and compares it', async () => {
    const both = world();
    for (const store of [both.source, both.target]) store.put(PATH, LAYER);
    hides(both.target, PATH);
    assert.deepEqual(await found(both), [[], 2, 0]);
    both.target.put(PATH, 'short');
    assert.deepEqual(await found(both), [[`wrong-size target ${PATH}`], 1, 3]);
  });

  it('finds what the listing of the source lacks: it is nothing extra', async () => {
    const both = world({ source: true });
    for (const store of [both.source, both.target]) store.put(PATH, LAYER);
    hides(both.source, PATH);
    assert.deepEqual(await found(both), [[], 2, 0]);
  });

  it('calls missing and extra what is so', async () => {
    const missing = world({ source: true, target: true });
    missing.source.put(PATH, LAYER);
    assert.deepEqual(await found(missing), [[`missing target ${PATH}`], 1, 3]);
    const extra = world({ source: true, target: true });
    extra.target.put(PATH, LAYER);
    assert.deepEqual(await found(extra), [[`extra target ${PATH}`], 1, 3]);
  });

  it('takes what the target only lists no more for an extra', async () => {
    const both = world();
    both.target.put(PATH, LAYER);
    both.target.onPage = () => void both.target.objects.delete(`to/${PATH}`);
    assert.deepEqual(await found(both), [[], 1, 0]);
  });

  it('says that it cannot tell of what the source lists and does not give', async () => {
    const both = world({ source: true });
    both.source.put(PATH, LAYER);
    both.source.onPage = () => void both.source.objects.delete(`from/${PATH}`);
    assert.deepEqual(await found(both), [[`unreadable source ${PATH}`], 1, 1]);
  });

  it('says which side could not be asked', async () => {
    const both = world();
    both.source.put(PATH, LAYER);
    both.target.stat = (_, key) => Promise.reject(storageError(both.target, key, 'unavailable'));
    assert.deepEqual(await found(both), [[`unreadable target ${PATH}`], 1, 1]);
  });

  it('asks no object where listings do not lag', async () => {
    const both = world({});
    for (const store of [both.source, both.target]) store.put(PATH, LAYER);
    hides(both.target, PATH);
    both.target.stat = () => Promise.reject(new Error('asked'));
    assert.deepEqual(await found(both), [[`missing target ${PATH}`], 1, 3]);
  });
});
