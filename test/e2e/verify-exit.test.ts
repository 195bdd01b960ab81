/** What docs/exit-codes.md promises of verify, each promise once, by the command as it is typed. */
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runBlobferry } from '../support/cli.ts';
import { withoutPower } from '../support/error-tests.ts';
import { s3Url, startServer } from '../support/error-world.ts';
import { seededBytes } from '../support/seeded.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

const TREE = makeSmallTree();
const [LARGEST = '', BLOB = ''] = TREE.blobs;

interface Case {
  readonly name: string;
  readonly args?: readonly string[];
  /** What is wrong with two equal trees. */
  readonly bend: (source: string, target: string) => Promise<void>;
  readonly code: 0 | 1 | 2 | 3;
  /** Counters of the summary; without them there is none. */
  readonly counts?: Readonly<Record<string, number>>;
}

async function put(root: string, path: string, bytes: Uint8Array | string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), bytes);
}

const OTHER_BYTES = seededBytes('verify', 'other', 5_000);
const EXTRA = 'docker/registry/v2/repositories/zoo/extra';
const putBad = (root: string) => put(root, BLOB, OTHER_BYTES);

const CASES: readonly Case[] = [
  {
    name: 'two equal trees',
    bend: async () => undefined,
    code: 0,
    counts: { objectsMatched: TREE.objects.size },
  },
  {
    name: 'a missing object',
    bend: (_, target) => rm(join(target, BLOB)),
    code: 3,
    counts: { objectsMissing: 1 },
  },
  {
    name: 'an empty target',
    bend: async (_, target) => {
      await rm(target, { recursive: true });
      await mkdir(target);
    },
    code: 3,
    counts: { objectsMissing: TREE.objects.size },
  },
  {
    name: 'an object of another size',
    bend: (_, target) => put(target, BLOB, 'short'),
    code: 3,
    counts: { objectsWrongSize: 1 },
  },
  {
    name: 'other bytes of the same size, read back',
    args: ['--deep'],
    bend: (_, target) => putBad(target),
    code: 3,
    counts: { objectsWrongContent: 1 },
  },
  {
    name: 'the same wrong bytes on both sides, read back',
    args: ['--deep'],
    bend: async (source, target) => {
      await putBad(source);
      await putBad(target);
    },
    code: 3,
    counts: { objectsDamaged: 1 },
  },
  {
    name: 'an extra object',
    bend: (_, target) => put(target, EXTRA, 'x'),
    code: 3,
    counts: { objectsExtra: 1 },
  },
  {
    name: 'an extra object that is allowed',
    args: ['--allow-extra'],
    bend: (_, target) => put(target, EXTRA, 'x'),
    code: 0,
    counts: { objectsExtra: 1 },
  },
  {
    name: 'an object that cannot be read',
    args: ['--deep'],
    bend: async (_, target) => {
      await rm(join(target, LARGEST));
      await writeFile(join(target, LARGEST), TREE.objects.get(LARGEST) ?? '', { mode: 0o000 });
    },
    code: 1,
    counts: { objectsUnreadable: 1, objectsMatched: TREE.objects.size - 1 },
  },
  {
    name: 'one that cannot be read and one that is missing',
    args: ['--deep'],
    bend: async (_, target) => {
      await rm(join(target, LARGEST));
      await writeFile(join(target, LARGEST), TREE.objects.get(LARGEST) ?? '', { mode: 0o000 });
      await rm(join(target, BLOB));
    },
    code: 3,
    counts: { objectsUnreadable: 1, objectsMissing: 1 },
  },
  {
    name: 'a target folder that is not there',
    bend: (_, target) => rm(target, { recursive: true }),
    code: 2,
  },
  {
    name: 'a source without a registry',
    bend: (source) => rm(join(source, 'docker'), { recursive: true }),
    code: 2,
  },
  {
    name: 'two that hold nothing',
    args: ['--layout', 'raw'],
    bend: async (source, target) => {
      for (const root of [source, target]) await rm(join(root, 'docker'), { recursive: true });
    },
    code: 2,
  },
];

async function verify(t: TestContext, { args = [], bend, code, counts }: Case): Promise<void> {
  const folder = await tempFolderFor(t, 'verify-exit');
  const [source, target] = [join(folder, 'source'), join(folder, 'target')];
  await writeSmallTree(source, TREE);
  await writeSmallTree(target, TREE);
  await bend(source, target);
  const ends = ['--from', `file://${source}`, '--to', `file://${target}`];
  const result = await runBlobferry(['verify', ...ends, ...args, '--json'], { through: withoutPower() });
  assert.equal(result.code, code, result.stdout + result.stderr);
  if (counts) assert.partialDeepStrictEqual(result.summary, counts);
  else {
    assert.equal(result.summary, undefined);
    assert.partialDeepStrictEqual(result.events.at(-1), { event: 'error', exitCode: code });
  }
}

describe('the exit code of verify', () => {
  for (const given of CASES) it(`is ${given.code} for ${given.name}`, (t) => verify(t, given));

  it('is 2 for a bucket that is not there and for a wrong key', async (t) => {
    const server = await startServer(t);
    const folder = await tempFolderFor(t, 'verify-exit');
    await writeSmallTree(folder, TREE);
    for (const [bucket, key] of [
      ['nowhere', 'testkey'],
      ['bucket', 'wrong'],
    ] as const) {
      const env = { AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: 'testsecret' };
      const args = [
        'verify',
        '--from',
        `file://${folder}`,
        '--to',
        s3Url(server.endpoint, { bucket }),
        '--json',
      ];
      const { code, summary, stdout } = await runBlobferry(args, { env });
      assert.equal(code, 2, stdout);
      assert.equal(summary, undefined);
    }
  });
});
