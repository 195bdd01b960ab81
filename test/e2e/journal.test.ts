/** The journal as a user meets it: two processes at once, a disk that takes no more, a run that was killed. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { openBucket } from '../../bench/support/fill.ts';
import type { Upload } from '../../src/drivers/driver.ts';
import { runBlobferry } from '../support/cli.ts';
import { seededBytes } from '../support/seeded.ts';
import { tempFolderFor } from '../support/temp.ts';
import { blobPath } from '../unit/copy/registry-names.ts';

const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };
const MIB = 1024 ** 2;
const ctx = { signal: new AbortController().signal };
const OBJECTS = 60;

describe('the journal of a copy', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3Server({
      buckets: ['source', 'wrong', 'large', 'locked', 'limited', 'killed-direct', 'killed-sdk'],
    });
    const small = Array.from({ length: OBJECTS }, (_, at) => seededBytes('journal', `blob ${at}`, 2_000));
    await server.put(
      'source',
      small.map((bytes) => ({ key: blobPath(bytes), body: bytes })),
    );
    // Each under the name of the next: none is what its path says.
    const names = Array.from({ length: 2_000 }, (_, at) => blobPath(`${at + 1}`));
    await server.put(
      'wrong',
      names.map((key, at) => ({ key, body: Buffer.from(`${at}`) })),
    );
    const large = [0, 1].map((at) => seededBytes('journal', `large ${at}`, 30 * MIB));
    await server.put(
      'large',
      large.map((bytes) => ({ key: blobPath(bytes), body: bytes })),
    );
  });
  after(() => server.close());

  function storages(from: string, to: string): readonly string[] {
    const url = (bucket: string) => `s3://${bucket}?region=us-east-1&endpoint=${server.endpoint}`;
    return ['--from', url(from), '--to', url(to), '--server-side', 'never'];
  }

  async function openUploads(bucket: string): Promise<readonly Upload[]> {
    const driver = openBucket(server.endpoint, bucket);
    try {
      return (await driver.multipart?.listUploads(ctx, '')) ?? [];
    } finally {
      await driver.close();
    }
  }

  it('is one process’s at a time: the second one is told who has it, and the first goes on', async (t) => {
    const journal = await tempFolderFor(t, 'journal');
    const fault = await server.misbehave({
      fault: { kind: 'latency', ms: 1_500 },
      bucket: 'locked',
      operation: 'PutObject',
      keyPrefix: 'docker/',
    });
    const args = ['copy', ...storages('source', 'locked'), '--journal', journal];
    let second: ReturnType<typeof runBlobferry> | undefined;
    const first = await runBlobferry([...args, '--json', '--concurrency', '1'], {
      env: KEYS,
      onLine: (line) => {
        if (!line.includes('"state":"running"')) return;
        second ??= runBlobferry(args, { env: KEYS }).finally(() => fault.remove());
      },
    });
    const refused = await second;
    assert.ok(refused);
    assert.equal(refused.code, 2, refused.stderr);
    const who = new RegExp(
      `^blobferry: Another blobferry \\(process \\d+ on ${hostname().replaceAll('.', '\\.')}, since 20\\d\\d-.* UTC\\) is at work on the journal `,
      'm',
    );
    assert.match(refused.stderr, who);
    assert.match(refused.stderr, /Wait until it ends or stop it/);
    assert.equal(first.code, 0, first.stderr);
    assert.equal(first.summary?.['objectsCopied'], OBJECTS);
  });

  it('stops the run, in words, where it can be written no more, and the next run goes on', async (t) => {
    const journal = await tempFolderFor(t, 'journal');
    const args = ['copy', ...storages('wrong', 'limited'), '--journal', journal, '--json'];
    // The kernel refuses to let any file of the process grow beyond this; half a kilobyte is the unit.
    const limited = ['sh', '-c', 'ulimit -f 500; exec "$@"', 'sh'];
    const stopped = await runBlobferry(args, { env: KEYS, through: limited });
    const { message = '', hint = '' } = (stopped.summary?.['stoppedBy'] ?? {}) as Record<string, string>;
    assert.match(message, /^The journal .*journal\.sqlite cannot be read or written: disk I\/O error$/);
    assert.match(hint, /Check the disk it lies on .*, then run again/);
    assert.equal(stopped.code, 1, stopped.stderr);
    const again = await runBlobferry(args, { env: KEYS });
    assert.ok(again.events.some(({ event }) => event === 'interrupted'));
    assert.equal(again.summary?.['stoppedBy'], undefined);
    assert.equal(again.code, 1, again.stderr);
    const database = new DatabaseSync(join(journal, 'journal.sqlite'));
    t.after(() => database.close());
    const kept = database
      .prepare("SELECT count(*) AS n FROM exception WHERE state = 'unsettled' AND pass = 2")
      .get();
    assert.equal(kept?.['n'], 2_000);
    const first = database.prepare('SELECT ended_ms FROM pass WHERE id = 1').get();
    assert.equal(first?.['ended_ms'], null);
  });

  for (const engine of ['direct', 'sdk'] as const) {
    it(`knows what a killed run left open; what others left is theirs until told otherwise: ${engine}`, async (t) => {
      const bucket = `killed-${engine}`;
      const journal = await tempFolderFor(t, 'journal');
      const driver = openBucket(server.endpoint, bucket);
      t.after(() => driver.close());
      const theirs = await driver.multipart?.begin(ctx, blobPath('a stranger’s'));
      assert.ok(theirs);
      const fault = await server.misbehave({
        fault: { kind: 'hang' },
        bucket: bucket,
        operation: 'UploadPart',
        keyPrefix: 'docker/',
        skip: 2,
        times: 1_000,
      });
      const args = [
        'copy',
        ...storages('large', bucket),
        '--journal',
        journal,
        '--json',
        '--threads',
        '2',
        '--engine',
        engine,
      ];
      const killer = ['sh', '-c', 'exec "$@"', 'sh'];
      const killing = (async () => {
        while ((await fault.used()).every((count) => count === 0))
          await new Promise((r) => setTimeout(r, 20));
        const [, pid] = /process (\d+)/.exec(await readFile(join(journal, 'holder'), 'utf8')) ?? [];
        process.kill(Number(pid), 'SIGKILL');
      })();
      const killed = await runBlobferry(args, { env: KEYS, through: killer });
      await killing;
      await fault.remove();
      assert.equal(killed.code, null);
      const left = (await openUploads(bucket)).filter(({ id }) => id !== theirs.id);
      assert.ok(left.length > 0, 'the killed run left no upload open');

      const again = await runBlobferry(args, { env: KEYS });
      assert.equal(again.code, 0, again.stderr + again.stdout);
      assert.deepEqual(await openUploads(bucket), [theirs]);
      assert.equal(again.summary?.['uploadsOpen'], 1);
      const warnings = String((again.summary?.['warnings'] as readonly string[] | undefined)?.join('\n'));
      assert.match(
        warnings,
        /^1 upload is open in the target that this job did not begin; .*--abort-uploads/m,
      );
      assert.equal(again.events.filter(({ event }) => event === 'interrupted').length, 1);

      const aborting = await runBlobferry([...args, '--abort-uploads'], { env: KEYS });
      assert.equal(aborting.code, 0, aborting.stderr);
      assert.equal(aborting.summary?.['uploadsOpen'], 0);
      assert.deepEqual(await openUploads(bucket), []);
    });
  }

  it('tells people how far an interrupted run had come', async (t) => {
    const journal = await tempFolderFor(t, 'journal');
    const args = ['copy', ...storages('source', 'locked'), '--journal', journal, '--into-nonempty'];
    const first = await runBlobferry(args, { env: KEYS });
    assert.equal(first.code, 0, first.stderr);
    const database = new DatabaseSync(join(journal, 'journal.sqlite'));
    database.exec('UPDATE pass SET ended_ms = NULL');
    database.close();
    const { stderr } = await runBlobferry(args, { env: KEYS });
    assert.match(
      stderr,
      /^the last run of this job was interrupted \(began 20..-.* UTC, last sign 20..-.* UTC; (\d+) of \1 shards done\); what it copied is found equal$/m,
    );
  });
});
