/** Both listings from end to end, with the rows of the backup beside them. */

import { mayBeDeleted } from '../../layout/deletable.ts';
import { keyPrefixOf } from '../../layout/key-rule.ts';
import { type VerifySummary, verifyExitCodeOf } from '../../verify/summary.ts';
import type { VerifyProgress } from '../../verify/tally.ts';
import { runVerify } from '../../verify/verify.ts';
import type { CallEpoch, EngineProgress, VerifyReport } from '../engine-port.ts';
import { type EngineParts, type EngineTask, hasEpochBroken, Paced, type Reading } from './parts.ts';

export interface VerifyPlace extends EngineParts {
  readonly isDeep: boolean;
  /** Logical paths of which the target may lack the object. */
  readonly known: readonly string[];
  readonly total: number | undefined;
  readonly reading: Reading;
}

export async function checkAll(
  task: EngineTask,
  epoch: CallEpoch,
  place: VerifyPlace,
): Promise<VerifyReport> {
  const beganMs = Date.now();
  const about = { epoch: epoch.id, beganMs };
  const paced = new Paced(task.call, (progress: VerifyProgress) => progressOf(progress, place.total));
  const known = new Set(place.known);
  let extraBlobs = 0;
  let knownMissing = 0;
  let knownRows = 0;
  try {
    const summary = await place.reading(async ({ source, openTarget, found, digests }) =>
      runVerify({
        source,
        target: await openTarget(),
        sourcePrefix: keyPrefixOf(place.source),
        targetPrefix: keyPrefixOf(place.target),
        layout: found.layout,
        isDeep: place.isDeep,
        allowExtra: false,
        ...(digests ? { digests } : {}),
        signal: task.signal,
        memoryBytes: place.options.memoryBytes,
        onProgress: (progress) => paced.tell(progress),
        onException: ({ problem, path }) => {
          if (problem === 'extra' && !mayBeDeleted(found.layout, path)) extraBlobs += 1;
          if (problem === 'missing' && known.has(path)) knownMissing += 1;
        },
        onRowMissing: (path) => {
          if (known.has(path)) knownRows += 1;
        },
      }),
    );
    const excused = { extraBlobs, knownMissing, knownRows };
    const judged = hasEpochBroken(task) ? BROKE : judge(summary, excused);
    const { rows } = summary;
    const counts = { extraBlobs, knownMissing };
    return { ...about, ...judged, endedMs: Date.now(), ...counts, summary, ...(rows ? { rows } : {}) };
  } catch (error) {
    if (!hasEpochBroken(task)) throw error;
    return { ...about, ...BROKE, endedMs: Date.now(), extraBlobs, knownMissing };
  }
}

const BROKE = { end: 'epoch-broke', isGood: false, why: 'the source was not read-only any more' } as const;

/** Counts of what is no fault: blobs that only the target has, and known damage that it lacks, with its rows. */
type Excused = Readonly<Record<'extraBlobs' | 'knownMissing' | 'knownRows', number>>;

function judge(summary: VerifySummary, excused: Excused): Pick<VerifyReport, 'end' | 'isGood' | 'why'> {
  const { rows, ...compared } = summary;
  const { stoppedBy } = compared;
  if (stoppedBy) return { end: 'failed', isGood: false, why: stoppedBy.message };
  const others = {
    ...compared,
    objectsExtra: summary.objectsExtra - excused.extraBlobs,
    objectsMissing: summary.objectsMissing - excused.knownMissing,
  };
  const inSource = (rows?.lacking.count ?? 0) - (rows?.lackingInSource.count ?? 0);
  const lacking = inSource - excused.knownRows;
  if (lacking > 0) return bad(lackingText(lacking));
  if (verifyExitCodeOf(others) !== 0) return bad(differenceText(others));
  return { end: 'done', isGood: true };
}

function bad(why: string): Pick<VerifyReport, 'end' | 'isGood' | 'why'> {
  return { end: 'done', isGood: false, why };
}

function differenceText(summary: VerifySummary): string {
  const counts: readonly (readonly [number, string])[] = [
    [summary.objectsMissing, 'missing in the target'],
    [summary.objectsExtra, 'in the target only'],
    [summary.objectsWrongSize + summary.objectsWrongContent, 'different in the target'],
    [summary.objectsDamaged, 'damaged in the source'],
    [summary.objectsUnreadable, 'unreadable'],
  ];
  const found = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  const first = summary.exceptions.find(({ problem }) => problem !== 'extra') ?? summary.exceptions[0];
  const named = first ? `; first "${first.path}": ${first.detail}` : '';
  return `target and source are not equal: ${found.join(', ')}${named}`;
}

function progressOf(progress: VerifyProgress, total: number | undefined): EngineProgress {
  return {
    what: 'verify',
    objects: progress.objectsCompared,
    objectsMoved: 0,
    bytesMoved: progress.bytesRead,
    objectsWrong: progress.objectsWrong,
    ...(total === undefined ? {} : { objectsTotal: total }),
  };
}

function lackingText(lacking: number): string {
  const what =
    lacking === 1 ? '1 blob that the metadata names is' : `${lacking} blobs that the metadata names are`;
  return `${what} not in the target`;
}
