/** kill -9 in the middle of `--delete-extra`: the same command finishes, and no emptied folder of a tag stays behind. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runBlobferry } from '../support/cli.ts';
import { cleanEnvironment, spawnOwned } from '../support/process.ts';
import { summaryOf } from '../support/run-checks.ts';
import { tempFolderFor } from '../support/temp.ts';
import { compareTrees, readTree } from '../support/tree.ts';
import { blobPath, linkText, otherPath, revisionLinkPath, tagPath } from '../unit/copy/registry-names.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const TAGS = 1_500;
/** Removed when the runs are killed: never near a full batch of 1,000, where for a moment nothing is under way. */
const KILLS_AT = [50, 350, 650];
/** So many removals a second leave time to kill, however slow the machine is to see them. */
const PER_SECOND = '400';

async function put(root: string, path: string, content: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

async function tagsIn(root: string): Promise<readonly string[]> {
  return await readdir(join(root, otherPath('app/_manifests/tags')));
}

/** Ends hard as soon as fewer tags than this are left. */
async function killBelow(args: readonly string[], target: string, tags: number): Promise<void> {
  const child = spawnOwned(process.execPath, [MAIN, ...args], { env: cleanEnvironment() });
  const exited = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_code, signal) => resolve(signal));
  });
  const isOver = exited.then(() => true);
  while ((await tagsIn(target)).length >= tags) {
    assert.equal(
      await Promise.race([isOver, delay(1, false)]),
      false,
      'it was over before it could be killed',
    );
  }
  child.kill('SIGKILL');
  assert.equal(await exited, 'SIGKILL', 'it was over before it could be killed');
}

/** What a kill between the two calls of one removal leaves, for which chance alone would need many kills. */
async function emptyOne(target: string, journal: string): Promise<void> {
  const database = new DatabaseSync(join(journal, 'journal.sqlite'));
  const noted = database.prepare("SELECT value FROM meta WHERE name = 'removing'").get()?.['value'];
  database.close();
  const paths = JSON.parse(String(noted)) as readonly string[];
  const half = paths.find((path) => existsSync(join(target, path)));
  assert.ok(half, 'the journal names nothing that is still to be removed');
  await rm(join(target, half));
}

describe('kill -9 while objects are removed', () => {
  it('leaves nothing that the next run of the same command does not finish', async (t) => {
    const root = await tempFolderFor(t, 'delete-kill');
    const [source, target, journal] = ['source', 'target', 'journal'].map((name) => join(root, name));
    assert.ok(source && target && journal);
    await put(source, blobPath('image'), 'image');
    await put(source, revisionLinkPath('app', 'image'), linkText('image'));
    await put(source, tagPath('app', 'kept'), linkText('image'));
    const ends = ['--from', `file://${source}`, '--to', `file://${target}`, '--journal', journal];
    summaryOf(await runBlobferry(['copy', ...ends, '--json']), 0);
    const link = join(target, tagPath('app', 'kept'));
    for (let at = 0; at < TAGS; at += 1) {
      const folder = dirname(join(target, tagPath('app', `gone-${at}`)));
      await mkdir(folder, { recursive: true });
      await cp(link, join(folder, 'link'));
    }
    const args = ['copy', ...ends, '--frozen', '--delete-extra', '--max-delete', String(TAGS), '--json'];
    for (const removed of KILLS_AT) {
      await killBelow([...args, '--requests', PER_SECOND], target, TAGS + 1 - removed);
      await emptyOne(target, journal);
    }
    const last = summaryOf(await runBlobferry(args), 0);
    assert.deepEqual(last['exceptions'], []);
    assert.deepEqual(await tagsIn(target), ['kept'], 'the registry would list a tag that is gone');
    const isOurs = (path: string) => path.startsWith('.blobferry-');
    assert.deepEqual(compareTrees(await readTree(source), await readTree(target, isOurs)), []);
  });
});
