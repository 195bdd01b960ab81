import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { listenForStop, StoppedByUser } from '../../../src/cli/stop.ts';
import { runBlobferry } from '../../support/cli.ts';
import { runCommand } from '../../support/process.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { sha256 } from '../verify/fake-store.ts';

const ENV = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };

describe('the process', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3Server({ buckets: ['one', 'two'] });
    for (const content of ['a', 'b', 'c']) {
      const hex = sha256(content);
      const key = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
      for (const bucket of ['one', 'two']) await server.put(bucket, [{ key, body: Buffer.from(content) }]);
    }
  });
  after(() => server.close());

  function url(bucket: string): string {
    return `s3://${bucket}?region=us-east-1&endpoint=${server.endpoint}`;
  }

  it('compares two buckets, results on stdout and remarks on stderr', async () => {
    const args = ['verify', '--deep', '--from', url('one'), '--to', url('two')];
    const { code, stdout, stderr } = await runBlobferry(args, { env: ENV });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^✓ Equal: 3 objects, 3 B/);
    assert.match(stderr, /^comparing /);
  });

  it('stops on Ctrl-C within three seconds with exit code 130, although a server hangs', async () => {
    const fault = await server.misbehave({ fault: { kind: 'hang' }, operation: 'GetObject', times: 1000 });
    const controller = new AbortController();
    const reading = (async () => {
      // The server has the request in its hands when a fault was used.
      while ((await fault.used()).every((count) => count === 0)) await new Promise((r) => setTimeout(r, 20));
      controller.abort();
      return performance.now();
    })();
    const args = ['verify', '--json', '--deep', '--from', url('one'), '--to', url('two')];
    const { code, summary, stderr } = await runBlobferry(args, { env: ENV, signal: controller.signal });
    const endedMs = performance.now();
    await fault.remove();
    assert.equal(code, 130, stderr);
    assert.ok(endedMs - (await reading) < 3000);
    assert.partialDeepStrictEqual(summary, { event: 'summary', isStopped: true, isComplete: false });
    assert.match(stderr, /^Stopping: /m);
  });

  it('tells in one sentence that a server is not there, and exits 2', async (t) => {
    const root = await tempFolderFor(t);
    const nobody = 's3://one?region=us-east-1&endpoint=http://127.0.0.1:1';
    const args = ['verify', '--from', nobody, '--to', `file://${root}`];
    const { code, stderr } = await runBlobferry(args, { env: ENV });
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^blobferry: Cannot list s3:\/\/one at http:\/\/127\.0\.0\.1:1: connect ECONNREFUSED/m,
    );
    assert.doesNotMatch(stderr, /\n +at /);
  });

  it('never shows a secret', async () => {
    const env = { ...ENV, AWS_SECRET_ACCESS_KEY: 'hush-hush-hush', BLOBFERRY_DEBUG: '1' };
    const { code, stdout, stderr } = await runBlobferry(['probe', url('one')], { env });
    assert.equal(code, 2);
    assert.doesNotMatch(stdout + stderr, /hush/);
  });
});

describe('an old Node', () => {
  it('is told from the start, in a sentence', async () => {
    const old =
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.18.0' } });";
    const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
    const preload = `data:text/javascript,${encodeURIComponent(old)}`;
    const { code, stderr, stdout } = await runCommand(process.execPath, [
      '--import',
      preload,
      main,
      '--version',
    ]);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^blobferry: Node 24 or newer is needed, this is 22\.18\.0\n/);
  });
});

describe('listenForStop()', () => {
  function listen(graceMs: number): {
    codes: number[];
    said: number[];
    stopper: ReturnType<typeof listenForStop>;
  } {
    const codes: number[] = [];
    const said: number[] = [];
    const exit = (code: number): void => void codes.push(code);
    return { codes, said, stopper: listenForStop({ onStop: () => said.push(1), exit, graceMs }) };
  }

  it('aborts on the first signal and ends the process on the second', () => {
    const { codes, said, stopper } = listen(60_000);
    try {
      process.emit('SIGTERM');
      assert.ok(stopper.signal.reason instanceof StoppedByUser);
      assert.deepEqual(codes, []);
      process.emit('SIGINT');
      assert.deepEqual(codes, [130]);
      assert.deepEqual(said, [1]);
    } finally {
      stopper.dispose();
    }
  });

  it('ends the process when stopping in good order takes too long', async () => {
    const { codes, stopper } = listen(5);
    try {
      process.emit('SIGINT');
      while (codes.length === 0) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(codes, [130]);
    } finally {
      stopper.dispose();
    }
  });

  it('lets go of the signals and of its deadline', () => {
    const before = process.listenerCount('SIGINT');
    const { stopper } = listen(60_000);
    assert.equal(process.listenerCount('SIGINT'), before + 1);
    stopper.dispose();
    assert.equal(process.listenerCount('SIGINT'), before);
  });
});
