/** A server that checks nothing, on a way that changes a byte, and a run killed before it could read back what it wrote. */
import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { runBlobferry } from '../support/cli.ts';
import { assertHolds, bucketUrl, fill, KEYS } from '../support/outage-world.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

const tree = makeSmallTree({ seed: 'unseen writes' });

let server: S3Server;
before(async () => {
  server = await startS3Server({ buckets: ['source', 'target'], checksNothing: true });
  await fill(server, 'source', tree);
});
after(() => server.close());

describe('a copy to a server that checks nothing', () => {
  it('finds what a killed run wrote wrongly and had not read back, though its size is right', async (t) => {
    const [blob = ''] = tree.blobs;
    const journal = await tempFolderFor(t, 'journal');
    const places = [
      '--from',
      bucketUrl('source', server.endpoint),
      '--to',
      bucketUrl('target', server.endpoint),
    ];
    const command = ['copy', '--json', '--server-side', 'never', ...places, '--journal', journal];
    const faults = await server.misbehave([
      {
        fault: { kind: 'flip-request', offset: 1_000 },
        bucket: 'target',
        operation: 'PutObject',
        key: blob,
      },
      { fault: { kind: 'hang' }, bucket: 'target', operation: 'GetObject', key: blob },
    ]);
    const killing = (async () => {
      while ((await faults.used()).some((count) => count === 0)) await delay(10);
      const [, pid] = /process (\d+)/.exec(await readFile(join(journal, 'holder'), 'utf8')) ?? [];
      process.kill(Number(pid), 'SIGKILL');
    })();
    const killed = await runBlobferry(command, { env: KEYS });
    await killing;
    assert.equal(killed.code, null);
    await faults.assertUsedUp();
    await faults.remove();
    const wrong = (await server.get('target', blob)) ?? Buffer.alloc(0);
    assert.equal(wrong.length, tree.objects.get(blob)?.length);
    assert.ok(!tree.objects.get(blob)?.equals(wrong), 'nothing wrong was written');

    const again = await runBlobferry(command, { env: KEYS });
    assert.equal(again.code, 0, again.stderr);
    await assertHolds(server, 'target', tree);
  });
});

describe('a copy that is to be read back', () => {
  it('has what a killed run wrote looked at by the next one, whether that is to be read back or not', async (t) => {
    const [blob = '', other = ''] = tree.blobs;
    const folder = await tempFolderFor(t, 'read-back');
    const [journal, target] = [join(folder, 'journal'), join(folder, 'target')];
    await mkdir(target);
    const command = ['copy', '--json', '--threads', '1', '--journal', journal];
    command.push('--from', bucketUrl('source', server.endpoint), '--to', `file://${target}`);
    const faults = await server.misbehave([
      { fault: { kind: 'hang' }, bucket: 'source', operation: 'GetObject', key: other },
    ]);
    const written = join(target, blob);
    const killing = (async () => {
      while ((await faults.used()).some((count) => count === 0)) await delay(10);
      while ((await stat(written).catch(() => undefined)) === undefined) await delay(10);
      const [, pid] = /process (\d+)/.exec(await readFile(join(journal, 'holder'), 'utf8')) ?? [];
      process.kill(Number(pid), 'SIGKILL');
    })();
    const killed = await runBlobferry([...command, '--read-back'], { env: KEYS });
    await killing;
    assert.equal(killed.code, null);
    await faults.remove();
    const right = tree.objects.get(blob) ?? Buffer.alloc(0);
    // As a file server may have left it.
    const wrong = Buffer.from(right);
    wrong[0] = ~(wrong[0] ?? 0);
    await writeFile(written, wrong);

    const again = await runBlobferry(command, { env: KEYS });
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await readFile(written), right);
  });
});
