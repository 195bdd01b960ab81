/** Ctrl-C in the middle of a copy, while the largest object is on its way in parts. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Ceph, startCeph } from '../support/ceph.ts';
import { runBlobferry } from '../support/cli.ts';
import { type MsrTree, writeMsrTree } from '../support/msr-tree.ts';
import { storageYaml } from '../support/registry.ts';
import { summaryOf } from '../support/run-checks.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { compareTrees, readTree, type Tree, without } from '../support/tree.ts';

const MIB = 1024 ** 2;
const TEMPORARY = /^\.blobferry-tmp\//;
/** The promise is three seconds for the program; the half second more is for a busy machine to end the process. */
const STOPS_WITHIN_MS = 3_500;
/** At this rate the largest blob alone takes six seconds, so that no machine is too fast to be stopped in time. */
const LARGEST_BLOB_BYTES = 48 * MIB;
const BANDWIDTH = '8MiB';

describe('Ctrl-C', { skip: missingTools('ceph') }, () => {
  let folder: TempFolder;
  let ceph: Ceph;
  let written: MsrTree;
  let kept: Tree;
  let from: string;

  before(async () => {
    folder = await makeTempFolder('stop-e2e');
    const source = join(folder.path, 'source');
    [ceph, written] = await Promise.all([
      startCeph({ directory: join(folder.path, 'ceph') }),
      writeMsrTree({ root: source, seed: 'stop', largestBlobBytes: LARGEST_BLOB_BYTES }),
    ]);
    kept = without(await readTree(source), (path) => written.leftOut.includes(path));
    from = join(folder.path, 'source.yml');
    await writeFile(from, storageYaml({ filesystem: source }));
  });

  after(async () => {
    await ceph?.stop();
    await folder?.remove();
  });

  /** Stops a copy once it is well under way, then lets another run finish; `read` gives what is visible. */
  async function stopAndGoOn(
    args: readonly string[],
    read: () => Promise<Tree>,
    isWellUnderWay: () => Promise<boolean>,
  ): Promise<void> {
    const copy = ['copy', '--from', from, ...args, '--json'];
    const stop = new AbortController();
    let isRunning = true;
    const running = runBlobferry([...copy, '--bandwidth', BANDWIDTH], { signal: stop.signal });
    const ended = running.finally(() => {
      isRunning = false;
    });
    while (isRunning && !(await isWellUnderWay())) await delay(50);
    const stoppedAt = performance.now();
    stop.abort();
    const summary = summaryOf(await ended, 130);
    const tookMs = performance.now() - stoppedAt;
    assert.ok(tookMs < STOPS_WITHIN_MS, `it took ${Math.round(tookMs)} ms to stop`);
    assert.equal(summary['isStopped'], true);

    const there = await read();
    assert.ok(there.size > 0 && there.size < kept.size, `${there.size} of ${kept.size} objects arrived`);
    assert.ok(!there.has(largest()), 'the largest blob was still on its way');
    const half = compareTrees(kept, there).filter((difference) => !difference.endsWith(' is missing'));
    assert.deepEqual(half, [], 'what is visible is whole');

    const next = summaryOf(await runBlobferry(copy), 0);
    assert.equal(next['objectsCopied'], kept.size - there.size, 'what had arrived is not copied again');
    assert.equal(next['objectsSkipped'], there.size);
    assert.deepEqual(compareTrees(kept, await read()), []);
  }

  const largest = (): string => written.blobs[0] ?? '';
  /** Not just anything: before it copies, the program writes objects of its own to see what the target checks. */
  const hasArrived = (there: ReadonlyMap<string, unknown>): boolean =>
    [...there.keys()].some((path) => kept.has(path));

  for (const engine of ['direct', 'sdk'] as const) {
    it(`stops the ${engine} engine on its way to S3, and the next run goes on`, async () => {
      const bucket = await new S3Bucket(ceph, `stop-${engine}`).create();
      try {
        const to = join(folder.path, `${engine}.yml`);
        await writeFile(to, storageYaml({ s3: { ...ceph, bucket: bucket.name } }));
        await stopAndGoOn(
          ['--to', to, '--engine', engine],
          () => bucket.readTree(),
          // The upload of the largest blob is open by now; all that the stop leaves of it would cost money for ever.
          async () => (await bucket.openUploads()).includes(largest()) && hasArrived(await bucket.list()),
        );
        assert.deepEqual(await bucket.openUploads(), []);
      } finally {
        bucket.close();
      }
    });
  }

  it('stops a copy to a folder, and the next run goes on', async () => {
    const root = join(folder.path, 'target');
    await mkdir(root);
    const visible = (): Promise<Tree> => readTree(root, (path) => TEMPORARY.test(path));
    await stopAndGoOn(['--to', `file://${root}`], visible, async () => hasArrived(await visible()));
    assert.deepEqual(
      [...(await readTree(root)).keys()].filter((path) => TEMPORARY.test(path)),
      [],
    );
  });
});
