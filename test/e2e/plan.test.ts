/** A plan against real S3 requests: the target is only listed and read, and the copy after it does what was said. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import type { PlanSummary } from '../../src/plan/summary.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };
const MIB = 1024 ** 2;
/** Fixed, so that plan and copy reckon with the same parts whatever is resident when they start. */
const SETTINGS = ['--threads', '2', '--memory', '512MiB', '--part-size', '8MiB'];
/** More than one page of a listing. */
const SMALL = 1_300;

const tree = makeSmallTree({
  seed: 'plan',
  blobBytes: [20 * MIB, 6 * MIB, ...Array.from({ length: SMALL }, (_, index) => 40 + index)],
});
const uploads = 'docker/registry/v2/repositories/team/app/_uploads/1/data';

/** By the names of S3's operations. */
type Counts = Readonly<Record<string, number>>;

async function countsOf(server: S3Server): Promise<Counts> {
  return (await server.stats()).requestsByOperation;
}

function minus(left: Counts, right: Counts): Counts {
  const entries = Object.entries(left).map(([name, count]) => [name, count - (right[name] ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, count]) => count !== 0));
}

/** Both are servers of their own, so that their counts are those of one side. */
let source: S3Server;
let target: S3Server;
before(async () => {
  source = await startS3Server({ buckets: ['registry'] });
  target = await startS3Server({ buckets: ['empty', 'filled', 'other'] });
  const all = [...tree.objects].map(([key, body]) => ({ key, body }));
  await source.put('registry', [...all, { key: uploads, body: Buffer.from('half') }]);
  // Every third object is there already, the tag with another digest, and something of someone else.
  await target.put('filled', [
    ...all.filter((_, index) => index % 3 === 0),
    { key: tree.tag, body: Buffer.from(`sha256:${'0'.repeat(64)}`) },
    { key: 'zzz', body: Buffer.from('of someone else') },
  ]);
});
after(async () => {
  await source.close();
  await target.close();
});

function storages(bucket: string): readonly string[] {
  const url = (server: S3Server, name: string) => `s3://${name}?endpoint=${server.endpoint}&region=us-east-1`;
  return ['--from', url(source, 'registry'), '--to', url(target, bucket)];
}

async function plan(bucket: string, ...more: readonly string[]): Promise<PlanSummary> {
  const result = await runBlobferry(['plan', '--json', ...storages(bucket), ...SETTINGS, ...more], {
    env: KEYS,
  });
  assert.equal(result.code, 0, result.stderr);
  return result.summary as unknown as PlanSummary;
}

async function copy(bucket: string, journal: string): Promise<CliResult> {
  const args = ['copy', '--json', '--into-nonempty', '--journal', journal];
  const result = await runBlobferry([...args, ...storages(bucket), ...SETTINGS], { env: KEYS });
  assert.equal(result.code, 0, result.stderr);
  return result;
}

function wordsOfS3({ requests }: PlanSummary, side: 'source' | 'target'): Counts {
  const names = {
    list: 'ListObjectsV2',
    read: 'GetObject',
    write: 'PutObject',
    begin: 'CreateMultipartUpload',
    part: 'UploadPart',
    complete: 'CompleteMultipartUpload',
  } as Readonly<Record<string, string>>;
  return Object.fromEntries(
    Object.entries(requests[side]).map(([operation, count]) => [names[operation] ?? operation, count]),
  );
}

/** Listings that are cut because their pages are waited for end and begin with pages that are not full. */
const LISTS_MORE_MAX = 12;

function assertForetold(planned: Counts, seen: Counts): void {
  const lists = ({ ListObjectsV2 = 0 }: Counts) => ListObjectsV2;
  assert.deepEqual({ ...planned, ListObjectsV2: lists(seen) }, seen);
  const more = lists(seen) - lists(planned);
  assert.ok(more >= 0 && more <= LISTS_MORE_MAX, `${lists(seen)} pages listed, ${lists(planned)} foretold`);
}

describe('blobferry plan', () => {
  for (const bucket of ['empty', 'filled']) {
    it(`foretells a copy into a target that is ${bucket}, and leaves the target as it is`, async (t) => {
      const journal = await tempFolderFor(t, 'journal');
      const keysBefore = await target.keys(bucket);
      const untouched = await countsOf(target);
      const planned = await plan(bucket, '--journal', journal);
      assert.deepEqual(await target.keys(bucket), keysBefore);
      const asked = Object.keys(minus(await countsOf(target), untouched)).sort();
      assert.deepEqual(asked, bucket === 'empty' ? ['ListObjectsV2'] : ['GetObject', 'ListObjectsV2']);
      assert.deepEqual(await readdir(journal), []);

      const [sourceBefore, targetBefore] = [await countsOf(source), await countsOf(target)];
      const { summary: copied } = await copy(bucket, journal);
      const sourceSeen = minus(await countsOf(source), sourceBefore);
      const targetSeen = minus(await countsOf(target), targetBefore);
      assertForetold(wordsOfS3(planned, 'source'), sourceSeen);

      // A second copy has nothing to write, and so shows what finding out the target's checks costs.
      const after = await plan(bucket, '--journal', journal);
      assert.equal(after.objectsToCopy, 0);
      assert.equal(after.needsIntoNonempty, false);
      const beforeSecond = await countsOf(target);
      await copy(bucket, journal);
      // A copy that began uploads looks once more at its end for what is open.
      const ListMultipartUploads = targetSeen['ListMultipartUploads'] ?? 0;
      const second = minus(await countsOf(target), beforeSecond);
      const checks = { ...second, ListObjectsV2: 0, GetObject: 0, ListMultipartUploads };
      const mayBe = planned.possibleRequests[0];
      const checked = Object.values(checks).reduce((sum, count) => sum + count, 0);
      assert.ok(mayBe && checked > 0 && checked <= mayBe.upTo, JSON.stringify(checks));
      assertForetold(wordsOfS3(planned, 'target'), minus(targetSeen, checks));

      assert.ok(copied);
      assert.equal(copied['objectsCopied'], planned.objectsToCopy);
      assert.equal(copied['bytesCopied'], planned.bytesToCopy);
      assert.equal(copied['objectsSkipped'], planned.objects.equal.objects);
      assert.equal(copied['objectsLeftOut'], planned.objectsLeftOut);
      assert.deepEqual(copied['leftOut'], planned.leftOut);
      assert.equal(planned.targetIsEmpty, bucket === 'empty');
      assert.equal(planned.needsIntoNonempty, bucket === 'filled');
      assert.equal(planned.objects.differing.objects, bucket === 'filled' ? 1 : 0);
    });
  }

  it('says it to people, with what was not measured and what it would cost', async (t) => {
    const folder = await tempFolderFor(t);
    const prices = join(folder, 'prices.yml');
    await writeFile(
      prices,
      'currency: USD\nsource:\n  egress: 0.09\n  requests: {read: 0.0004, list: 0.005}\ntarget:\n  requests: {write: 0.005}\n',
    );
    const args = ['plan', ...storages('other'), ...SETTINGS, '--prices', prices];
    const { code, stdout, stderr } = await runBlobferry(args, { env: KEYS });
    assert.equal(code, 0, stderr);
    const shown = [
      /^✓ To copy: 2,607 objects, 27 MiB$/m,
      /^ {2}blobs +1,302 missing in the target, 27 MiB$/m,
      /^ {2}tags +1 missing in the target, 71 B$/m,
      /^ {2}source +\d+ pages listed, 2,609 reads$/m,
      /^ {2}target +\d+ pages listed, 2,606 writes, 1 upload in parts begun, 3 parts, 1 upload completed$/m,
      /^ {2}memory +at most 512 MiB, with 2 threads, parts of 8.0 MiB$/m,
      /^ {2}between .+ and .+, if the sample is like the rest$/m,
      /^ {2}the target is empty; nothing was written; this took /m,
      /measured: listing took .*, [\d,]+ objects\/s; of the source one thread read/,
      /not measured: writing, as a plan writes nothing/,
      /^Cost: 0.02 USD, by the prices that were given$/m,
      /without a price, and not in it: target list, target begin, target part, target complete$/m,
      /left out, being no part of a registry .*: 1$/m,
    ];
    for (const pattern of shown) assert.match(stdout, pattern);
    assert.deepEqual(await target.keys('other'), []);
  });

  it('does not make the folder of a target that is not there yet', async (t) => {
    const folder = await tempFolderFor(t);
    const from = join(folder, 'from');
    await writeSmallTree(from, makeSmallTree());
    const args = ['plan', '--json', '--from', `file://${from}`, '--to', `file://${folder}/to`];
    const { code, summary, stderr } = await runBlobferry(args);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await readdir(folder), ['from']);
    assert.partialDeepStrictEqual(summary, {
      targetIsEmpty: true,
      objectsToCopy: makeSmallTree().objects.size,
    });
  });

  it('names keys that the target cannot hold, and exits 1', async (t) => {
    const folder = await tempFolderFor(t);
    const long = 'x'.repeat(256);
    await source.put('registry', [
      { key: `raw/${long}`, body: Buffer.from('a') },
      { key: 'raw/a', body: Buffer.from('a') },
      { key: 'raw/a/b', body: Buffer.from('a') },
      { key: 'raw/c//d', body: Buffer.from('a') },
    ]);
    const from = `s3://registry/raw?endpoint=${source.endpoint}&region=us-east-1`;
    const args = ['plan', '--layout', 'raw', '--from', from, '--to', `file://${folder}`];
    const { code, stdout } = await runBlobferry(args, { env: KEYS });
    assert.equal(code, 1);
    assert.match(stdout, /^impossible: 3 objects cannot be held by the target/m);
    assert.match(stdout, /^ {2}a\/b\n {4}"a" is an object as well/m);
    assert.match(stdout, /^ {2}c\/\/d\n {4}the key holds "\/\/"$/m);
    assert.match(stdout, new RegExp(`^ {2}${long}\n {4}a name in the key has more than 255 bytes$`, 'm'));
  });
});
