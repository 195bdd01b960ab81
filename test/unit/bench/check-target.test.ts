import assert from 'node:assert/strict';
import { link, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { checkBucket, checkFolder } from '../../../bench/check/check-target.ts';
import { emptyBucket } from '../../../bench/check/empty-bucket.ts';
import { plantBadParts } from '../../../bench/check/planted-part.ts';
import { fillBuckets } from '../../../bench/data/fill-buckets.ts';
import { fillFolders } from '../../../bench/data/fill-folders.ts';
import { objectsOf } from '../../../bench/data/objects.ts';
import { QUICK } from '../../../bench/plan/parameters.ts';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { tempFolderFor } from '../../support/temp.ts';

const TINY = { ...QUICK, small: 40, large: 2, largeBytes: 9 * 1024 ** 2 };
const SAMPLING = { round: 0 };

async function withServer(run: (server: S3Server) => Promise<void>): Promise<void> {
  const server = await startS3Server({ buckets: ['full', 'half', 'target'], threads: 0 });
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

describe('a filled source', () => {
  it('of buckets holds the workload and its half, however large the objects', async () => {
    for (const workload of ['small', 'large'] as const) {
      await withServer(async (server) => {
        const sets = await fillBuckets(server, objectsOf(workload, TINY));
        assert.equal(sets.half.sizes.size, sets.full.sizes.size / 2);
        for (const set of ['full', 'half'] as const) {
          const check = await checkBucket(server, { bucket: set }, sets[set], SAMPLING);
          assert.deepEqual(check.problems, []);
          assert.equal(check.objects, sets[set].sizes.size);
          assert.equal(check.bytes, sets[set].bytes);
          assert.ok(check.digests > 0);
        }
      });
    }
  });

  it('of folders holds the workload and its half', async (t) => {
    const root = await tempFolderFor(t, 'fill');
    const sets = fillFolders(root, objectsOf('large', TINY));
    for (const set of ['full', 'half'] as const) {
      const check = await checkFolder(join(root, set), sets[set], SAMPLING);
      assert.deepEqual(check.problems, []);
      assert.equal(check.bytes, sets[set].bytes);
    }
  });
});

describe('the check of a target', () => {
  it('finds what a folder lacks, has besides, and holds wrongly', async (t) => {
    const root = await tempFolderFor(t, 'check');
    const { full } = fillFolders(root, objectsOf('small', TINY));
    const [first = '', second = '', third = ''] = full.sizes.keys();
    const at = (path: string): string => join(root, 'full', path);
    await rm(at(first));
    await truncate(at(second), 10);
    await mkdir(dirname(at('else/where')), { recursive: true });
    await link(at(third), at('else/where'));
    const { problems } = await checkFolder(join(root, 'full'), full, { round: 0, always: [third] });
    const text = problems.join('\n');
    assert.match(text, new RegExp(`1 of 40 objects missing: ${first}`));
    assert.match(text, new RegExp(`1 of 40 objects of another size: ${second}`));
    assert.match(text, /1 of 40 objects not expected: else\/where/);
  });

  it('finds one wrong byte of an object that it reads back', async (t) => {
    const root = await tempFolderFor(t, 'check');
    const { full } = fillFolders(root, objectsOf('small', TINY));
    const [path = '', size = 0] = [...full.sizes].at(-1) ?? [];
    await writeFile(join(root, 'full', path), Buffer.alloc(size, 'x'));
    const { problems } = await checkFolder(join(root, 'full'), full, { round: 0, always: [path] });
    assert.match(problems.join(), new RegExp(`1 of \\d+ objects read back are wrong: ${path}`));
  });

  it('finds the same in a bucket, which is empty when it has been emptied', async () => {
    await withServer(async (server) => {
      const sets = await fillBuckets(server, objectsOf('small', TINY));
      const [first = '', second = ''] = sets.full.sizes.keys();
      await server.put('full', [
        { key: first, body: Buffer.alloc(sets.full.sizes.get(first) ?? 0, 'x') },
        { key: second, body: Buffer.from('short') },
        { key: 'else <where> & "how"', body: Buffer.from('?') },
      ]);
      const sampling = { round: 0, always: [first] };
      const { problems } = await checkBucket(server, { bucket: 'full' }, sets.full, sampling);
      assert.equal(problems.length, 3, problems.join('\n'));
      await emptyBucket(server, { bucket: 'full' });
      assert.deepEqual(await server.keys('full'), []);
      const none = await checkBucket(server, { bucket: 'full' }, sets.full, sampling);
      assert.match(none.problems.join(), /40 of 40 objects missing/);
    });
  });
});

describe('planted bad parts', () => {
  it('are refused by the server, and nothing of them stays', async () => {
    await withServer(async (server) => {
      const planted = await plantBadParts({ endpoint: server.endpoint, bucket: 'target' });
      assert.deepEqual(planted, {
        answers: {
          'payload sha256': 'XAmzContentSHA256Mismatch',
          'Content-MD5': 'BadDigest',
          CRC32: 'BadDigest',
        },
        isRefused: true,
      });
      assert.deepEqual(await server.keys('target'), []);
    });
  });

  it('show a server that checks nothing', async () => {
    const server = await startS3Server({ buckets: ['target'], threads: 0, checksNothing: true });
    try {
      const planted = await plantBadParts({ endpoint: server.endpoint, bucket: 'target' });
      assert.equal(planted.isRefused, false);
      assert.equal(planted.answers['payload sha256'], 'accepted');
    } finally {
      await server.close();
    }
  });
});
