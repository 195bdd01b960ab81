/** What `--delete-extra` came to, for people: what was removed, what was not and why, and what would remove it. */
import { DELETE_MAX_MOST } from '../coordinator/extras.ts';
import type { CopySummary } from '../core/job.ts';
import type { Paint } from './output.ts';
import { plural, someOf } from './text.ts';
import { formatCount, formatObjects } from './units.ts';

const NAMED_MAX = 10;

type About = Pick<
  CopySummary,
  'deletion' | 'objectsDeleted' | 'objectsExtra' | 'objectsExtraKept' | 'extra' | 'exceptions'
>;

export function extraText(summary: About, paint: Paint): readonly string[] {
  const { deletion, objectsDeleted: deleted, objectsExtraKept: kept } = summary;
  if (!deletion) return [];
  const lines: string[] = [];
  if (deleted > 0) {
    lines.push(
      `${paint('good', 'removed')}: ${formatObjects(deleted)} from the target that the source no longer has`,
    );
  }
  lines.push(...whatStays(summary, paint));
  if (kept > 0) {
    const blobs = `${formatCount(kept)} ${plural(kept, 'blob is', 'blobs are')}`;
    lines.push(
      `${paint('strong', 'kept')}: ${blobs} in the target only; the registry's garbage collection knows whether one is needed`,
    );
  }
  return lines;
}

function whatStays(summary: About, paint: Paint): readonly string[] {
  const { deletion, extra, exceptions, objectsExtra, objectsDeleted } = summary;
  const count = objectsExtra - objectsDeleted;
  if (!deletion || count === 0) return [];
  const objects = formatObjects(count);
  const are = plural(count, 'is', 'are');
  if (deletion.state === 'done') {
    const named = exceptions.filter(({ state }) => state === 'extra');
    return [
      `${paint('bad', 'extra')}: ${objects} ${are} or may be in the target only, and ${plural(count, 'was', 'were')} not removed`,
      ...someOf(
        named.map(({ path, error }) => ({ name: path, detail: error.message })),
        count,
        '  ',
      ),
    ];
  }
  const first = extra.slice(0, NAMED_MAX).map((name) => ({ name }));
  const why = {
    'too-many': `nothing was removed, as that is more than --max-delete ${deletion.max}`,
    unclean: 'nothing was removed, as the pass was not without faults',
    ended: 'not removed, as the run ended before',
  }[deletion.state];
  const shown = deletion.state === 'ended' ? [] : someOf(first, count, '  ');
  return [`${paint('bad', 'extra')}: ${objects} ${are} in the target only; ${why}`, ...shown];
}

export function extraAdvice({ deletion, objectsExtra, objectsDeleted }: About): readonly string[] {
  if (!deletion || objectsExtra === objectsDeleted) return [];
  if (deletion.state === 'done') return ['find out why those objects could not be removed; then run again'];
  if (deletion.state !== 'too-many') return [];
  if (objectsExtra > DELETE_MAX_MOST) {
    return [
      `find out why so much is in the target only: one run removes at most ${formatCount(DELETE_MAX_MOST)} objects`,
    ];
  }
  return [
    `look at what is only in the target; to remove it, run the same command with --max-delete ${objectsExtra}`,
  ];
}
