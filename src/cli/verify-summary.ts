/** What a verification found, for people. */
import {
  type Problem,
  type VerifyException,
  type VerifySummary,
  verifyExitCodeOf,
} from '../verify/summary.ts';
import { capitalized } from './failure.ts';
import type { Paint } from './output.ts';
import type { Given } from './summary.ts';
import { counted, type Named, plural, someOf, storageFlags } from './text.ts';
import { formatBytes, formatCount, formatDuration, formatObjects } from './units.ts';

/** As many left-out paths as a summary names. */
const LEFT_OUT_NAMED = 10;

export function verifySummaryText(summary: VerifySummary, given: Given, paint: Paint): string {
  const sections = [
    headline(summary, paint),
    grounds(summary),
    problems(summary, paint),
    remarks(summary),
    next(summary, given, paint),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function headline(summary: VerifySummary, paint: Paint): readonly string[] {
  const how = `${summary.layout} layout, ${summary.isDeep ? 'every byte read back' : 'by listing'}`;
  const way = `  ${summary.target}, compared with ${summary.source}: ${how}`;
  const all = `${formatObjects(summary.objectsMatched)}, ${formatBytes(summary.bytesMatched)}`;
  const exitCode = verifyExitCodeOf(summary);
  const after = `after ${formatDuration(summary.seconds)}`;
  if (exitCode === 0) return [paint('good', `✓ Equal: ${all}, ${after}`), way];
  if (exitCode === 3) return [paint('bad', `✗ Not equal, ${after}; ${all} match`), way];
  const words = exitCode === 130 ? 'Stopped' : 'Cannot tell';
  return [paint('bad', `✗ ${words}, ${after}; ${all} match so far`), way];
}

/** What the matches rest on; size alone is said to be what it is. */
function grounds(summary: VerifySummary): readonly string[] {
  const { matchedBy, bytesRead, isDeep } = summary;
  const rows = [
    [
      matchedBy.digest,
      `read back from the target: the bytes are what their path ${summary.rows ? 'or the backup ' : ''}says`,
    ],
    [matchedBy.content, 'read on both sides: the same bytes'],
    [matchedBy.md5, 'the same MD5 in both listings'],
    [matchedBy.size, `the same path and size${isDeep ? '' : ', nothing read: --deep reads everything back'}`],
  ] as const;
  const lines = [...counted(rows, '  '), ...namedByBackup(summary)];
  return bytesRead > 0 ? [...lines, `  ${formatBytes(bytesRead)} were read`] : lines;
}

function namedByBackup({ rows, isComplete }: VerifySummary): readonly string[] {
  if (rows === undefined || !isComplete || rows.lacking.count > 0) return [];
  return [`  every one of the ${formatCount(rows.rows)} blobs that the backup names is in the target`];
}

function problems(summary: VerifySummary, paint: Paint): readonly string[] {
  const rows: readonly (readonly [Problem, number, string])[] = [
    ['missing', summary.objectsMissing, 'in the source and not in the target'],
    [
      'wrong-size',
      summary.objectsWrongSize,
      plural(summary.objectsWrongSize, 'has another size', 'have another size'),
    ],
    [
      'wrong-content',
      summary.objectsWrongContent,
      plural(summary.objectsWrongContent, 'holds other bytes', 'hold other bytes'),
    ],
    [
      'damaged',
      summary.objectsDamaged,
      plural(
        summary.objectsDamaged,
        'is not what its path says, and the target is not to blame',
        'are not what their paths say, and the target is not to blame',
      ),
    ],
    ['unreadable', summary.objectsUnreadable, 'could not be read or listed, so nothing is known'],
    ['extra', summary.objectsExtra, `only in the target${summary.allowsExtra ? ', which is allowed' : ''}`],
  ];
  const lines: string[] = [];
  for (const [problem, count, says] of rows) {
    if (count === 0) continue;
    const isAllowed = problem === 'extra' && summary.allowsExtra;
    lines.push(`${paint(isAllowed ? 'strong' : 'bad', problem)}: ${formatObjects(count)} ${says}`);
    const named = summary.exceptions.filter((exception) => exception.problem === problem);
    lines.push(...someOf(named.map(nameOf), count, '  '));
  }
  lines.push(...lackingRows(summary, paint));
  if (summary.stoppedBy) {
    lines.push(`${paint('bad', 'ended early')}: ${summary.stoppedBy.message}`);
    if (summary.stoppedBy.hint) lines.push(`  ${capitalized(summary.stoppedBy.hint)}`);
  }
  return lines;
}

/** Blobs that nothing but the metadata knows of: no listing has them. */
function lackingRows({ rows }: VerifySummary, paint: Paint): readonly string[] {
  if (rows === undefined || rows.lacking.count === 0) return [];
  const { lacking, lackingInSource: inNeither } = rows;
  const also =
    inNeither.count === 0
      ? ''
      : `; ${formatCount(inNeither.count)} of them ${plural(inNeither.count, 'is', 'are')} not in the source either`;
  const verb = plural(lacking.count, 'blob that the backup names is', 'blobs that the backup names are');
  const head = `${paint('bad', 'lacking')}: ${formatCount(lacking.count)} ${verb} not in the target${also}`;
  const named = lacking.first.map((name) => ({ name }));
  return [head, ...someOf(named, lacking.count, '  ')];
}

/** That an object is missing or extra is said above it. */
function nameOf({ problem, path, detail }: VerifyException): Named {
  return problem === 'missing' || problem === 'extra' ? { name: path } : { name: path, detail };
}

function remarks(summary: VerifySummary): readonly string[] {
  const lines: string[] = [];
  const { objectsLeftOut: inSource, objectsLeftOutTarget: inTarget } = summary;
  if (inSource + inTarget > 0) {
    const where =
      inTarget === 0 ? `${inSource} in the source` : `${inSource} in the source, ${inTarget} in the target`;
    lines.push(`left out, being no part of a registry (unfinished uploads and the like): ${where}`);
    // The same path may be left out on both sides; the names stop at ten.
    const isAll = summary.leftOut.length < LEFT_OUT_NAMED;
    lines.push(
      ...someOf(
        summary.leftOut.map((name) => ({ name })),
        isAll ? summary.leftOut.length : inSource + inTarget,
        '  ',
      ),
    );
  }
  if (summary.objectsReadAgain > 0) {
    const { objectsReadAgain: count } = summary;
    lines.push(
      `${formatObjects(count)} read wrong once and right when read again: a connection or a disk deserves a look`,
    );
  }
  return lines;
}

function next(summary: VerifySummary, given: Given, paint: Paint): readonly string[] {
  const lines = adviceFor(summary, storageFlags(given, summary.layout));
  return lines.length === 0 ? [] : [paint('strong', 'Next'), ...lines.map((line) => `  ${line}`)];
}

function adviceFor(summary: VerifySummary, storages: string): readonly string[] {
  const advice: string[] = [];
  if (summary.isStopped || summary.stoppedBy)
    advice.push('verify again: a comparison that was not finished says nothing');
  if (summary.objectsMissing > 0) advice.push(`blobferry copy ${storages}   copies what is missing`);
  const wrong = summary.objectsWrongSize + summary.objectsWrongContent;
  if (wrong > 0) {
    const them = plural(wrong, 'the wrong object', 'the wrong objects');
    advice.push(
      `find out what wrote ${them} into the target, remove ${plural(wrong, 'it', 'them')} there and copy again`,
    );
  }
  if (summary.objectsDamaged > 0) {
    advice.push('restore damaged objects from a backup, or push their images again');
  }
  if ((summary.rows?.lackingInSource.count ?? 0) > 0) {
    advice.push(
      'blobs that neither side has were removed since the backup was taken, or lost before: take a backup anew, and see who can pull them',
    );
  }
  if (summary.objectsUnreadable > 0)
    advice.push('mend what keeps the objects from being read; then verify again');
  if (summary.objectsExtra > 0 && !summary.allowsExtra) {
    advice.push('if the extra objects belong there, add --allow-extra');
  }
  return advice;
}
