/** kill -9 in the middle of a migration's steps: the same command ends right, from the journal on the disk alone. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../support/process.ts';
import { tempFolderFor } from '../support/temp.ts';

const CHILD = fileURLToPath(new URL('saga-child.ts', import.meta.url));

async function run(folder: string, point = '', failing = ''): Promise<string> {
  const { signal, stdout, stderr } = await runCommand(process.execPath, [CHILD, folder, point, failing]);
  assert.equal(signal, point === '' ? null : 'SIGKILL', stderr);
  return stdout.trim();
}

/** What was called, and which switches are there. */
async function foundIn(folder: string): Promise<readonly [readonly string[], readonly string[]]> {
  const calls = (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');
  const files = await readdir(folder);
  return [calls, files.filter((name) => !['calls', 'journal'].includes(name)).sort()];
}

async function killed(t: TestContext, point: string, failing = ''): Promise<string> {
  const folder = await tempFolderFor(t, 'saga-kill');
  assert.equal(await run(folder, point, failing), '');
  return folder;
}

const ALL = ['crons', 'read-only', 'restore', 'switch'];
const DOS = ['do crons', 'do read-only', 'do switch', 'do restore'];

describe('kill -9 in a migration', () => {
  for (const point of ['do-begun read-only', 'acted read-only', 'effect-begun switch', 'acted restore']) {
    it(`at "${point}" is followed by the rest of it, and nothing is done twice`, async (t) => {
      const folder = await killed(t, point);
      assert.equal(await run(folder), 'done');
      assert.deepEqual(await foundIn(folder), [DOS, ALL]);
    });
  }

  for (const point of ['turned switch', 'unacted read-only', 'undone-begun crons']) {
    it(`at "${point}" of an undo is followed by the rest of that`, async (t) => {
      const folder = await killed(t, point, 'switch');
      assert.equal(await run(folder), 'undone');
      const [calls, files] = await foundIn(folder);
      assert.deepEqual(files, []);
      assert.equal(calls.filter((call) => call === 'do switch').length, 1);
      assert.equal(await run(folder), 'done');
      assert.deepEqual((await foundIn(folder))[1], ALL);
    });
  }
});
