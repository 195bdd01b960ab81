import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { runBlobferry } from '../../support/cli.ts';
import { summaryOf } from '../../support/run-checks.ts';
import { makeSmallTree, writeSmallTree } from '../../support/small-tree.ts';
import { tempFolderFor } from '../../support/temp.ts';

const TREE = makeSmallTree();
const SECOND_TAG = TREE.tag.replace('/v1/', '/v2/');
const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };

interface Ends {
  readonly source: string;
  readonly target: string;
  readonly args: readonly string[];
}

async function endsFor(test: TestContext): Promise<Ends> {
  const root = await tempFolderFor(test, 'delete-extra');
  const [source, target] = [join(root, 'source'), join(root, 'target')];
  await writeSmallTree(source, TREE);
  await put(source, SECOND_TAG);
  return { source, target, args: ['copy', '--from', `file://${source}`, '--to', `file://${target}`] };
}

async function put(root: string, path: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), TREE.objects.get(TREE.tag) ?? '');
}

describe('blobferry copy --delete-extra', () => {
  it('is a mistake without --frozen, and --max-delete is one without it', async (t) => {
    const { target, args } = await endsFor(t);
    const live = await runBlobferry([...args, '--delete-extra']);
    assert.equal(live.code, 2);
    assert.match(
      live.stderr,
      /^blobferry: --delete-extra needs --frozen: a source that changes cannot say /m,
    );
    const limit = await runBlobferry([...args, '--frozen', '--max-delete', '5']);
    assert.equal(limit.code, 2);
    assert.match(limit.stderr, /^blobferry: --max-delete limits what --delete-extra removes, and needs it$/m);
    for (const number of ['-1', 'many', '10001']) {
      const { code, stderr } = await runBlobferry([
        ...args,
        '--frozen',
        '--delete-extra',
        '--max-delete',
        number,
      ]);
      assert.equal(code, 2, stderr);
    }
    assert.equal(existsSync(target), false, 'something was opened');
  });

  it('is refused before anything moves where the target was not empty when the job began', async (t) => {
    const { target, args } = await endsFor(t);
    const foreign = 'docker/registry/v2/repositories/other/_manifests/tags/v1/current/link';
    await put(target, foreign);
    const refused = await runBlobferry([...args, '--frozen', '--into-nonempty', '--delete-extra']);
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /--delete-extra is refused: the target .* was not empty when this job began/,
    );
    assert.match(refused.stderr, /remove by hand what is not wanted, or copy into an empty root/);
    assert.equal(existsSync(join(target, TREE.tag)), false, 'something was copied');
    assert.equal((await runBlobferry([...args, '--frozen', '--into-nonempty'])).code, 0);
    assert.equal((await runBlobferry([...args, '--frozen', '--into-nonempty', '--delete-extra'])).code, 2);
    assert.ok(existsSync(join(target, foreign)));
  });

  it('shows what it would remove, says how to remove it, and removes it with its folders', async (t) => {
    const { source, target, args } = await endsFor(t);
    assert.equal((await runBlobferry(args)).code, 0);
    const folder = dirname(dirname(SECOND_TAG));
    await rm(join(source, folder), { recursive: true });
    const shown = await runBlobferry([...args, '--frozen', '--delete-extra', '--max-delete', '0']);
    assert.equal(shown.code, 1, shown.stderr);
    assert.match(shown.stdout, /^✗ The target holds what the source does not after 0 objects copied$/m);
    assert.match(shown.stdout, /^extra: 1 object is in the target only; .* --max-delete 0$/m);
    assert.ok(shown.stdout.includes(`\n  ${SECOND_TAG}\n`));
    assert.match(shown.stdout, /run the same command with --max-delete 1$/m);
    assert.ok(existsSync(join(target, SECOND_TAG)));
    const done = await runBlobferry([...args, '--frozen', '--delete-extra', '--max-delete', '1']);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /^removing 1 object from the target that the source no longer has$/m);
    assert.match(done.stdout, /^removed: 1 object from the target that the source no longer has$/m);
    assert.equal(existsSync(join(target, folder)), false, 'a registry would still list the tag');
    assert.ok(existsSync(join(target, TREE.tag)));
    assert.equal((await runBlobferry(['verify', ...args.slice(1)])).code, 0);
  });

  it('tells in JSON what goes, removes it from a bucket, and does not touch the source', async (t) => {
    const server = await startS3Server({ buckets: ['old', 'new'] });
    t.after(() => server.close());
    const { source } = await endsFor(t);
    const of = (bucket: string) => `s3://${bucket}/root?region=us-east-1&endpoint=${server.endpoint}`;
    const run = async (from: string, to: string, ...more: readonly string[]) =>
      runBlobferry(['copy', '--from', from, '--to', to, '--json', ...more], { env: KEYS });
    summaryOf(await run(`file://${source}`, of('old')), 0);
    summaryOf(await run(of('old'), of('new')), 0);
    await rm(join(source, SECOND_TAG));
    summaryOf(await run(`file://${source}`, of('old'), '--frozen', '--delete-extra'), 0);
    const before = await server.keys('old');
    assert.equal(before.length, TREE.objects.size);
    for (const engine of ['direct', 'sdk']) {
      const result = await run(of('old'), of('new'), '--frozen', '--delete-extra', '--engine', engine);
      const gone = engine === 'direct' ? 1 : 0;
      assert.equal(summaryOf(result, 0)['objectsDeleted'], gone);
      const told = result.events.filter(({ event }) => event === 'deleting');
      assert.deepEqual(
        told.map(({ objects }) => objects),
        gone === 1 ? [1] : [],
      );
      assert.deepEqual(await server.keys('new'), before);
    }
    assert.deepEqual(await server.keys('old'), before);
  });
});
