/** Copies inside one service, through the command: what passes through this machine, and what a kill leaves. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { S3Server } from '../../bench/s3-server/s3-server.ts';
import type { CopySummary } from '../../src/core/job.ts';
import type { PlanSummary } from '../../src/plan/summary.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { assertHolds, KEYS } from '../support/outage-world.ts';
import { INSIDE, LARGE, proofsOf, ServiceWorld } from '../support/service-world.ts';

async function copied(world: ServiceWorld): Promise<{ summary: CopySummary; result: CliResult }> {
  const result = await runBlobferry(world.command, { env: KEYS });
  assert.equal(result.code, 0, result.stderr);
  return { summary: result.summary as unknown as CopySummary, result };
}

type Rules = Exclude<Parameters<S3Server['misbehave']>[0], { readonly fault: unknown }>;

/** Kills a copy once all faults have befallen it; the last one holds it up. */
async function killedAt(world: ServiceWorld, rules: Rules): Promise<void> {
  const faults = await world.server.misbehave(rules);
  let hasEnded = false;
  const killing = (async () => {
    while (!hasEnded && (await faults.used()).some((count) => count === 0)) await delay(10);
    if (hasEnded) return;
    const [, pid] = /process (\d+)/.exec(await readFile(join(world.journal, 'holder'), 'utf8')) ?? [];
    process.kill(Number(pid), 'SIGKILL');
  })();
  const killed = await runBlobferry(world.command, { env: KEYS });
  hasEnded = true;
  await killing;
  assert.equal(killed.code, null, killed.stderr);
  await faults.remove();
}

describe('a copy from one bucket of a service to another', () => {
  it('lets no byte of a large blob pass, and proves each by what the service computed', async (t) => {
    const world = await ServiceWorld.start(t);
    const before = await world.server.stats();
    const { summary, result } = await copied(world);
    const after = await world.server.stats();
    const bytes = after.bytesIn - before.bytesIn + after.bytesOut - before.bytesOut;
    assert.equal(summary.serverSide.way, 'service');
    assert.deepEqual([summary.objectsServerSide, proofsOf(summary).service], [INSIDE, INSIDE]);
    assert.equal(summary.bytesServerSide, world.bytesOf(world.tree.blobs.slice(0, INSIDE)));
    const read =
      (after.requestsByOperation['GetObject'] ?? 0) - (before.requestsByOperation['GetObject'] ?? 0);
    assert.equal(read, world.tree.objects.size - INSIDE, 'what the service copied is read by nobody');
    // What is too small passes twice, and everything is listed; a page more (8 kB) asks what is archived.
    assert.ok(bytes < 2 * 64 * 1024 + 200_000 + 8_000, `${bytes} bytes passed`);
    assert.match(summary.binding, /computes the sha256 of what it copies/);
    assert.match(result.stdout, /"event":"server-side","way":"service"/);
    await assertHolds(world.server, 'target', world.tree);
    assert.equal((await copied(world)).summary.objectsCopied, 0);
  });

  it('finds what a killed run had copied wrongly and not looked at', async (t) => {
    const world = await ServiceWorld.start(t);
    const key = world.blob(2);
    await killedAt(world, [
      { fault: { kind: 'flip-copy', offset: 9 }, bucket: 'target', operation: 'CopyObject', key },
      { fault: { kind: 'hang' }, bucket: 'target', operation: 'DeleteObject', key },
    ]);
    assert.equal((await world.server.get('target', key))?.length, world.tree.objects.get(key)?.length);
    await copied(world);
    await assertHolds(world.server, 'target', world.tree);
  });

  it('is foretold by a plan, requests and bytes', async (t) => {
    const world = await ServiceWorld.start(t, { copyChecksums: 'none' });
    const [, , ...places] = world.command;
    const planned = await runBlobferry(['plan', '--json', ...places], { env: KEYS });
    assert.equal(planned.code, 0, planned.stderr);
    const plan = planned.summary as unknown as PlanSummary;
    const large = world.bytesOf(world.tree.blobs.slice(0, LARGE));
    assert.deepEqual(
      [plan.serverSide.way, plan.objectsServerSide, plan.bytesServerSide],
      ['read-back', LARGE, large],
    );
    assert.deepEqual([plan.bytesRead.source, plan.bytesRead.target], [plan.bytesToCopy - large, large]);
    await world.server.takeRequests();
    const { summary } = await copied(world);
    assert.equal(summary.objectsServerSide, plan.objectsServerSide);
    const seen = new Map<string, number>();
    for (const { operation, bucket, key } of (await world.server.takeRequests()).filter(({ key: name }) =>
      name.startsWith('docker/'),
    )) {
      const name = `${bucket} ${operation}`;
      assert.ok(key !== '');
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }
    // The look at an object of the layout is another one, and the trial copies to a name of its own.
    const { source, target } = plan.requests;
    assert.deepEqual(
      [target.copy, target.begin, target.abort, target.read, target.write, source.stat, source.read],
      [
        seen.get('target CopyObject'),
        seen.get('target CreateMultipartUpload'),
        seen.get('target AbortMultipartUpload'),
        seen.get('target GetObject'),
        seen.get('target PutObject'),
        seen.get('source HeadObject'),
        seen.get('source GetObject'),
      ],
    );
    const never = await runBlobferry(['plan', '--json', ...places, '--server-side', 'never'], { env: KEYS });
    assert.equal((never.summary as unknown as PlanSummary).objectsServerSide, 0);
  });

  it('finds what a killed run had copied wrongly and not read back', async (t) => {
    const world = await ServiceWorld.start(t, { copyChecksums: 'none' });
    const key = world.blob(0);
    await killedAt(world, [
      { fault: { kind: 'flip-copy', offset: 9 }, bucket: 'target', operation: 'CopyObject', key },
      { fault: { kind: 'hang' }, bucket: 'target', operation: 'GetObject', key },
    ]);
    assert.equal((await world.server.get('target', key))?.length, world.tree.objects.get(key)?.length);
    await copied(world);
    await assertHolds(world.server, 'target', world.tree);
    const { summary } = await copied(world);
    assert.deepEqual([summary.objectsCopied, summary.uploadsOpen], [0, 0]);
  });
});
