import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { runBlobferry } from '../../support/cli.ts';
import { makeSmallTree, writeSmallTree } from '../../support/small-tree.ts';
import { makeTempFolder, type TempFolder, tempFolderFor } from '../../support/temp.ts';

const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };
const BUCKETS = ['plain', 'events', 'back', 'metrics', 'stopped'] as const;

describe('blobferry copy', () => {
  const tree = makeSmallTree();
  let server: S3Server;
  let source: TempFolder;
  before(async () => {
    server = await startS3Server({ buckets: BUCKETS });
    source = await makeTempFolder('source');
    await writeSmallTree(source.path, tree);
  });
  after(async () => {
    await server.close();
    await source.remove();
  });

  function storages(bucket: (typeof BUCKETS)[number]): readonly string[] {
    const to = `s3://${bucket}?region=us-east-1&endpoint=${server.endpoint}`;
    return ['--from', `file://${source.path}`, '--to', to];
  }

  it('tells people on stdout what was copied, and keeps its journal in the folder of states', async (t) => {
    const state = await tempFolderFor(t, 'state');
    const args = ['copy', ...storages('plain'), '--threads', '2'];
    const { code, stdout, stderr } = await runBlobferry(args, { env: { ...KEYS, XDG_STATE_HOME: state } });
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^✓ Copied ${tree.objects.size} objects, `));
    assert.match(stdout, /^Proof$/m);
    assert.match(stderr, /^target check: the target was seen to refuse /m);
    const [job = ''] = await readdir(join(state, 'blobferry'));
    assert.match(job, /^[0-9a-f]{16}$/);
    assert.ok((await readdir(join(state, 'blobferry', job))).length > 0);
    assert.equal((await server.keys('plain')).length, tree.objects.size);
  });

  it('prints nothing but JSON on stdout with --json: what begins, shards, the summary last', async () => {
    const args = ['copy', ...storages('events'), '--json'];
    const first = await runBlobferry(args, { env: KEYS });
    assert.equal(first.code, 0, first.stderr);
    const events = first.events.map(({ event }) => event);
    assert.equal(events.length, first.stdout.split('\n').length);
    assert.equal(events[0], 'started');
    assert.ok(events.includes('bound') && events.includes('planned') && events.includes('shard'));
    assert.equal(events.at(-1), 'summary');
    assert.equal(first.summary?.['objectsCopied'], tree.objects.size);
    const second = await runBlobferry(args, { env: KEYS });
    assert.equal(second.code, 0, second.stderr);
    assert.equal(second.summary?.['objectsCopied'], 0);
    assert.equal(second.summary?.['objectsSkipped'], tree.objects.size);
  });

  it('reads back with --read-back what a target that checks has taken, and says so', async () => {
    const reads = async (): Promise<number> => (await server.stats()).requestsByOperation.GetObject ?? 0;
    const before = await reads();
    const { code, stderr } = await runBlobferry(['copy', ...storages('back'), '--read-back'], { env: KEYS });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^target check: the target was seen to refuse .*; every object is read back/m);
    assert.equal((await reads()) - before, tree.objects.size);
  });

  it('serves metrics of the copy that runs, and none when it has ended', async () => {
    const fault = await server.misbehave({
      fault: { kind: 'latency', ms: 300 },
      bucket: 'metrics',
      operation: 'PutObject',
    });
    let page: Promise<string> | undefined;
    let url = '';
    const { code, stderr } = await runBlobferry(
      ['copy', ...storages('metrics'), '--json', '--metrics-port', '0'],
      {
        env: KEYS,
        onLine: (line) => {
          if (line.startsWith('{"event":"metrics"')) url = String(JSON.parse(line).url);
          if (line.includes('"state":"running"')) page ??= fetch(url).then((response) => response.text());
        },
      },
    );
    await fault.remove();
    assert.equal(code, 0, stderr);
    const text = (await page) ?? '';
    assert.match(text, /^blobferry_shards\{state="running"\} [1-9]/m);
    assert.match(
      text,
      /^blobferry_requests_total\{backend="fs",side="source",operation="list",outcome="ok"\} [1-9]/m,
    );
    assert.match(text, /^blobferry_request_seconds_count\{.*side="target".*\} [1-9]/m);
    await assert.rejects(fetch(url));
  });

  it('stops on Ctrl-C within three seconds, leaves no half object, and goes on in the next run', async (t) => {
    const state = await tempFolderFor(t, 'state');
    const env = { ...KEYS, XDG_STATE_HOME: state };
    const fault = await server.misbehave({
      fault: { kind: 'hang' },
      bucket: 'stopped',
      keyPrefix: 'docker/',
      operation: ['PutObject', 'UploadPart'],
      skip: 2,
      times: 1000,
    });
    const controller = new AbortController();
    let stoppedMs = 0;
    const stopping = (async () => {
      while ((await fault.used()).every((count) => count === 0)) await new Promise((r) => setTimeout(r, 20));
      stoppedMs = performance.now();
      controller.abort();
    })();
    const args = ['copy', ...storages('stopped'), '--json'];
    const stopped = await runBlobferry(args, { env, signal: controller.signal });
    const endedMs = performance.now();
    await stopping;
    await fault.remove();
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.ok(endedMs - stoppedMs < 3000, `${endedMs - stoppedMs} ms`);
    assert.equal(stopped.summary?.['isStopped'], true);
    for (const { key, sizeBytes } of await server.keys('stopped')) {
      assert.equal(sizeBytes, tree.objects.get(key)?.length, key);
    }
    const again = await runBlobferry(args, { env });
    assert.equal(again.code, 0, again.stderr);
    for (const [path, bytes] of tree.objects) {
      assert.ok(bytes.equals((await server.get('stopped', path)) ?? Buffer.alloc(0)), path);
    }
  });
});
