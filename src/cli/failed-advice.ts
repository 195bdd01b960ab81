/** What to do about objects that failed: "run again" helps only against what passes. */
import type { ErrorKind, ErrorRecord } from '../core/errors.ts';
import type { CopySummary } from '../core/job.ts';
import { plural } from './text.ts';
import { formatCount } from './units.ts';

type Lasting = 'invalid-name' | 'denied' | 'unsupported';

const LASTING: Readonly<Record<Lasting, (count: number) => string>> = {
  'invalid-name': (count) =>
    `${objects(count)} ${plural(count, 'has a name', 'have names')} that one side cannot hold, and ${fails(count)}: rename or remove ${it(count)} in the source, or choose another target`,
  denied: (count) =>
    `${objects(count)} may not be read or written: give the permission, then run the same command again; until then ${it(count, 'it', 'they')} ${fails(count)}`,
  unsupported: (count) =>
    `${objects(count)} ${plural(count, 'needs', 'need')} something that one side does not do, and ${fails(count)}: do what is said above first`,
};

const AGAIN = 'run the same command again: it copies only what is missing';

const WITHOUT_IT =
  'give the permission and run the same command again, or run it with --keep-going: that copies all else and counts the folder as failed';

export function failedAdvice(summary: CopySummary): readonly string[] {
  const { objectsFailed, stoppedBy, exceptions } = summary;
  if (objectsFailed === 0 && isUnlistableFolder(stoppedBy)) return [WITHOUT_IT];
  if (objectsFailed === 0) return stoppedBy ? [AGAIN] : [];
  const counts = new Map<Lasting, number>();
  for (const { state, error } of exceptions) {
    const kind = error.storage?.kind;
    if (state === 'failed' && kind !== undefined && isLasting(kind)) {
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
  }
  const advice = [...counts].map(([kind, count]) => LASTING[kind](count));
  const told = [...counts.values()].reduce((sum, count) => sum + count, 0);
  // Of those that are not named here the journal knows more; the most of them are what passes.
  return told < objectsFailed || stoppedBy ? [...advice, AGAIN] : advice;
}

/** One folder, and not the storage as a whole, ended the run because it may not be listed. */
function isUnlistableFolder(stoppedBy: ErrorRecord | undefined): boolean {
  const storage = stoppedBy?.storage;
  return storage?.operation === 'list' && storage.kind === 'denied' && storage.scope === 'object';
}

function isLasting(kind: ErrorKind): kind is Lasting {
  return Object.hasOwn(LASTING, kind);
}

function objects(count: number): string {
  return `${formatCount(count)} of the failed objects`;
}

function fails(count: number): string {
  return plural(count, 'fails each time', 'fail each time');
}

function it(count: number, one = 'it', many = 'them'): string {
  return plural(count, one, many);
}
