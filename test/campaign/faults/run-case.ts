/** Runs one case: a small copy while something goes wrong, judged by what the target then really holds. */

import { openDriver } from '../../../src/cli/composition.ts';
import { WORKER_URL } from '../../../src/cli/own-files.ts';
import { runCopy } from '../../../src/coordinator/coordinator.ts';
import { type CopySummary, exitCodeOf } from '../../../src/core/job.ts';
import { runBlobferry } from '../../support/cli.ts';
import { tail } from '../../support/process.ts';
import type { Tree } from '../../support/tree.ts';
import { MIB, PART_BYTES } from './objects.ts';
import type { CasePlan } from './plan-case.ts';
import { type FuseGround, type Handle, World } from './world.ts';

export interface CaseResult {
  /** What must not be, in sentences. */
  readonly problems: readonly string[];
  /** Objects that arrived wrong where nothing could tell, all of them reported as unproved. */
  readonly wrongUnproved: number;
  /** How often the fault took effect. */
  readonly faults: number;
  /** Of the run with the fault: its exit code. */
  readonly exit: number;
}

interface Run {
  readonly exit: number;
  /** Absent where the run ended before anything moved. */
  readonly summary: CopySummary | undefined;
  readonly said: string;
}

export async function runCase(plan: CasePlan, ground: FuseGround): Promise<CaseResult> {
  const world = await World.make(plan, ground);
  const problems: string[] = [];
  try {
    if (plan.fault.needsCopy) {
      const before = await copyOnce(plan, world);
      if (before.exit !== 0)
        problems.push(`the copy before the fault ended with ${before.exit}: ${before.said}`);
      await world.disturb();
    }
    const handle = await world.misbehave();
    const run = await copyOnce(plan, world);
    const found = await judge(plan, world, run);
    problems.push(...found.problems);
    await handle.assertUsedUp().catch((error: Error) => problems.push(error.message));
    const faults = await takenAway(handle);
    problems.push(...(await settle(plan, world, run)));
    return { problems, wrongUnproved: found.wrongUnproved, faults, exit: run.exit };
  } finally {
    await world.close();
  }
}

async function takenAway(handle: Handle): Promise<number> {
  const used = await handle.used();
  await handle.remove();
  return used.reduce((sum, count) => sum + count, 0);
}

/** After a run that did not say "done" the next one, without the fault, must get there. */
async function settle(plan: CasePlan, world: World, first: Run): Promise<readonly string[]> {
  const problems: string[] = [];
  if (first.exit !== 0) {
    // What a fault replaced in a registry is damage, which no run copies: the right bytes come back first.
    if (plan.fault.replaces && plan.digests === 'path')
      for (const [key, content] of plan.objects.contents) await world.putSource(key, content);
    const again = await copyOnce(plan, world);
    if (again.exit !== 0) problems.push(`the run after the fault ended with ${again.exit}: ${again.said}`);
    problems.push(
      ...(await judge(plan, world, again)).problems.map((problem) => `after the fault: ${problem}`),
    );
  }
  const left = await world.leftovers();
  if (left.length > 0) problems.push(`left over: ${left.join(', ')}`);
  return problems;
}

async function judge(
  plan: CasePlan,
  world: World,
  run: Run,
): Promise<{ readonly problems: readonly string[]; readonly wrongUnproved: number }> {
  const [truth, target] = [await world.read('source'), await world.read('target')];
  const wrong = [...target.keys()].filter((path) => !isRight(path, truth, target));
  const missing = [...truth.keys()].filter((path) => !target.has(path));
  const problems = wrongProof(plan, run.summary);
  const unproved = run.summary?.objectsUnproved ?? 0;
  const isExcused =
    plan.fault.isSilent === true && unproved >= wrong.length && wrong.every(canOnlyBeBelieved(plan));
  if (!isExcused) problems.push(...wrong.map((path) => `wrong in the target: ${path}`));
  if (run.exit === 0) {
    problems.push(...missing.map((path) => `said to be done, but not in the target: ${path}`));
    if (wrong.length > 0 && !isExcused) problems.push('said to be done, but wrong');
  }
  return { problems, wrongUnproved: isExcused ? wrong.length : 0 };
}

/** The source's bytes; for a blob also those that its name promises. */
function isRight(path: string, truth: Tree, target: Tree): boolean {
  const [ours, theirs] = [target.get(path), truth.get(path)];
  if (ours === undefined || theirs === undefined || ours.sha256 !== theirs.sha256) return false;
  const [, hex] = /blobs\/sha256\/..\/([0-9a-f]{64})\/data$/.exec(path) ?? [];
  return hex === undefined || hex === ours.sha256;
}

/** Where a source states neither digest nor checksum, a wrong byte looks like any other; `--read-twice` is for that. */
function canOnlyBeBelieved({ digests, source }: CasePlan): (path: string) => boolean {
  if (digests === 'none') return () => true;
  // A tag's link names some digest, and a file system keeps no checksum of it.
  return (path) => digests === 'path' && source === 'fs' && path.endsWith('/current/link');
}

/** No object may count as proved when nothing proved it, nor as unproved when something did. */
function wrongProof(plan: CasePlan, summary: CopySummary | undefined): string[] {
  if (summary === undefined) return [];
  const { objectsCopied, objectsUnproved } = summary;
  const expected = expectedUnproved(plan, summary);
  // What the fault puts in the place of an object has an MD5, and so a proof.
  const isReplaced = plan.fault.replaces === true && objectsUnproved === expected - 1;
  if (objectsUnproved === expected || isReplaced) return [];
  return [
    `${objectsUnproved} of ${objectsCopied} copied objects were said to be unproved instead of ${expected}`,
  ];
}

function expectedUnproved({ digests, source }: CasePlan, summary: CopySummary): number {
  if (digests === 'none') return summary.objectsCopied;
  const { tag, other } = summary.objectsByClass;
  return digests === 'path' && source === 'fs' ? tag.copied + other.copied : 0;
}

function copyOnce(plan: CasePlan, world: World): Promise<Run> {
  return plan.viaCli ? copyByCli(plan, world) : copyHere(plan, world);
}

async function copyHere(plan: CasePlan, world: World): Promise<Run> {
  const job = {
    source: world.spec('source'),
    target: world.spec('target'),
    options: {
      layout: plan.digests === 'path' ? ('registry' as const) : ('raw' as const),
      isFrozen: plan.isFrozen,
      threads: plan.threads,
      concurrency: 'auto' as const,
      partBytes: PART_BYTES,
      memoryBytes: 2_048 * MIB,
      engine: 'direct' as const,
      serverSide: 'never' as const,
      readsTwice: plan.digests === 'twice',
      intoNonempty: false,
      keepGoing: false,
      deletesExtra: false,
      deleteMax: 1_000,
      abortsUploads: false,
      outageMsMax: 3_000,
      journalDirectory: world.journal,
    },
  };
  try {
    const summary = await runCopy(job, {
      openDriver,
      workerUrl: WORKER_URL,
      signal: new AbortController().signal,
      onEvent: () => undefined,
      onCounters: () => undefined,
    });
    const said = [summary.stoppedBy?.message, ...summary.exceptions.map(({ error }) => error.message)];
    return { exit: exitCodeOf(summary), summary, said: said.slice(0, 3).join('; ') };
  } catch (error) {
    return { exit: 1, summary: undefined, said: error instanceof Error ? error.message : String(error) };
  }
}

async function copyByCli(plan: CasePlan, world: World): Promise<Run> {
  const options = [
    ...['--layout', plan.digests === 'path' ? 'registry' : 'raw', '--part-size', `${PART_BYTES / MIB}MiB`],
    ...['--threads', String(plan.threads), '--journal', world.journal, '--json'],
    ...(plan.isFrozen ? ['--frozen'] : []),
    ...(plan.digests === 'twice' ? ['--read-twice'] : []),
  ];
  const ends = ['--from', world.url('source'), '--to', world.url('target')];
  const env = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };
  const result = await runBlobferry(['copy', ...ends, ...options], { env });
  const summary = result.summary as unknown as CopySummary | undefined;
  return { exit: result.code ?? -1, summary, said: tail(result.stderr, 3) };
}
