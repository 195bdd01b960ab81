import assert from 'node:assert/strict';
import { appendFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NotNoted, WrittenKeys } from '../../../../src/copy/written-keys.ts';
import { WrittenStore } from '../../../../src/platform/engine/written-store.ts';
import type { KeyToVerify } from '../../../../src/verify/verify-keys.ts';
import { makeTempFolder, tempFolderFor } from '../../../support/temp.ts';

async function write(
  store: WrittenStore,
  pass: string,
  keys: readonly string[],
  sizeBytes = 1,
): Promise<void> {
  const written = new WrittenKeys(await store.placeFor(pass), 0);
  for (const key of keys) written.note({ key, sizeBytes });
  written.close();
}

/** Settles so many of what is left, and leaves some of those. @returns what was settled for good. */
async function check(
  store: WrittenStore,
  { most = Number.POSITIVE_INFINITY, leaves = () => false, closes = true }: CheckOptions = {},
): Promise<readonly KeyToVerify[]> {
  const keys = await store.begin();
  const settled: KeyToVerify[] = [];
  let seen = 0;
  for await (const batch of keys.batches()) {
    for (const key of batch) {
      seen += 1;
      if (seen > most) break;
      const isLeft = leaves(key.key);
      keys.settle(key.key, isLeft ? key : undefined);
      if (!isLeft) settled.push(key);
    }
    if (seen > most) break;
  }
  if (closes) keys.close();
  return settled;
}

interface CheckOptions {
  readonly most?: number;
  readonly leaves?: (key: string) => boolean;
  /** Else it is killed. */
  readonly closes?: boolean;
}

const KEY = fc.constantFrom('a', 'a/b', 'b', 'ü', '\u{1f600}', 'c\nd', 'e"f', 'z');

const STEP = fc.oneof(
  fc.record({ is: fc.constant('write' as const), keys: fc.array(KEY, { maxLength: 5 }) }),
  fc.record({
    is: fc.constant('check' as const),
    most: fc.integer({ min: 0, max: 9 }),
    left: fc.array(KEY, { maxLength: 3 }),
    closes: fc.boolean(),
  }),
);
type Step = typeof STEP extends fc.Arbitrary<infer S> ? S : never;

/** @param due what must still be given by the next check. */
async function take(store: WrittenStore, step: Step, pass: string, due: Set<string>): Promise<void> {
  if (step.is === 'write') {
    await write(store, pass, step.keys);
    for (const key of step.keys) due.add(key);
    return;
  }
  const { most, left, closes } = step;
  const settled = await check(store, { most, leaves: (key) => left.some((one) => one === key), closes });
  // Whatever a check that was killed had settled may have to be done again.
  if (closes) for (const { key } of settled) due.delete(key);
}

function inOrder(keys: Iterable<string>): readonly string[] {
  return [...keys].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
}

describe('the store of what was written', () => {
  it('gives each key until it is settled, whatever is written, left and cut short meanwhile', async () => {
    const path = (folder: string): string => join(folder, 'written');
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { maxLength: 8 }), async (steps) => {
        await using folder = await makeTempFolder('written');
        const due = new Set<string>();
        for (const [at, step] of steps.entries())
          await take(new WrittenStore(path(folder.path)), step, `${at}`, due);
        const given = (await check(new WrittenStore(path(folder.path)))).map(({ key }) => key);
        for (const key of due) assert.ok(given.includes(key), key);
        assert.deepEqual(given, inOrder(new Set(given)));
        assert.deepEqual(await check(new WrittenStore(path(folder.path))), []);
      }),
      { numRuns: 60 },
    );
  });

  it('knows of a key what was noted last, by the latest pass', async (t) => {
    const store = new WrittenStore(await tempFolderFor(t, 'written'));
    await write(store, 'f', ['a', 'b'], 1);
    await check(store, { leaves: () => true });
    await write(store, '0', ['b'], 2);
    assert.deepEqual(await check(store), [
      { key: 'a', sizeBytes: 1 },
      { key: 'b', sizeBytes: 2 },
    ]);
  });

  it('passes by the torn last line of a thread that was killed, and no other', async (t) => {
    const folder = await tempFolderFor(t, 'written');
    const store = new WrittenStore(folder);
    await write(store, 'one', ['a', 'b']);
    const name = (await readdir(folder)).find((file) => file.endsWith('.keys')) ?? '';
    await appendFile(join(folder, name), '{"key":"c","si');
    const [text, { mode }] = [await readFile(join(folder, name), 'utf8'), await stat(join(folder, name))];
    assert.equal(mode & 0o777, 0o600, 'names are nobody else’s business');
    assert.deepEqual(await check(store), [
      { key: 'a', sizeBytes: 1 },
      { key: 'b', sizeBytes: 1 },
    ]);
    await writeFile(join(folder, '9-torn-0.keys'), `${text}\n{"key":"d","sizeBytes":1}\n`);
    await assert.rejects(check(store), /is damaged: it holds/);
  });

  it('is not passed by: what cannot be noted ends the pass', async (t) => {
    const folder = join(await tempFolderFor(t, 'written'), 'gone');
    const written = new WrittenKeys({ folder, name: 'one' }, 0);
    assert.throws(() => written.note({ key: 'a', sizeBytes: 1 }), NotNoted);
  });
});
