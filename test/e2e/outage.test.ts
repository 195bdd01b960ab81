/** Backends that vanish, keys that are taken away, targets that are full: a clear word, and the next run completes. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { runBlobferry } from '../support/cli.ts';
import {
  assertHolds,
  bucketUrl,
  copyThroughOutage,
  fill,
  KEYS,
  outageTree,
  proxyBefore,
} from '../support/outage-world.ts';
import { mustRun } from '../support/process.ts';
import { makeTempFolder, tempFolderFor } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const OUTAGE_MS = 5_000;
const tree = outageTree('outage', 150);
const targets = [
  'target',
  'sdk',
  'source-away',
  'between',
  'too-long',
  'revoked',
  'denied',
  'quota',
  'full',
  'renewed',
];

let server: S3Server;
before(async () => {
  server = await startS3Server({ buckets: ['source', ...targets] });
  await fill(server, 'source', tree);
});
after(() => server.close());

describe('a backend that vanishes in the middle of a run', () => {
  for (const [name, side, target, fromObjects, more] of [
    ['the target', 'target', 'target', 10, []],
    ['the target of the AWS SDK', 'target', 'sdk', 10, ['--engine', 'sdk']],
    ['the source', 'source', 'source-away', 10, []],
    // Every blob is there: what is being done is to plan the names.
    ['the source between two phases', 'source', 'between', tree.blobs.length, []],
  ] as const) {
    it(`is waited for, and the run ends well: ${name}`, async (t) => {
      const journal = await tempFolderFor(t, 'journal');
      const outage = { side, target, more, outageMs: OUTAGE_MS, fromObjects };
      const { result, objectsBefore } = await copyThroughOutage({ server, tree, journal, ...outage });
      assert.ok(objectsBefore >= fromObjects, `${objectsBefore} objects before`);
      assert.ok(objectsBefore < tree.objects.size, 'it came too late');
      assert.equal(result.code, 0, result.stderr + result.stdout);
      await assertHolds(server, target, tree);
      const said = (words: string) => new RegExp(`^${side} s3://.* ${words}$`, 'm');
      assert.match(result.stderr, said('does not answer \\(.*\\): waiting, up to 10 min'));
      assert.match(result.stderr, said('is back after \\d+ s'));
      assert.ok(result.seconds > OUTAGE_MS / 1000);
    });
  }

  it('ends the run once it is away for longer than --outage-limit, and the same command completes it', async (t) => {
    const journal = await tempFolderFor(t, 'journal');
    const proxy = proxyBefore(server);
    const world = { server, tree, journal, proxy, side: 'target', target: 'too-long' } as const;
    const { result } = await copyThroughOutage({
      ...world,
      outageMs: 60_000,
      fromObjects: 10,
      more: ['--outage-limit', '2s', '--json'],
    });
    assert.equal(result.code, 1, result.stderr);
    const stopped = result.summary?.['stoppedBy'] as { message: string; hint: string };
    assert.match(
      stopped.message,
      /^s3:\/\/too-long at .* has not answered since .*Z, for \d+ s: .*ECONNREFUSED/,
    );
    assert.match(stopped.hint, /run again/);
    assert.equal(result.summary?.['objectsFailed'], 0);
    const waits = result.events.filter(({ event, state }) => event === 'backend' && state === 'waiting');
    assert.ok(waits.length > 0);
    assert.equal(waits[0]?.['side'], 'target');
    const again = await copyThroughOutage({
      ...world,
      outageMs: 0,
      fromObjects: Number.POSITIVE_INFINITY,
      more: ['--json'],
    });
    assert.equal(again.result.code, 0, again.result.stderr);
    assert.ok(Number(again.result.summary?.['objectsSkipped']) >= 10);
    await assertHolds(server, 'too-long', tree);
  });
});

interface Refusal {
  readonly name: string;
  readonly target: string;
  readonly status: number;
  readonly code: string;
  readonly says: RegExp;
  /** Requests that may still be refused by then: what is in flight in each thread, or fifty in a row. */
  readonly refusedMax: number;
}

const IN_FLIGHT = 2 * 32;

const REFUSALS: readonly Refusal[] = [
  {
    name: 'a key that is revoked',
    target: 'revoked',
    status: 403,
    code: 'InvalidAccessKeyId',
    says: /InvalidAccessKeyId.*\n.*(Check the access key|run)/,
    refusedMax: IN_FLIGHT,
  },
  {
    name: 'temporary credentials that expire and cannot be renewed',
    target: 'renewed',
    status: 400,
    code: 'ExpiredToken',
    says: /ExpiredToken/,
    refusedMax: IN_FLIGHT,
  },
  {
    name: 'a permission that is taken away',
    target: 'denied',
    status: 403,
    code: 'AccessDenied',
    says: /denied 50 requests of one kind in a row.*AccessDenied/,
    refusedMax: 2 * 50 + IN_FLIGHT,
  },
  {
    name: 'a quota that is used up',
    target: 'quota',
    status: 403,
    code: 'QuotaExceeded',
    says: /QuotaExceeded/,
    refusedMax: IN_FLIGHT,
  },
  {
    name: 'a service that is full',
    target: 'full',
    status: 507,
    code: 'InsufficientStorage',
    says: /InsufficientStorage/,
    refusedMax: IN_FLIGHT,
  },
];

describe('what every further request would meet ends a run, and once it is mended the same command completes it', () => {
  for (const { name, target, status, code, says, refusedMax } of REFUSALS) {
    it(name, async (t) => {
      const journal = await tempFolderFor(t, 'journal');
      const fault = await server.misbehave({
        fault: { kind: 'status', status, code, message: 'said the server' },
        bucket: target,
        keyPrefix: 'docker/',
        operation: ['PutObject', 'UploadPart', 'CreateMultipartUpload', 'CompleteMultipartUpload'],
        skip: 20,
        times: 100_000,
      });
      const ends = [
        '--from',
        bucketUrl('source', server.endpoint),
        '--to',
        bucketUrl(target, server.endpoint),
      ];
      const args = ['copy', ...ends, '--journal', journal, '--threads', '2', '--server-side', 'never'];
      const stopped = await runBlobferry(args, { env: KEYS });
      const [refused = 0] = await fault.used();
      await fault.remove();
      const said = stopped.stderr + stopped.stdout;
      assert.equal(stopped.code, 1, said);
      assert.match(said, says);
      assert.ok(refused > 0 && refused <= refusedMax, `${refused} requests were refused`);
      const before = (await server.keys(target)).length;
      assert.ok(before > 0 && before < tree.objects.size);
      const again = await runBlobferry([...args, '--json'], { env: KEYS });
      assert.equal(again.code, 0, again.stderr);
      assert.equal(again.summary?.['objectsSkipped'], before);
      await assertHolds(server, target, tree);
    });
  }
});

/** Mounting needs root, which users need not be. */
function noTmpfs(): string | false {
  if (process.getuid?.() === 0) return false;
  if (process.env['BLOBFERRY_TEST_REQUIRED'] === 'all')
    throw new Error('The test of a full disk needs root to mount a tmpfs');
  return 'missing here: root, to mount a small tmpfs';
}

describe('a target disk that is full', { skip: noTmpfs() }, () => {
  it('ends the run at once, and the same command completes it once there is room', async (t) => {
    const journal = await tempFolderFor(t, 'journal');
    const { path: disk, remove } = await makeTempFolder('disk');
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk]);
    t.after(async () => {
      await mustRun('umount', [disk]);
      await remove();
    });
    const from = bucketUrl('source', server.endpoint);
    const args = ['copy', '--from', from, '--to', `file://${disk}`, '--journal', journal, '--json'];
    const full = await runBlobferry(args, { env: KEYS });
    assert.equal(full.code, 1, full.stderr);
    const stopped = full.summary?.['stoppedBy'] as { message: string; hint: string };
    assert.match(stopped.message, /no space .* is left on the file system \(ENOSPC\)/);
    assert.match(stopped.hint, /run again: what was copied stays/);
    assert.equal(full.summary?.['objectsFailed'], 0);
    await mustRun('mount', ['-o', 'remount,size=96m', disk]);
    const again = await runBlobferry(args, { env: KEYS });
    assert.equal(again.code, 0, again.stderr);
    const found = await readTree(disk);
    assert.deepEqual(new Set(found.keys()), new Set(tree.objects.keys()));
    for (const [path, bytes] of tree.objects) assert.ok(bytes.equals(await readFile(join(disk, path))), path);
  });
});
