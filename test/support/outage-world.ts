/** A copy from one bucket to another, each behind a network that can be cut, and the question whether nothing was lost. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { S3Server } from '../../bench/s3-server/s3-server.ts';
import { type CliResult, runBlobferry } from './cli.ts';
import { CuttableProxy } from './cuttable-proxy.ts';
import { makeSmallTree, type SmallTree } from './small-tree.ts';

export const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };
const MIB = 1024 ** 2;

/** Some objects in parts, and enough small ones that a run has a middle. */
export function outageTree(seed: string, smallBlobs: number): SmallTree {
  const sizes = Array.from({ length: smallBlobs }, (_, index) => 20_000 + index);
  return makeSmallTree({ seed, blobBytes: [20 * MIB, 9 * MIB, ...sizes] });
}

export async function fill(server: S3Server, bucket: string, tree: SmallTree): Promise<void> {
  await server.put(
    bucket,
    [...tree.objects].map(([key, body]) => ({ key, body })),
  );
}

export function bucketUrl(bucket: string, endpoint: string): string {
  return `s3://${bucket}?endpoint=${endpoint}&region=us-east-1`;
}

/** Every object of the tree is there with its bytes, and nothing else. */
export async function assertHolds(server: S3Server, bucket: string, tree: SmallTree): Promise<void> {
  const keys = (await server.keys(bucket)).map(({ key }) => key);
  assert.deepEqual(new Set(keys), new Set(tree.objects.keys()));
  for (const [key, body] of tree.objects) {
    assert.ok(body.equals((await server.get(bucket, key)) ?? Buffer.alloc(0)), key);
  }
}

export interface OutageRun {
  readonly result: CliResult;
  /** Objects in the target when the network was cut. */
  readonly objectsBefore: number;
}

export interface OutageOptions {
  readonly server: S3Server;
  readonly tree: SmallTree;
  readonly side: 'source' | 'target';
  readonly target: string;
  readonly journal: string;
  readonly outageMs: number;
  /** Cut once the target holds so many objects. */
  readonly fromObjects: number;
  readonly more?: readonly string[];
  /** For a second run of the same job; closed afterwards all the same. */
  readonly proxy?: CuttableProxy;
}

export function proxyBefore(server: S3Server): CuttableProxy {
  return new CuttableProxy(Number(new URL(server.endpoint).port));
}

/** Runs a copy from bucket `source`, cuts one side off in the middle of it, and joins it again after a while. */
export async function copyThroughOutage(options: OutageOptions): Promise<OutageRun> {
  const { server, target, side, journal, outageMs, fromObjects, more = [] } = options;
  const proxy = await (options.proxy ?? proxyBefore(server)).open();
  const ended = new AbortController();
  // Slow enough that the cut comes in the middle.
  const slow = await server.misbehave({
    fault: { kind: 'latency', ms: 40 },
    bucket: 'source',
    operation: 'GetObject',
  });
  const endpoint = (one: 'source' | 'target') => (one === side ? proxy.endpoint : server.endpoint);
  let objectsBefore = 0;
  const cutting = (async () => {
    while (objectsBefore < fromObjects && !ended.signal.aborted) {
      await delay(10);
      objectsBefore = (await server.keys(target)).length;
    }
    await proxy.cut();
    await delay(outageMs, undefined, { signal: ended.signal }).catch(() => undefined);
    if (!ended.signal.aborted) await proxy.open();
  })();
  try {
    const from = bucketUrl('source', endpoint('source'));
    const to = bucketUrl(target, endpoint('target'));
    const args = ['copy', '--from', from, '--to', to, '--journal', journal, '--concurrency', '4'];
    args.push('--server-side', 'never', ...more);
    const result = await runBlobferry(args, { env: KEYS });
    return { result, objectsBefore };
  } finally {
    ended.abort();
    await cutting;
    await proxy.cut();
    await slow.remove();
  }
}
