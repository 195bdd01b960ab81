import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Journal } from '../../../src/coordinator/journal.ts';
import { peekOwnsTarget } from '../../../src/coordinator/peek-journal.ts';
import { tempFolderFor } from '../../support/temp.ts';

async function journalIn(
  t: TestContext,
  ownsTarget?: boolean,
): Promise<{ folder: string; journal: Journal }> {
  const folder = await tempFolderFor(t, 'journal');
  const journal = Journal.open(folder, 'one -> two');
  if (ownsTarget !== undefined) journal.claim(ownsTarget, []);
  return { folder, journal };
}

describe('peekOwnsTarget()', () => {
  for (const owns of [true, false]) {
    it(`knows what the job found out when it began: ${owns}`, async (t) => {
      const { folder, journal } = await journalIn(t, owns);
      journal.close();
      const before = await readdir(folder);
      assert.equal(await peekOwnsTarget(folder, 'one -> two'), owns);
      assert.deepEqual(await readdir(folder), before);
    });
  }

  it('knows it while a copy holds the journal', async (t) => {
    const { folder, journal } = await journalIn(t, true);
    try {
      assert.equal(await peekOwnsTarget(folder, 'one -> two'), true);
    } finally {
      journal.close();
    }
  });

  it('knows nothing of another job, of a job that had not looked yet, of no journal and of no database', async (t) => {
    const { folder, journal } = await journalIn(t, true);
    journal.close();
    assert.equal(await peekOwnsTarget(folder, 'one -> three'), undefined);
    const fresh = await journalIn(t);
    fresh.journal.close();
    assert.equal(await peekOwnsTarget(fresh.folder, 'one -> two'), undefined);
    const empty = await tempFolderFor(t, 'journal');
    assert.equal(await peekOwnsTarget(empty, 'one -> two'), undefined);
    assert.equal(await peekOwnsTarget(join(empty, 'none'), 'one -> two'), undefined);
    await writeFile(join(empty, 'journal.sqlite'), 'no database');
    assert.equal(await peekOwnsTarget(empty, 'one -> two'), undefined);
  });
});
