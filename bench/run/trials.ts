/**
 * Tries each copier with one bit turned over on its way, in what it uploads and in what it downloads, and looks at what
 * the target holds in the end. That says more about what was hashed and bound than any word of a manual.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FoundCopier } from '../copiers/copier.ts';
import type { DataSet } from '../data/data-set.ts';
import { measureProcess } from '../measure/measure-process.ts';
import type { Route, Scheme } from '../plan/cell.ts';
import { FLIPS, type Flip, type TrialRecord } from '../records.ts';
import type { FaultRule } from '../s3-server/faults/fault.ts';
import { grown, reasonOf, type Stage } from './run-once.ts';
import { s3ServerOf } from './side.ts';

export function trialsOf(route: Route): readonly TrialRecord['trial'][] {
  return [
    'plain',
    ...FLIPS.filter((flip) => (sideOf(flip) === 'source' ? route !== 'fs-s3' : route !== 's3-fs')),
  ];
}

function sideOf(flip: Flip): 'source' | 'target' {
  return flip === 'get' || flip === 'get-large' ? 'source' : 'target';
}

export interface TrialPlan {
  readonly route: Route;
  readonly scheme: Scheme;
  readonly copier: FoundCopier;
  readonly trial: TrialRecord['trial'];
}

export async function runTrial(stage: Stage, plan: TrialPlan): Promise<TrialRecord> {
  const { route, scheme, copier, trial } = plan;
  const base = {
    kind: 'trial',
    at: new Date().toISOString(),
    route,
    scheme,
    copier: copier.name,
    trial,
  } as const;
  const scratch = mkdtempSync(join(stage.folder, 'run-'));
  try {
    const found = await copyWithFlip(stage, plan, scratch);
    return { ...base, ...found };
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return { ...base, outcome: 'failed', refusals: {}, reason: error.message };
  } finally {
    await stage.target.clear();
    rmSync(scratch, { recursive: true, force: true });
  }
}

type Found = Pick<TrialRecord, 'outcome' | 'refusals' | 'exitCode' | 'reason'>;

async function copyWithFlip(
  { source, target, parameters, caFile, folder }: Stage,
  { copier, trial }: TrialPlan,
  scratch: string,
): Promise<Found> {
  const expected = source.sets.full;
  const path = pathFor(trial, expected);
  const isAtSource = trial !== 'plain' && sideOf(trial) === 'source';
  const server = s3ServerOf(isAtSource ? source : target);
  const handle = trial === 'plain' ? undefined : await server?.misbehave(ruleFor(trial, path));
  const codesBefore = (await target.server?.stats())?.errorsByCode ?? {};
  const line = copier.commandLine({
    source: source.place('full'),
    target: target.place('full'),
    isPrefilled: false,
    scratch,
    caFile,
    transfers: parameters.transfers,
    partBytes: parameters.partBytes,
  });
  const { limitSeconds } = parameters;
  const measured = await measureProcess(line, { limitSeconds, folder });
  const refusals = grown(codesBefore, (await target.server?.stats())?.errorsByCode ?? {});
  const uses = (await handle?.used()) ?? [1];
  await handle?.remove();
  const always = path === undefined ? [] : [path];
  const check = await target.check('full', expected, { round: 0, always });
  const reason = reasonOf(copier, measured, { problems: check.problems, refusals, limitSeconds });
  const isWrong = check.problems.some((problem) => problem.includes('read back are wrong'));
  return {
    outcome: outcomeOf(trial, uses[0] ?? 0, measured.exitCode === 0, check.problems.length === 0, isWrong),
    refusals,
    exitCode: measured.exitCode,
    ...(reason === undefined ? {} : { reason }),
  };
}

function outcomeOf(
  trial: TrialRecord['trial'],
  uses: number,
  saysRight: boolean,
  isRight: boolean,
  isWrong: boolean,
): TrialRecord['outcome'] {
  if (trial === 'plain' || uses === 0) {
    if (!saysRight || !isRight) return 'failed';
    return trial === 'plain' ? 'right' : 'not-met';
  }
  if (saysRight) return isRight ? 'right' : 'unnoticed';
  return isWrong ? 'left-wrong' : 'reported';
}

/** The large object, or the first small blob. */
function pathFor(trial: TrialRecord['trial'], { sizes }: DataSet): string | undefined {
  if (trial === 'plain') return undefined;
  const blobs = [...sizes].filter(([path]) => path.endsWith('/data')).sort(([, a], [, b]) => a - b);
  return trial === 'part' || trial === 'get-large' ? blobs.at(-1)?.[0] : blobs[0]?.[0];
}

const OFFSET = 100;

function ruleFor(flip: Flip, path: string | undefined): FaultRule {
  const at = path === undefined ? {} : { key: path };
  return sideOf(flip) === 'source'
    ? { ...at, operation: 'GetObject', fault: { kind: 'flip-response', offset: OFFSET } }
    : { ...at, operation: ['PutObject', 'UploadPart'], fault: { kind: 'flip-request', offset: OFFSET } };
}
