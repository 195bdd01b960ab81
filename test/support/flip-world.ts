/** Copies and comparisons in this process, from and to storages whose bits are turned over. */
import type { TestContext } from 'node:test';
import { runCopy } from '../../src/coordinator/coordinator.ts';
import type { CounterReader } from '../../src/core/counters.ts';
import { type CopyOptions, type CopySummary, exitCodeOf } from '../../src/core/job.ts';
import type { StorageSpec } from '../../src/drivers/spec.ts';
import { distributionLayout } from '../../src/layout/distribution.ts';
import { keyPrefixOf } from '../../src/layout/key-rule.ts';
import type { VerifySummary } from '../../src/verify/summary.ts';
import { runVerify } from '../../src/verify/verify.ts';
import { openForFlips } from './flip-worker.ts';
import { makeSmallTree, type SmallTree, writeSmallTree } from './small-tree.ts';
import { tempFolderFor } from './temp.ts';

const MIB = 1024 ** 2;
const OPTIONS: Omit<CopyOptions, 'journalDirectory'> = {
  layout: 'auto',
  isFrozen: true,
  threads: 1,
  concurrency: 'auto',
  partBytes: 5 * MIB,
  memoryBytes: 1024 * MIB,
  engine: 'direct',
  serverSide: 'auto',
  readsTwice: false,
  intoNonempty: false,
  keepGoing: false,
  deletesExtra: false,
  deleteMax: 1_000,
  abortsUploads: false,
  outageMsMax: 60_000,
};

/** One blob of two parts, also as the SDK cuts them, and one of a single request. */
export const FLIP_TREE: SmallTree = makeSmallTree({ seed: 'flips', blobBytes: [9 * MIB, 300_000, 71] });
export const [LARGE = '', SMALL = '', TINY = ''] = FLIP_TREE.blobs;
/** So many bytes have bodies of the two larger blobs and of their parts, and nothing else. */
export const SMALL_BYTES = 100_000;
export const PART_BYTES = 900_000;

/** As the requests of the services name parts. */
export function isPart(target: string): boolean {
  return /[?&](?:partNumber=|comp=block&)|\/segments\//.test(target);
}

export function isOf(path: string): (target: string) => boolean {
  return (target) => decodeURIComponent(target).includes(path);
}

export interface Ran {
  readonly summary: CopySummary;
  readonly exitCode: number;
}

export async function copyBetween(
  t: TestContext,
  source: StorageSpec,
  target: StorageSpec,
  given: Partial<CopyOptions> = {},
): Promise<Ran> {
  const journalDirectory = await tempFolderFor(t, 'journal');
  const summary = await runCopy(
    { source, target, options: { ...OPTIONS, journalDirectory, ...given } },
    {
      openDriver: openForFlips,
      workerUrl: new URL('./flip-worker.ts', import.meta.url),
      signal: t.signal,
      onEvent: () => undefined,
      onCounters: (_: CounterReader) => undefined,
    },
  );
  return { summary, exitCode: exitCodeOf(summary) };
}

export async function verifyBetween(
  source: StorageSpec,
  target: StorageSpec,
  isDeep: boolean,
): Promise<VerifySummary> {
  const drivers = {
    source: await openForFlips({ storage: source, engine: 'direct' }, 'source'),
    target: await openForFlips({ storage: target, engine: 'direct' }, 'source'),
  };
  try {
    return await runVerify({
      ...drivers,
      sourcePrefix: keyPrefixOf(source),
      targetPrefix: keyPrefixOf(target),
      layout: distributionLayout,
      isDeep,
      allowExtra: false,
      signal: new AbortController().signal,
    });
  } finally {
    await drivers.source.close();
    await drivers.target.close();
  }
}

/** A folder of the test's own, with a tree in it or empty. */
export async function folderSpec(t: TestContext, tree?: SmallTree): Promise<StorageSpec> {
  const rootDirectory = await tempFolderFor(t, 'flips');
  if (tree) await writeSmallTree(rootDirectory, tree);
  return { kind: 'fs', rootDirectory };
}
