/**
 * Storage as MSR keeps it: nothing in it says what a blob's content should be, so copies count as unproved unless read
 * twice, and only reading everything back shows that they are right.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Ceph, startCeph } from '../support/ceph.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { type MsrTree, writeMsrTree } from '../support/msr-tree.ts';
import { storageYaml } from '../support/registry.ts';
import { exceptionPaths, fieldsOf, summaryOf } from '../support/run-checks.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { compareTrees, readTree, type Tree, totalBytes, without } from '../support/tree.ts';

const PREFIX = 'msr/';

describe('storage in the layout of MSR', { skip: missingTools('ceph') }, () => {
  let folder: TempFolder;
  let ceph: Ceph;
  let written: MsrTree;
  let kept: Tree;
  let source: string;

  before(async () => {
    folder = await makeTempFolder('msr-e2e');
    source = join(folder.path, 'source');
    [ceph, written] = await Promise.all([
      startCeph({ directory: join(folder.path, 'ceph') }),
      writeMsrTree({ root: source, seed: 'msr' }),
    ]);
    kept = without(await readTree(source), (path) => written.leftOut.includes(path));
    assert.equal(kept.size, written.blobs.length + written.others.length);
  });

  after(async () => {
    await ceph?.stop();
    await folder?.remove();
  });

  for (const engine of ['direct', 'sdk'] as const) {
    describe(`copied by the ${engine} engine`, () => {
      let bucket: S3Bucket;
      let from: string;
      let to: string;
      let back: string;

      before(async () => {
        bucket = await new S3Bucket(ceph, `msr-${engine}`).create();
        from = join(folder.path, `${engine}-source.yml`);
        to = join(folder.path, `${engine}-target.yml`);
        await writeFile(from, storageYaml({ filesystem: source }));
        await writeFile(to, storageYaml({ s3: { ...ceph, bucket: bucket.name, rootDirectory: '/msr' } }));
        back = join(folder.path, `${engine}-back`);
        await mkdir(back);
      });

      after(() => bucket?.close());

      const copy = (...more: readonly string[]): Promise<CliResult> =>
        runBlobferry(['copy', '--from', from, '--to', to, '--engine', engine, '--json', ...more]);

      it('arrives whole, and says that its content is not proved', async () => {
        const expected = {
          layout: 'msr',
          objectsCopied: kept.size,
          objectsFailed: 0,
          objectsDamaged: 0,
          // All but the one whose path still is a digest.
          objectsUnproved: kept.size - 1,
          bytesCopied: totalBytes(kept),
          isComplete: true,
        };
        assert.deepEqual(fieldsOf(summaryOf(await copy(), 0), expected), expected);
        assert.deepEqual(compareTrees(kept, await bucket.readTree(PREFIX)), []);
        assert.equal((await bucket.list()).size, kept.size, 'nothing lies beside the copy');
      });

      it('has nothing left to copy in a second run', async () => {
        const expected = { layout: 'msr', objectsCopied: 0, objectsSkipped: kept.size, objectsFailed: 0 };
        assert.deepEqual(fieldsOf(summaryOf(await copy('--frozen'), 0), expected), expected);
      });

      it('is proved by reading everything back', async () => {
        const args = ['verify', '--from', from, '--to', to, '--deep', '--json'];
        const expected = { objectsMatched: kept.size, objectsMissing: 0, objectsExtra: 0, layout: 'msr' };
        const summary = summaryOf(await runBlobferry(args), 0);
        assert.deepEqual(fieldsOf(summary, expected), expected);
        assert.ok(Number(summary['bytesRead']) >= 2 * (totalBytes(kept) - 30_000), 'both sides were read');
      });

      it('comes back to a folder as it was, read twice', async () => {
        const to = ['--to', `file://${back}`, '--engine', engine, '--read-twice', '--json'];
        const args = ['copy', '--from', join(folder.path, `${engine}-target.yml`), ...to];
        const expected = { layout: 'msr', objectsCopied: kept.size, objectsUnproved: 0, objectsFailed: 0 };
        assert.deepEqual(fieldsOf(summaryOf(await runBlobferry(args), 0), expected), expected);
        assert.deepEqual(compareTrees(kept, await readTree(back)), []);
      });

      it('is found out when one bit of a blob, of a chart or of anything else is wrong', async () => {
        const largest = written.blobs[0];
        for (const path of [
          largest,
          ...written.others.filter((other) => /\.tgz$|\.bin$|blobs/.test(other)),
        ]) {
          assert.ok(path);
          const right = await bucket.get(PREFIX + path);
          const wrong = Buffer.from(right);
          wrong[wrong.length - 1] = (wrong.at(-1) ?? 0) ^ 1;
          await bucket.put(PREFIX + path, wrong);
          const args = ['verify', '--from', from, '--to', to, '--deep', '--json'];
          assert.deepEqual(exceptionPaths(summaryOf(await runBlobferry(args), 3)), [path]);
          await bucket.put(PREFIX + path, right);
        }
      });
    });
  }
});
