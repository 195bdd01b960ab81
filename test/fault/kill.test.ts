/** kill -9 in the middle of a copy: nothing half is visible, and the next run goes on from what is there. */
import assert from 'node:assert/strict';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runBlobferry } from '../support/cli.ts';
import { cleanEnvironment, spawnOwned } from '../support/process.ts';
import { seededBytes } from '../support/seeded.ts';
import { tempFolderFor } from '../support/temp.ts';
import { compareTrees, readTree, type Tree, without } from '../support/tree.ts';
import { blobPath, layerLinkPath, linkText, revisionLinkPath, tagPath } from '../unit/copy/registry-names.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const MIB = 1024 ** 2;
/** Leaves time to kill the copy in its middle, however slow the machine is to see where that is. */
const SLOWLY = ['--bandwidth', '16MiB', '--requests', '300'];

function isOurs(path: string): boolean {
  return path.startsWith('.blobferry-');
}

async function writeSource(root: string): Promise<void> {
  const files = new Map<string, Uint8Array | string>();
  const sizes = [...Array.from({ length: 150 }, (_, at) => 20_000 + at), 9 * MIB, 9 * MIB + 1];
  for (const [at, size] of sizes.entries()) {
    const content = seededBytes('kill', `blob ${at}`, size);
    files.set(blobPath(content), content);
    files.set(layerLinkPath(`team/app${at % 20}`, content), linkText(content));
    files.set(revisionLinkPath(`team/app${at % 20}`, content), linkText(content));
    files.set(tagPath(`team/app${at % 20}`, 'latest'), linkText(content));
  }
  for (const [path, content] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

type Moment = (target: string) => Promise<boolean>;

/** So many files are visible in the target. */
function visible(files: number): Moment {
  return async (target) => {
    const entries = await readdir(target, { recursive: true, withFileTypes: true }).catch(() => []);
    const ours = entries.filter((entry) => entry.isFile() && !entry.parentPath.includes('.blobferry-'));
    return ours.length >= files;
  };
}

/** One part of an object is written, and the next one has to wait until the bandwidth allows it. */
const inTheMaking: Moment = async (target) => {
  const entries = await readdir(target, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = entries
    .filter((entry) => entry.isFile() && entry.parentPath.includes('.blobferry-'))
    .map(({ parentPath, name }) =>
      stat(join(parentPath, name))
        .then(({ size }) => size)
        .catch(() => 0),
    );
  return (await Promise.all(sizes)).some((size) => size >= MIB);
};

/** Kills the process at such a moment. */
async function runAndKill(args: readonly string[], target: string, isMoment: Moment): Promise<void> {
  const child = spawnOwned(process.execPath, [MAIN, ...args], { env: cleanEnvironment() });
  const exited = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_code, signal) => resolve(signal));
  });
  const isOver = exited.then(() => true);
  while (!(await isMoment(target))) {
    const hasEnded = await Promise.race([isOver, delay(5, false)]);
    assert.equal(hasEnded, false, 'the copy was over before it could be killed');
  }
  child.kill('SIGKILL');
  assert.equal(await exited, 'SIGKILL', 'the copy was over before it could be killed');
}

async function foldersFor(test: TestContext) {
  const root = await tempFolderFor(test, 'kill');
  const [source, target, journal] = ['source', 'target', 'journal'].map((name) => join(root, name));
  assert.ok(source && target && journal);
  await mkdir(target);
  await writeSource(source);
  const ends = ['--from', `file://${source}`, '--to', `file://${target}`, '--journal', journal];
  return { source, target, args: ['copy', ...ends, '--threads', '2', '--json'] };
}

/** Every file that is there is the source's, and no name is there before the bytes. */
function assertNothingHalf(expected: Tree, seen: Tree): void {
  const there = new Map([...expected].filter(([path]) => seen.has(path)));
  assert.deepEqual(compareTrees(there, seen), []);
  const isName = (path: string) => path.includes('/repositories/');
  if (![...seen.keys()].some(isName)) return;
  const blobs = without(expected, isName);
  assert.deepEqual(compareTrees(blobs, without(seen, isName)), [], 'names came before their bytes');
}

describe('blobferry copy that is killed', () => {
  it('leaves nothing half, and the next runs copy what is missing and no more', async (t) => {
    const { source, target, args } = await foldersFor(t);
    const expected = await readTree(source);
    let before = 0;
    let leftovers = 0;
    for (const moment of [inTheMaking, visible(100), visible(250)]) {
      await runAndKill([...args, ...SLOWLY], target, moment);
      const seen = await readTree(target, isOurs);
      assertNothingHalf(expected, seen);
      assert.ok(seen.size >= before, 'a later run took away what was there');
      before = seen.size;
      leftovers += [...(await readTree(target)).keys()].filter(isOurs).length;
    }
    assert.ok(leftovers > 0, 'nothing was in the making when it was killed');

    const last = await runBlobferry(args);
    assert.equal(last.code, 0, last.stderr);
    const interrupted = last.events.find(({ event }) => event === 'interrupted');
    assert.ok(Number(interrupted?.['shards']) > 0, 'it does not say that the run before was interrupted');
    assert.deepEqual(compareTrees(expected, await readTree(target, isOurs)), []);
    assert.equal(last.summary?.['objectsSkipped'], before);
    assert.equal(last.summary?.['objectsCopied'], expected.size - before);

    // The runs that were killed were this job's, so what they left is taken away at once.
    assert.deepEqual(compareTrees(expected, await readTree(target)), []);
    const again = await runBlobferry(args);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(again.summary?.['objectsCopied'], 0);
  });
});
