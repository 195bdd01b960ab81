/**
 * A registry to Cloud Storage and back through the command line, over the strict fake: threads get tokens of their own,
 * by workload identity, which Google's library asks a local address for.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runBlobferry } from '../support/cli.ts';
import { type GcsFake, startGcsFake } from '../support/gcs-fake.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

const MIB = 1024 ** 2;
/** One blob of several parts. */
const TREE = makeSmallTree({ seed: 'gcs', blobBytes: [20 * MIB, 300_000, 1_000, 71] });
const SUBJECT = 'subject-token-of-the-workload';

interface World {
  readonly fake: GcsFake;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  url(root: string): string;
}

/** https://google.aip.dev/auth/4117: an external account exchanges a token of its own for one of Google's. */
async function startTokenServer(t: TestContext): Promise<string> {
  const server = createServer(async (request, response) => {
    let form = '';
    for await (const piece of request) form += piece;
    const isRight = new URLSearchParams(form).get('subject_token') === SUBJECT;
    response.statusCode = isRight ? 200 : 400;
    response.setHeader('content-type', 'application/json');
    const token = { access_token: 'token', token_type: 'Bearer', expires_in: 3_600 };
    const given = { ...token, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
    response.end(JSON.stringify(isRight ? given : { error: 'invalid_grant' }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
}

async function worldFor(t: TestContext): Promise<World> {
  const fake = await startGcsFake();
  t.after(() => fake.close());
  const folder = await tempFolderFor(t, 'gcs');
  await writeFile(join(folder, 'subject'), SUBJECT);
  const account = {
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: await startTokenServer(t),
    credential_source: { file: join(folder, 'subject') },
  };
  await writeFile(join(folder, 'account.json'), JSON.stringify(account));
  return {
    fake,
    folder,
    env: { GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'account.json') },
    url: (root) => `gs://bucket/${root}?endpoint=${fake.endpoint}`,
  };
}

describe('a registry at Cloud Storage', () => {
  it('is copied there, found equal, and copied back', async (t) => {
    const { fake, folder, env, url } = await worldFor(t);
    const [source, back] = [join(folder, 'source'), join(folder, 'back')];
    await writeSmallTree(source, TREE);
    const from = pathToFileURL(source).href;
    const there = await runBlobferry(['copy', '--from', from, '--to', url('root'), '--json'], { env });
    assert.equal(there.code, 0, there.stderr);
    assert.equal(there.summary?.['objectsCopied'], TREE.objects.size);
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
    const { fake, folder, env, url } = await worldFor(t);
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
