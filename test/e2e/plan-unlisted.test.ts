/** A plan over folders that may not be listed: they are named, everything else is counted, and the exit code is 1. */
import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { PlanSummary } from '../../src/plan/summary.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { withoutPower } from '../support/error-tests.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder } from '../support/temp.ts';

const REPOSITORIES = 'docker/registry/v2/repositories';
const APP = makeSmallTree();
const ZOO = makeSmallTree({ seed: 'zoo', repository: 'zoo' });
const HIDDEN = `${REPOSITORIES}/team/`;
const ALL = [...new Map([...APP.objects, ...ZOO.objects]).keys()];
const IN_HIDDEN = ALL.filter((path) => path.startsWith(HIDDEN)).length;

interface Folders {
  readonly source: string;
  readonly target: string;
  plan(...more: readonly string[]): Promise<CliResult>;
}

/** Both sides hold all; one folder of a side is closed until the test has ended. */
async function foldersWith(t: TestContext, closedSide: 'source' | 'target'): Promise<Folders> {
  const { path: root, remove } = await makeTempFolder('plan-unlisted');
  const [source, target] = [join(root, 'source'), join(root, 'target')];
  for (const folder of [source, target]) {
    await writeSmallTree(folder, APP);
    await writeSmallTree(folder, ZOO);
  }
  const closed = join(root, closedSide, HIDDEN);
  await chmod(closed, 0o300);
  t.after(async () => {
    await chmod(closed, 0o755);
    await remove();
  });
  const args = ['plan', '--from', `file://${source}`, '--to', `file://${target}`];
  return {
    source,
    target,
    plan: (...more) => runBlobferry([...args, ...more], { through: withoutPower() }),
  };
}

function summaryOf(result: CliResult): PlanSummary {
  assert.equal(result.code, 1, result.stderr);
  return result.summary as unknown as PlanSummary;
}

describe('blobferry plan over a folder that may not be listed', () => {
  it('counts what lies beside it in the source, and calls nothing extra that the target has there', async (t) => {
    const { plan } = await foldersWith(t, 'source');
    const summary = summaryOf(await plan('--json'));
    const { count, named } = summary.unlistable;
    assert.deepEqual([count, named.map(({ side, path }) => `${side} ${path}`)], [1, [`source ${HIDDEN}`]]);
    assert.match(named[0]?.why ?? '', /Cannot list ".*team\/".*permission denied \(EACCES\)/);
    assert.equal(summary.objects.equal.objects + summary.objects.undecided.objects, ALL.length - IN_HIDDEN);
    assert.deepEqual([summary.objectsToDelete, summary.extra, summary.objectsUnseen], [0, [], 0]);
  });

  it('does not take for missing what the target may have there', async (t) => {
    const { plan } = await foldersWith(t, 'target');
    const summary = summaryOf(await plan('--json'));
    assert.deepEqual(
      summary.unlistable.named.map(({ side, path }) => `${side} ${path}`),
      [`target ${HIDDEN}`],
    );
    assert.deepEqual([summary.objectsToCopy, summary.objectsUnseen], [0, IN_HIDDEN]);
    assert.equal(summary.objects.equal.objects + summary.objects.undecided.objects, ALL.length - IN_HIDDEN);
  });

  it('tells people which one, and what to do', async (t) => {
    const { stdout, code } = await (await foldersWith(t, 'source')).plan();
    assert.equal(code, 1);
    assert.match(stdout, /^✗ To copy, as far as it can be listed: 0 objects/m);
    assert.match(stdout, /^unlistable: 1 folder or file cannot be listed, at which a copy stops; /m);
    assert.match(stdout, new RegExp(`^ {2}source: ${HIDDEN}$`, 'm'));
    assert.match(
      stdout,
      /^Next\n {2}Run blobferry as the owner of the files or as root.*; then plan again$/m,
    );
  });
});
