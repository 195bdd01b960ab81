/** Rows of docs/errors.md about journals, and about what only a journal can allow. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { FILE_NAME, Journal } from '../../src/coordinator/journal.ts';
import { copy, errorTests, type RowTest, type RunOptions, withoutPower } from '../support/error-tests.ts';
import { treeUrl } from '../support/error-world.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

interface Prepared extends RunOptions {
  /** Default: the folder itself. */
  readonly journal?: string;
  /** Called when the copy has ended. */
  readonly after?: () => void | Promise<void>;
}

/** A copy with a journal in this folder; it may write nothing. */
function withJournal(prepare: (folder: string, t: TestContext) => Promise<Prepared>): RowTest {
  return async (t, row) => {
    const folder = await tempFolderFor(t, 'journal');
    const target = await tempFolderFor(t, 'target');
    const { journal = folder, after, ...options } = await prepare(folder, t);
    try {
      row.check(await copy(t, await treeUrl(t), `file://${target}`, { journal, ...options }));
    } finally {
      await after?.();
    }
    assert.deepEqual([...(await readTree(target)).keys()], []);
  };
}

errorTests(import.meta.filename, {
  'a journal of another job': withJournal(async (folder) => {
    Journal.open(folder, 'file:///other / -> file:///place /, layout distribution').close();
    return {};
  }),
  'a journal of a newer version': withJournal(async (folder) => {
    const journal = Journal.open(folder, 'any');
    journal.close();
    const database = new DatabaseSync(journal.path);
    database.exec("UPDATE meta SET value = '99' WHERE name = 'version'");
    database.close();
    return {};
  }),
  'a journal that is damaged': withJournal(async (folder) => {
    const garbage = Buffer.alloc(20_000, 'garbage');
    await writeFile(join(folder, FILE_NAME), garbage);
    return {
      after: async () => assert.deepEqual(await readFile(join(folder, FILE_NAME)), garbage),
    };
  }),
  'a journal that another run is at work on': withJournal(async (folder) => {
    const held = Journal.open(folder, 'any');
    return { after: () => held.close() };
  }),
  'a journal in a folder that may not be written to': withJournal(async (folder) => {
    await chmod(folder, 0o555);
    return { through: withoutPower() };
  }),
  'a file in the place of the folder of a journal': withJournal(async (folder) => {
    await writeFile(join(folder, 'file'), '');
    return { journal: join(folder, 'file') };
  }),
  'deletions in a target that was not empty': async (t, row) => {
    const target = await tempFolderFor(t, 'target');
    await writeSmallTree(target, makeSmallTree({ seed: 'somebody', blobBytes: [10] }));
    const before = await readTree(target);
    const more = ['--into-nonempty', '--frozen', '--delete-extra'];
    row.check(await copy(t, await treeUrl(t), `file://${target}`, { more }));
    assert.deepEqual(await readTree(target), before);
  },
  'deletions with a journal that has not seen the target empty': async (t, row) => {
    const from = await treeUrl(t);
    const target = join(await tempFolderFor(t, 'parent'), 'target');
    await mkdir(target);
    const first = await copy(t, from, `file://${target}`);
    assert.equal(first.code, 0, first.stderr);
    const more = ['--into-nonempty', '--frozen', '--delete-extra'];
    row.check(await copy(t, from, `file://${target}`, { more }));
  },
});
