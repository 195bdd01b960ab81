/** Folders that may not be listed, and folders that are left out: what copy and verify say of them, and do without. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { ACCESS_KEY, SECRET_KEY, withoutPower } from '../support/error-tests.ts';
import { s3Url, startServer } from '../support/error-world.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const REPOSITORIES = 'docker/registry/v2/repositories';
const APP = makeSmallTree();
const ZOO = makeSmallTree({ seed: 'zoo', repository: 'zoo' });
/** Opened again before they are removed. */
const closed: string[] = [];
const ALL = new Map([...APP.objects, ...ZOO.objects]);

interface Folders {
  readonly source: string;
  readonly target: string;
  readonly ends: readonly string[];
}

async function foldersFor(t: TestContext): Promise<Folders> {
  const { path: root, remove } = await makeTempFolder('unlisted');
  t.after(async () => {
    for (const folder of closed.splice(0)) await chmod(folder, 0o755);
    await remove();
  });
  const [source, target] = [join(root, 'source'), join(root, 'target')];
  await writeSmallTree(source, APP);
  await writeSmallTree(source, ZOO);
  await mkdir(target);
  return { source, target, ends: ['--from', `file://${source}`, '--to', `file://${target}`] };
}

/** A folder that may be searched but not listed, or whatever the mode says. */
async function close(folder: string, mode = 0o300): Promise<void> {
  await chmod(folder, mode);
  closed.push(folder);
}

function run(args: readonly string[]): Promise<CliResult> {
  return runBlobferry([...args, '--json'], { through: withoutPower() });
}

interface Told {
  readonly state?: string;
  readonly problem?: string;
  readonly side?: string;
  readonly path: string;
}

function exceptionsOf({ summary }: CliResult): readonly string[] {
  const told = (summary?.['exceptions'] ?? []) as readonly Told[];
  return told.map(({ state, problem, side, path }) =>
    [state ?? problem, side, path].filter(Boolean).join(' '),
  );
}

function below(folder: string): (path: string) => boolean {
  return (path) => path.startsWith(folder);
}

describe('a folder that may not be listed', () => {
  it('is not taken for emptiness where it is all that a target holds', async (t) => {
    const { target, ends } = await foldersFor(t);
    await mkdir(join(target, 'secret'));
    await close(join(target, 'secret'));
    const result = await run(['copy', ...ends]);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, /The target .* is not empty: it holds "secret\/"/);
  });

  it('ends a copy, which says where', async (t) => {
    const { source, ends } = await foldersFor(t);
    await close(join(source, REPOSITORIES, 'team/app'));
    const result = await run(['copy', ...ends]);
    assert.equal(result.code, 1, result.stderr);
    const stoppedBy = result.summary?.['stoppedBy'] as { message: string } | undefined;
    assert.match(stoppedBy?.message ?? '', /Cannot list ".*team\/app\/".*permission denied \(EACCES\)/);
  });

  it('is something that the advice at the end knows a way around', async (t) => {
    const { source, ends } = await foldersFor(t);
    await close(join(source, REPOSITORIES, 'team/app'));
    const result = await runBlobferry(['copy', ...ends], { through: withoutPower() });
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stdout, /Next\n {2}give the permission .* --keep-going/);
  });

  for (const [name, folder, isHidden] of [
    ['a repository', `${REPOSITORIES}/team/app/`, below(`${REPOSITORIES}/team/app/`)],
    ['a folder of repositories', `${REPOSITORIES}/team/`, below(`${REPOSITORIES}/team/`)],
    // The tag stays behind, too: it would be a name without its bytes.
    ['the layers of a repository', `${REPOSITORIES}/team/app/_layers/`, below(`${REPOSITORIES}/team/app/_`)],
    [
      'one tag',
      `${REPOSITORIES}/team/app/_manifests/tags/v1/`,
      below(`${REPOSITORIES}/team/app/_manifests/tags/v1/`),
    ],
    ['the folder of a blob', `${dirname(APP.blobs[0] ?? '')}/`, (path: string) => path === APP.blobs[0]],
  ] as const) {
    it(`is one failed thing of a copy that keeps going, and all else is copied: ${name}`, async (t) => {
      const { source, target, ends } = await foldersFor(t);
      await close(join(source, folder));
      const result = await run(['copy', ...ends, '--keep-going', '--frozen']);
      assert.equal(result.code, 1, result.stderr);
      assert.equal(result.summary?.['stoppedBy'], undefined, result.stderr);
      const tree = await readTree(target);
      const heldBack = folder.endsWith('_layers/') ? [`failed ${APP.tag}`] : [];
      assert.deepEqual(exceptionsOf(result), [`failed ${folder}`, ...heldBack]);
      assert.equal(result.summary?.['objectsFailed'], 1 + heldBack.length);
      assert.equal(result.summary?.['isComplete'], false);
      const hidden = (path: string) =>
        folder.endsWith('_layers/') ? path.startsWith(folder) || path === APP.tag : isHidden(path);
      assert.deepEqual([...tree.keys()].sort(), [...ALL.keys()].filter((path) => !hidden(path)).sort());

      await chmod(join(source, folder), 0o755);
      const again = await run(['copy', ...ends, '--frozen']);
      assert.equal(again.code, 0, again.stderr);
      assert.deepEqual([...(await readTree(target)).keys()].sort(), [...ALL.keys()].sort());
    });
  }

  it('may be listed but not entered: each file in it is named', async (t) => {
    const { source, ends } = await foldersFor(t);
    const [blob = ''] = APP.blobs;
    await close(join(source, dirname(blob)), 0o600);
    const result = await run(['copy', ...ends, '--keep-going']);
    assert.equal(result.code, 1, result.stderr);
    assert.deepEqual(exceptionsOf(result), [`failed ${blob}`]);
    assert.equal(result.summary?.['objectsCopied'], ALL.size - 1);
  });

  it('of the target: nothing is written into it, as nobody knows what it holds', async (t) => {
    const { target, ends } = await foldersFor(t);
    assert.equal((await run(['copy', ...ends])).code, 0);
    const layers = join(target, REPOSITORIES, 'team/app/_layers');
    const [link = ''] = [...APP.objects.keys()].filter((path) => path.includes('/_layers/'));
    await rm(join(target, link));
    await close(layers);
    const result = await run(['copy', ...ends, '--keep-going']);
    assert.equal(result.code, 1, result.stderr);
    const links = [...APP.objects.keys()].filter((path) => path.includes('/_layers/'));
    const tag = `failed ${APP.tag}`;
    assert.deepEqual(
      [...exceptionsOf(result)].filter((one) => one !== tag).sort(),
      links.map((path) => `failed ${path}`).sort(),
    );
    await chmod(layers, 0o755);
    assert.equal((await readTree(target)).has(link), false);
    assert.equal((await run(['copy', ...ends])).code, 0);
    assert.equal((await readTree(target)).has(link), true);
  });

  for (const side of ['source', 'target'] as const) {
    it(`is named by verify, which compares all else and exits with 1: in the ${side}`, async (t) => {
      const folders = await foldersFor(t);
      assert.equal((await run(['copy', ...folders.ends])).code, 0);
      const folder = `${REPOSITORIES}/team/app/`;
      await close(join(folders[side], folder));
      const inside = [...APP.objects.keys()].filter(below(folder));
      for (const deep of [[], ['--deep']]) {
        const result = await run(['verify', ...folders.ends, ...deep]);
        assert.equal(result.code, 1, result.stderr);
        const expected = [folder, ...inside].map((path) => `unreadable ${side} ${path}`);
        assert.deepEqual([...exceptionsOf(result)].sort(), expected.sort());
        assert.equal(result.summary?.['objectsMatched'], ALL.size - inside.length);
        assert.equal(result.summary?.['objectsMissing'], 0);
        assert.equal(result.summary?.['objectsExtra'], 0);
      }
      const shown = await runBlobferry(['verify', ...folders.ends], { through: withoutPower() });
      assert.equal(shown.code, 1);
      assert.match(shown.stdout, /^✗ Cannot tell/m);
      assert.match(shown.stdout, /^unreadable: \d+ objects could not be read or listed/m);
      assert.match(shown.stdout, /Cannot list ".*team\/app\/" in file:.*permission denied/);
    });
  }

  it('is of no concern where it is left out anyway', async (t) => {
    const { source, ends } = await foldersFor(t);
    for (const name of ['lost+found', '.snapshot']) {
      await mkdir(join(source, name));
      await close(join(source, name), 0o000);
    }
    for (const command of ['copy', 'verify']) {
      const result = await run([command, ...ends]);
      assert.equal(result.code, 0, result.stderr + result.stdout);
      assert.equal(result.summary?.['objectsLeftOut'], 2);
      assert.deepEqual(result.summary?.['leftOut'], ['.snapshot/', 'lost+found/']);
    }
    const plan = await run(['plan', ...ends]);
    assert.equal(plan.summary?.['objectsLeftOut'], 2, plan.stderr);
  });
});

describe('what is left out', () => {
  const LEFT_OUT = [
    `${REPOSITORIES}/team/app/_uploads/1/data`,
    `${REPOSITORIES}/team/app/_uploads/1/hashstates/sha256/0`,
    `${REPOSITORIES}/team/app/_uploads/1/startedat`,
    `${REPOSITORIES}/team/app/_uploads/2/data`,
    `${REPOSITORIES}/zoo/_layers/.nfs00000001`,
    'lost+found/#7',
  ];

  it('is counted alike on a file system and in a bucket, by copy, plan and verify', async (t) => {
    const server = await startServer(t);
    const { source, target } = await foldersFor(t);
    for (const path of LEFT_OUT) {
      await mkdir(dirname(join(source, path)), { recursive: true });
      await writeFile(join(source, path), 'left');
    }
    const objects = [...ALL, ...LEFT_OUT.map((path) => [path, Buffer.from('left')] as const)];
    await server.put(
      'bucket',
      objects.map(([key, body]) => ({ key, body })),
    );
    const env = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY };
    for (const [index, from] of [`file://${source}`, s3Url(server.endpoint)].entries()) {
      const ends = ['--from', from, '--to', `file://${target}${index}`, '--json'];
      for (const command of ['plan', 'copy', 'verify']) {
        const { summary, stderr, code } = await runBlobferry([command, ...ends], { env });
        assert.equal(code, 0, stderr);
        assert.equal(summary?.['objectsLeftOut'], LEFT_OUT.length, `${command} ${from}`);
        assert.deepEqual(
          [...((summary?.['leftOut'] ?? []) as readonly string[])].sort(),
          LEFT_OUT.toSorted(),
          command,
        );
      }
    }
  });

  it('is one thing where a snapshot folder of the file system holds everything once more', async (t) => {
    const { source, target, ends } = await foldersFor(t);
    await writeSmallTree(join(source, REPOSITORIES, '.snapshot/hourly.0'), APP);
    const { summary, code, stderr } = await run(['copy', ...ends]);
    assert.equal(code, 0, stderr);
    assert.equal(summary?.['objectsLeftOut'], 1);
    assert.deepEqual(summary?.['leftOut'], [`${REPOSITORIES}/.snapshot/`]);
    assert.equal((await readTree(target)).size, ALL.size);
  });
});
