/** What the summary of a pass means to a migration. Pure. */
import { type CopySummary, exitCodeOf } from '../../core/job.ts';

export interface PassJudgement {
  readonly isGood: boolean;
  readonly why?: string;
  readonly hint?: string;
}

/**
 * Live: what a next pass settles is no fault. Frozen: everything that is not equal is one.
 * @param damageMax so many objects that are damaged in a frozen source are none.
 */
export function judgePass(told: CopySummary, damageMax = 0): PassJudgement {
  const { stoppedBy } = told;
  if (stoppedBy) return notGood(stoppedBy.message, stoppedBy.hint);
  const summary = isLetBe(told, damageMax) ? { ...told, objectsDamaged: 0 } : told;
  const found = faultsOf(summary);
  if (found.length > 0) return notGood(found.join(', '), hintOf(summary));
  if (!summary.isComplete) return notGood('it did not come to its end', 'Run again');
  if (summary.isFrozen && exitCodeOf(summary) !== 0) return notGood('target and source are not equal');
  return { isGood: true };
}

/** Is all of its damage known, few enough and named one by one? */
export function isLetBe(
  { isFrozen, objectsDamaged, exceptions }: Pick<CopySummary, 'isFrozen' | 'objectsDamaged' | 'exceptions'>,
  damageMax: number,
): boolean {
  const named = exceptions.filter(({ state }) => state === 'damaged').length;
  return isFrozen && objectsDamaged > 0 && objectsDamaged <= damageMax && named === objectsDamaged;
}

function notGood(why: string, hint?: string): PassJudgement {
  return { isGood: false, why, ...(hint === undefined ? {} : { hint }) };
}

function faultsOf(summary: CopySummary): readonly string[] {
  const found: string[] = [];
  const say = (count: number, what: string): void => {
    if (count > 0) found.push(`${count} ${count === 1 ? 'object' : 'objects'} ${what}`);
  };
  say(summary.objectsFailed, 'failed');
  say(summary.objectsDamaged, 'damaged in the source');
  say(summary.objectsConflicting, 'of the target in the way, which may not be overwritten');
  if (!summary.isFrozen) return found;
  say(summary.objectsUnsettled, 'not settled');
  say(summary.objectsVanished, 'gone while they were copied, from a source that is said to be read-only');
  say(summary.objectsExtra - summary.objectsDeleted, `in the target only and not removed${tooMany(summary)}`);
  return found;
}

function tooMany({ deletion }: CopySummary): string {
  return deletion?.state === 'too-many' ? `, as no more than ${deletion.max} may be` : '';
}

function hintOf(summary: CopySummary): string | undefined {
  const named = summary.exceptions.find(({ error }) => error.hint !== undefined);
  if (named) {
    const isOld = summary.isFrozen && summary.objectsDamaged > 0 && named.state === 'damaged';
    const letBe = isOld ? `; or leave it out knowingly: --accept-damage ${summary.objectsDamaged}` : '';
    return `"${named.path}": ${named.error.message}. ${named.error.hint}${letBe}`;
  }
  if (summary.deletion?.state !== 'too-many') return undefined;
  return 'Look at what would be removed; if that is right, allow as many with --max-delete and run again';
}
