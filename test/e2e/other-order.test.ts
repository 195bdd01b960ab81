/**
 * Storages whose listings are not in the order of bytes, through the command line: one whose driver says that they are,
 * and an account that says of itself that they are not. Nothing may be lost, nor copied twice.
 */
import assert from 'node:assert/strict';
import { hash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import type { S3Server } from '../../bench/s3-server/s3-server.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { ACCOUNT, ACCOUNT_KEY, missingAzurite, startAzurite } from '../support/azurite.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { ACCESS_KEY, SECRET_KEY } from '../support/error-tests.ts';
import { BUCKET, fillBucket, holdsTree, s3Url, startServer } from '../support/error-world.ts';
import { startHnsAccount } from '../support/hns-account.ts';
import { SharedServer } from '../support/shared-server.ts';
import { makeSmallTree, type SmallTree, writeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

/** `a-b` and `a.b` come before `a/` by their bytes, and behind it for whoever goes from folder to folder. */
const REPOSITORIES = ['a', 'a-b', 'a.b', 'a0', 'a/b', 'a/b-c', 'b'];

function makeTree(): SmallTree {
  const objects = new Map<string, Buffer>();
  const blobs: string[] = [];
  let tag = '';
  for (const repository of REPOSITORIES) {
    const blobBytes = Array.from({ length: 12 }, (_, index) => 50 + index);
    const tree = makeSmallTree({ seed: repository, blobBytes, repository });
    for (const [path, bytes] of tree.objects) objects.set(path, bytes);
    blobs.push(...tree.blobs);
    tag = tree.tag;
  }
  return { objects, blobs, tag };
}

const TREE = makeTree();
const AWS = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY };
const SMALL_PAGES = { pageKeysMax: 20 };
const SORTS = /out of order.*sorts its listings first/s;

async function copy(from: string, to: string): Promise<CliResult> {
  return runBlobferry(['copy', '--from', from, '--to', to, '--json'], { env: AWS });
}

function assertCopied(result: CliResult, count: number): void {
  assert.equal(result.code, 0, result.stderr);
  const counts = ['objectsCopied', 'objectsSkipped', 'objectsFailed'].map((name) => result.summary?.[name]);
  assert.deepEqual(counts, [count, TREE.objects.size - count, 0]);
}

/** As S3's directory buckets list, and without a word of it. */
async function listInNoOrder(server: S3Server): Promise<void> {
  await server.misbehave({
    operation: 'ListObjectsV2',
    fault: { kind: 'unordered-listing', over: 'listing' },
  });
}

describe('a bucket that lists in no order, whatever its driver says', () => {
  it('is copied whole, with a warning, and nothing is copied again', async (t) => {
    const [source, target] = [await startServer(t, SMALL_PAGES), await startServer(t)];
    await fillBucket(source, TREE);
    await listInNoOrder(source);
    const [from, to] = [s3Url(source.endpoint), s3Url(target.endpoint)];
    const first = await copy(from, to);
    assertCopied(first, TREE.objects.size);
    assert.match(warningsOf(first), SORTS);
    assert.ok(await holdsTree(target, '', TREE));
    assert.equal((await target.keys(BUCKET)).length, TREE.objects.size);
    assertCopied(await copy(from, to), 0);
  });

  it('is a target to which only what is missing is copied', async (t) => {
    const [source, target] = [await startServer(t, SMALL_PAGES), await startServer(t, SMALL_PAGES)];
    await fillBucket(source, TREE);
    const missing = new Map([...TREE.objects].filter(([path]) => isMissing(path)));
    await fillBucket(target, {
      ...TREE,
      objects: new Map([...TREE.objects].filter(([path]) => !missing.has(path))),
    });
    await listInNoOrder(target);
    const into = ['copy', '--from', s3Url(source.endpoint), '--to', s3Url(target.endpoint)];
    const result = await runBlobferry([...into, '--json', '--into-nonempty'], { env: AWS });
    assertCopied(result, missing.size);
    assert.match(warningsOf(result), SORTS);
    assert.ok(await holdsTree(target, '', TREE));
  });
});

const azurite = new SharedServer('azurite', (directory) => startAzurite({ directory }));
const account = new SharedServer('hns', async () => startHnsAccount(await azurite.get()));
after(async () => {
  await account.stop();
  await azurite.stop();
});

async function containerUrl(t: TestContext): Promise<string> {
  const container = await new AzureContainer(await azurite.get(), `order-${randomUUID()}`).create();
  t.after(() => container.delete());
  const { endpoint } = await account.get();
  return `azure://${ACCOUNT}/${container.name}?endpoint=${endpoint}`;
}

describe('an Azure account with a hierarchical namespace', { skip: missingAzurite() }, () => {
  it('takes a registry and gives it back, object by object', async (t) => {
    const env = { AZURE_STORAGE_KEY: ACCOUNT_KEY };
    const [there, source, back] = [
      await containerUrl(t),
      await tempFolderFor(t, 'source'),
      await tempFolderFor(t, 'back'),
    ];
    await writeSmallTree(source, TREE);
    const run = (from: string, to: string): Promise<CliResult> =>
      runBlobferry(['copy', '--from', from, '--to', to, '--json'], { env });
    assertCopied(await run(`file://${source}`, there), TREE.objects.size);
    assertCopied(await run(`file://${source}`, there), 0);
    assertCopied(await run(there, `file://${back}`), TREE.objects.size);
    for (const [path, bytes] of TREE.objects) assert.deepEqual(await readFile(join(back, path)), bytes);
  });
});

function warningsOf({ events }: CliResult): string {
  return events.flatMap(({ event, message }) => (event === 'warning' ? [String(message)] : [])).join('\n');
}

/** A third of them, all over the tree. */
function isMissing(path: string): boolean {
  return hash('md5', path, 'buffer').readUInt8() % 3 === 0;
}
