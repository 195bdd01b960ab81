/**
 * A registry to Cloud Storage and back through the command line, over the strict fake: with tokens by workload identity,
 * which Google's library asks a local address for.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runBlobferry } from '../support/cli.ts';
import { gcsCliWorldFor } from '../support/gcs-cli-world.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';

const MIB = 1024 ** 2;
/** One blob of several parts. */
const TREE = makeSmallTree({ seed: 'gcs', blobBytes: [20 * MIB, 300_000, 1_000, 71] });
describe('a registry at Cloud Storage', () => {
  it('is copied there, found equal, and copied back', async (t) => {
    const world = await gcsCliWorldFor(t);
    const { fake, folder, env, url } = world;
    const [source, back] = [join(folder, 'source'), join(folder, 'back')];
    await writeSmallTree(source, TREE);
    const from = pathToFileURL(source).href;
    const there = await runBlobferry(['copy', '--from', from, '--to', url('root'), '--json'], { env });
    assert.equal(there.code, 0, there.stderr);
    assert.equal(there.summary?.['objectsCopied'], TREE.objects.size);
    assert.equal(world.logIns, 1, 'one token for all threads');
    assert.match(`${there.stdout}${there.stderr}`, /a wrong CRC-32C/);
    assert.deepEqual(
      [...fake.bucket.objects.keys()].sort(),
      [...TREE.objects.keys()].map((path) => `root/${path}`).sort(),
    );
    for (const [path, bytes] of TREE.objects) assert.deepEqual(fake.bucket.find(`root/${path}`).bytes, bytes);
    const [large = ''] = TREE.blobs;
    assert.equal(fake.bucket.find(`root/${large}`).md5, undefined, 'the large one came in parts');
    assert.equal(fake.uploads.count, 0);

    const again = await runBlobferry(['copy', '--from', from, '--to', url('root'), '--json'], { env });
    assert.deepEqual([again.code, again.summary?.['objectsCopied']], [0, 0], again.stderr);
    const equal = await runBlobferry(['verify', '--from', from, '--to', url('root'), '--json'], { env });
    assert.equal(equal.code, 0, equal.stderr);
    const home = await runBlobferry(['copy', '--from', url('root'), '--to', pathToFileURL(back).href], {
      env,
    });
    assert.equal(home.code, 0, home.stderr);
    for (const [path, bytes] of TREE.objects) assert.deepEqual(await readFile(join(back, path)), bytes);
  });

  it('is not touched with credentials that are refused, and the command says what to mend', async (t) => {
    const { fake, folder, env, url } = await gcsCliWorldFor(t);
    await writeSmallTree(join(folder, 'source'), TREE);
    await writeFile(join(folder, 'subject'), 'another-subject');
    const from = pathToFileURL(join(folder, 'source')).href;
    const { code, stderr } = await runBlobferry(['copy', '--from', from, '--to', url('')], { env });
    assert.equal(code, 2, stderr);
    assert.match(stderr, /Cannot get a token for gs:\/\/bucket.*invalid_grant/);
    assert.doesNotMatch(stderr, /another-subject/);
    assert.equal(fake.seen.length, 0);
  });
});
