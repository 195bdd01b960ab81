/** What lies in object stores beside a registry: marks of folders, unfinished uploads; and attributes that stay behind. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { RawClient } from '../../bench/s3-server/client/raw-client.ts';
import { startS3Server } from '../../bench/s3-server/s3-server.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { gcsCliWorldFor } from '../support/gcs-cli-world.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const TREE = makeSmallTree({ seed: 'left out', blobBytes: [3_000, 500, 71] });
const PATHS = [...TREE.objects.keys()].sort();
const R = 'docker/registry/v2/repositories/team/app/';
const EMPTY = Buffer.alloc(0);

/** Each is left out of a registry. */
const MARKS: readonly (readonly [string, Buffer])[] = [
  ['docker/', EMPTY],
  ['docker/registry/v2/', EMPTY],
  ['docker/registry/v2/blobs/sha256/', EMPTY],
  [R, EMPTY],
  [`${R}_manifests/tags/v9/`, EMPTY],
  [`${R}_uploads/9f/data`, Buffer.from('begun')],
  [`${R}_uploads/9f/startedat`, Buffer.from('2026')],
  [`${R}_uploads/9f/hashstates/sha256/0`, EMPTY],
];
/** Each looks as if it were, and is copied. */
const KEPT: readonly (readonly [string, Buffer])[] = [
  [`${R}_manifests/tags/_uploads/current/link`, TREE.objects.get(TREE.tag) ?? EMPTY],
  [`${R}note/not-empty/`, Buffer.from('a name with a slash at its end')],
];

function counts({ summary }: CliResult): readonly unknown[] {
  return [summary?.['objectsCopied'], summary?.['objectsLeftOut']];
}

describe('a registry in an object store', () => {
  it('is copied from S3 without marks of folders and unfinished uploads, which are counted and named', async (t) => {
    const server = await startS3Server({ buckets: ['old', 'new', 'raw'] });
    t.after(() => server.close());
    const state = await tempFolderFor(t, 'left-out');
    const env = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret', XDG_STATE_HOME: state };
    const all = [...TREE.objects, ...MARKS, ...KEPT];
    // The root's own mark is no object below it, for any layout.
    await server.put(
      'old',
      [['', EMPTY] as const, ...all].map(([key, body]) => ({ key: `root/${key}`, body })),
    );
    const url = (bucket: string): string =>
      `s3://${bucket}/root?region=us-east-1&endpoint=${server.endpoint}`;
    const run = (command: string, bucket: string, ...more: readonly string[]): Promise<CliResult> =>
      runBlobferry([command, '--from', url('old'), '--to', url(bucket), '--json', ...more], { env });
    const copied = await run('copy', 'new');
    assert.equal(copied.code, 0, copied.stderr);
    assert.deepEqual(counts(copied), [PATHS.length + KEPT.length, MARKS.length + 1]);
    const named = copied.summary?.['leftOut'] as readonly string[];
    assert.deepEqual([...named].sort(), ['', ...MARKS.map(([key]) => key)].sort());
    const names = (await server.keys('new')).map(({ key }) => key.slice('root/'.length));
    assert.deepEqual(names.sort(), [...PATHS, ...KEPT.map(([key]) => key)].sort());
    const verified = await run('verify', 'new');
    assert.equal(verified.code, 0, verified.stderr);
    const raw = await run('copy', 'raw', '--layout', 'raw');
    assert.equal(raw.code, 0, raw.stderr);
    assert.deepEqual(counts(raw), [all.length, 1]);
    assert.equal((await server.keys('raw')).length, all.length);
  });

  it('is copied from Cloud Storage without what its driver takes for absent, wherever that lies', async (t) => {
    const { fake, folder, env, url } = await gcsCliWorldFor(t);
    const session = { 'content-type': 'application/x-docker-upload-session' };
    for (const [key, body] of [...TREE.objects, ...MARKS])
      fake.bucket.put(`root/${key}`, body, { 'content-type': 'text/plain' }, false);
    // Up to 256 KiB of the upload's bytes are kept in its placeholder.
    fake.bucket.put(`root/${R}_uploads/aa/data`, Buffer.from('some bytes'), session, false);
    const blob = `docker/registry/v2/blobs/sha256/ab/${'ab'.repeat(32)}/data`;
    fake.bucket.put(`root/${blob}`, EMPTY, session, false);
    fake.bucket.put(`root/${R}odd`, Buffer.from('some bytes'), session, false);
    const [target, raw] = [join(folder, 'target'), join(folder, 'raw')];
    const run = (command: string, to: string, ...more: readonly string[]): Promise<CliResult> =>
      runBlobferry([command, '--from', url('root'), '--to', `file://${to}`, '--json', ...more], { env });
    const planned = await run('plan', target);
    assert.deepEqual(
      [planned.summary?.['objectsToCopy'], planned.summary?.['objectsLeftOut']],
      [PATHS.length, MARKS.length + 3],
    );
    const copied = await run('copy', target);
    assert.equal(copied.code, 0, copied.stderr);
    assert.deepEqual(counts(copied), [PATHS.length, MARKS.length + 3]);
    assert.deepEqual([...(await readTree(target)).keys()].sort(), PATHS);
    assert.equal((await run('verify', target)).code, 0);
    // A folder cannot hold names that end in a slash, which are the only ones that raw does not bring over.
    const everything = await run('copy', raw, '--layout', 'raw');
    assert.deepEqual(counts(everything), [PATHS.length + 3 + 3, 0]);
    assert.equal(everything.summary?.['objectsFailed'], MARKS.length - 3);
    assert.ok((await readTree(raw)).has(`${R}odd`));
  });

  it('leaves the attributes of its objects behind, in copies inside the service as well', async (t) => {
    const server = await startS3Server({ buckets: ['old', 'new'] });
    const client = new RawClient(server.endpoint);
    t.after(async () => {
      client.close();
      await server.close();
    });
    const big = makeSmallTree({ seed: 'attributes', blobBytes: [12 * 1024 ** 2, 300_000, 71] });
    const attributes = [
      ['content-type', 'text/plain'],
      ['cache-control', 'no-store'],
      ['x-amz-storage-class', 'ONEZONE_IA'],
      ['x-amz-meta-a', 'b'],
    ] as const;
    await server.put(
      'old',
      [...big.objects].map(([key, body]) => ({ key, body, attributes })),
    );
    const state = await tempFolderFor(t, 'left-out');
    const file = join(state, 'new.yml');
    const lines = [
      ...['bucket: new', 'region: us-east-1', `regionendpoint: ${server.endpoint}`],
      ...['accesskey: testkey', 'secretkey: testsecret', 'storageclass: STANDARD_IA', 'encrypt: true'],
    ];
    await writeFile(file, `s3:\n${lines.map((line) => `  ${line}\n`).join('')}`);
    const from = `s3://old?region=us-east-1&endpoint=${server.endpoint}`;
    const env = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret', XDG_STATE_HOME: state };
    const { code, stderr, summary } = await runBlobferry(['copy', '--from', from, '--to', file, '--json'], {
      env,
    });
    assert.equal(code, 0, stderr);
    assert.equal(summary?.['objectsServerSide'], 2, 'the larger two were copied by the service');
    for (const key of big.objects.keys()) {
      const { headers } = await client.send({ method: 'HEAD', target: `/new/${key}` });
      assert.deepEqual(
        [
          headers['content-type'],
          headers['x-amz-storage-class'],
          headers['x-amz-server-side-encryption'],
          headers['cache-control'],
          headers['x-amz-meta-a'],
        ],
        ['application/octet-stream', 'STANDARD_IA', 'AES256', undefined, undefined],
        key,
      );
    }
  });
});
