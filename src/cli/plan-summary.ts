/** What a copy would do, for people: what is there, what it takes, what stands in the way, and what to do next. */
import { type Operation, SIDES } from '../core/counters.ts';
import { OBJECT_CLASSES } from '../layout/layout.ts';
import { type PlanState, type PlanSummary, planExitCodeOf } from '../plan/summary.ts';
import type { Paint } from './output.ts';
import type { Given } from './summary.ts';
import { columns, plural, printable, shellQuoted, someOf } from './text.ts';
import { formatByteRate, formatBytes, formatCount, formatDuration, formatObjects } from './units.ts';

export function planSummaryText(summary: PlanSummary, given: Given, paint: Paint): string {
  const sections = [
    headline(summary, paint),
    whatIsThere(summary, paint),
    inTheWay(summary, paint),
    onlyInTarget(summary, paint),
    takes(summary, paint),
    time(summary, paint),
    cost(summary, paint),
    remarks(summary, paint),
    next(summary, given, paint),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function headline(summary: PlanSummary, paint: Paint): readonly string[] {
  const { objectsToCopy, bytesToCopy, objects } = summary;
  const isWhole = summary.unlistable.count === 0;
  const what =
    isWhole && objectsToCopy + objects.undecided.objects === 0
      ? `Nothing to copy: the target already holds all ${formatObjects(objects.equal.objects)}`
      : `To copy${isWhole ? '' : ', as far as it can be listed'}: ${formatObjects(objectsToCopy)}, ${formatBytes(bytesToCopy)}`;
  const isGood = planExitCodeOf(summary) === 0;
  return [
    paint(isGood ? 'good' : 'bad', `${isGood ? '✓' : '✗'} ${what}`),
    `  ${summary.source} → ${summary.target}, layout ${summary.layout}`,
    ...keyRules(summary),
    `  ${targetIs(summary)}; nothing was written; this took ${formatDuration(summary.seconds)}`,
  ];
}

/** Where both sides keep the registry's own paths as they are, nothing need be said of it. */
function keyRules({ keyPrefixes, keyRules: { source, target } }: PlanSummary): readonly string[] {
  if (keyPrefixes.source === '' && keyPrefixes.target === '') return [];
  return [printable(`  source: ${source}`), printable(`  target: ${target}`)];
}

function targetIs({ targetIsEmpty, needsIntoNonempty }: PlanSummary): string {
  if (targetIsEmpty) return 'the target is empty';
  return needsIntoNonempty ? 'the target is not empty' : 'a copy into this target has begun before';
}

const STATE_WORDS: readonly (readonly [PlanState, string])[] = [
  ['missing', 'missing in the target'],
  ['differing', 'differing, to be replaced'],
  ['equal', 'equal'],
  ['undecided', 'undecided: of the same size, to be compared by the copy'],
  ['conflicting', 'conflicting'],
  ['impossible', 'impossible to hold'],
];
const CLASS_NAMES = { blob: 'blobs', link: 'links', tag: 'tags', other: 'other' } as const;

function whatIsThere({ objectsByClass }: PlanSummary, paint: Paint): readonly string[] {
  const rows = OBJECT_CLASSES.flatMap((one) => {
    const states = STATE_WORDS.flatMap(([state, words]) => {
      const { objects, bytes } = objectsByClass[one][state];
      return objects === 0 ? [] : [`${formatCount(objects)} ${words}, ${formatBytes(bytes)}`];
    });
    return states.map((text, index) => [index === 0 ? CLASS_NAMES[one] : '', text] as const);
  });
  return rows.length === 0 ? [] : [paint('strong', 'Objects'), ...columns(rows, '  ')];
}

function inTheWay(summary: PlanSummary, paint: Paint): readonly string[] {
  const { objects, sample } = summary;
  const kinds = [
    {
      word: 'conflict',
      count: objects.conflicting.objects,
      says: 'in the target with other content under a name that must not change; a copy leaves it as it is',
      named: summary.conflicting,
    },
    {
      word: 'impossible',
      count: objects.impossible.objects,
      says: 'cannot be held by the target; copying it will fail',
      named: summary.impossible,
    },
    {
      word: 'unreadable',
      count: sample.unreadable.length,
      says: `of the ${formatObjects(sampled(summary))} sampled could not be read`,
      named: sample.unreadable,
    },
    {
      word: 'replaced',
      count: objects.differing.objects,
      says: 'in the target with other content, which a copy will replace',
      named: summary.differing,
    },
  ];
  const found = kinds.flatMap(({ word, count, says, named }) => {
    if (count === 0) return [];
    const names = named.map(({ path, why }) => ({
      name: path,
      ...(why === undefined ? {} : { detail: why }),
    }));
    const style = word === 'replaced' ? 'warn' : 'bad';
    return [`${paint(style, word)}: ${formatObjects(count)} ${says}`, ...someOf(names, count, '  ')];
  });
  return [...unlistable(summary, paint), ...found];
}

function unlistable(
  { unlistable: { count, named }, objectsUnseen }: PlanSummary,
  paint: Paint,
): readonly string[] {
  if (count === 0) return [];
  const unseen =
    objectsUnseen === 0 ? '' : `, nor are ${formatObjects(objectsUnseen)} that the target may have in there`;
  const what = `${formatCount(count)} ${plural(count, 'folder or file', 'folders or files')}`;
  const names = named.map(({ side, path, why }) => ({ name: `${side}: ${path}`, detail: why }));
  return [
    `${paint('bad', 'unlistable')}: ${what} cannot be listed, at which a copy stops; what lies in there is not counted${unseen}`,
    ...someOf(names, count, '  '),
  ];
}

function onlyInTarget(summary: PlanSummary, paint: Paint): readonly string[] {
  const { extraByClass, extra, objectsToDelete, mayDeleteExtra } = summary;
  const rows = OBJECT_CLASSES.flatMap((one) => {
    const { objects, bytes } = extraByClass[one];
    return objects === 0
      ? []
      : [[CLASS_NAMES[one], `${formatCount(objects)}, ${formatBytes(bytes)}`] as const];
  });
  if (rows.length === 0) return [];
  const count = OBJECT_CLASSES.reduce((sum, one) => sum + extraByClass[one].objects, 0);
  const which = objectsToDelete === count ? 'all' : formatCount(objectsToDelete);
  const verdict = mayDeleteExtra
    ? `a copy leaves them; with --frozen --delete-extra it removes ${which} of them (blobs are never removed)`
    : 'a copy leaves them, and refuses --delete-extra, as the target was not empty when it began';
  const names = extra.map((name) => ({ name }));
  return [
    paint('strong', 'Only in the target'),
    ...columns(rows, '  '),
    ...someOf(names, count, '    '),
    `  ${verdict}`,
  ];
}

function sampled({ sample }: PlanSummary): number {
  return sample.small.objects + sample.large.objects + sample.unreadable.length;
}

/** One and many; on a file system they are what stands in the place of requests. */
const OPERATION_WORDS: Partial<Readonly<Record<Operation, readonly [string, string]>>> = {
  list: ['page listed', 'pages listed'],
  read: ['read', 'reads'],
  stat: ['look at an object', 'looks at objects'],
  write: ['write', 'writes'],
  copy: ['copy inside the service', 'copies inside the service'],
  begin: ['upload in parts begun', 'uploads in parts begun'],
  part: ['part', 'parts'],
  complete: ['upload completed', 'uploads completed'],
  abort: ['upload ended', 'uploads ended'],
};

function countOf(operation: string, count: number): string {
  const [one, many] = OPERATION_WORDS[operation as Operation] ?? [operation, operation];
  return `${formatCount(count)} ${plural(count, one, many)}`;
}

function takes(summary: PlanSummary, paint: Paint): readonly string[] {
  const rows: (readonly [string, string])[] = [];
  for (const side of SIDES) {
    const requests = Object.entries(summary.requests[side]);
    const counts = requests.map(([operation, count]) => countOf(operation, count));
    if (counts.length > 0) rows.push([side, counts.join(', ')]);
    if (summary.bytesRead[side] > 0) rows.push(['', `${formatBytes(summary.bytesRead[side])} read`]);
    for (const { upTo, why } of summary.possibleRequests.filter((one) => one.side === side)) {
      rows.push(['', `perhaps up to ${formatCount(upTo)} more: ${why}`]);
    }
  }
  const { serverSide, objectsServerSide, bytesServerSide } = summary;
  if (objectsServerSide > 0) {
    const what = `${formatObjects(objectsServerSide)}, ${formatBytes(bytesServerSide)}, copied by itself`;
    rows.push(['service', what], ['', serverSide.why]);
  }
  const { memoryBytes, threads, partBytes } = summary;
  const setting = `${threads} ${plural(threads, 'thread', 'threads')}, parts of ${formatBytes(partBytes)}`;
  rows.push(['memory', `at most ${formatBytes(memoryBytes)}, with ${setting}`]);
  return [paint('strong', 'A copy takes'), ...columns(rows, '  ')];
}

/** Says what was measured and what was not. */
function time(summary: PlanSummary, paint: Paint): readonly string[] {
  const { expected, sample, listSeconds } = summary;
  const listed = summary.listedSource + summary.listedTarget;
  if (summary.objectsToCopy === 0) return [];
  const { small, large } = sample;
  const measured = [
    ...(small.objects > 0
      ? [`${formatObjects(small.objects)} up to 256 KiB at ${formatCount(small.objects / small.seconds)}/s`]
      : []),
    ...(large.bytes > 0
      ? [`${formatBytes(large.bytes)} of larger ones at ${formatByteRate(large.bytes / large.seconds)}`]
      : []),
  ];
  const basis = measured.length === 0 ? 'nothing was read' : `read ${measured.join(', and ')}`;
  const lines = [
    paint('strong', 'Time'),
    ...(expected
      ? [
          `  between ${formatDuration(expected.secondsLeast)} and ${formatDuration(expected.secondsMost)}, if the sample is like the rest`,
        ]
      : ['  not estimated: the sample holds nothing like what is to be copied (see --sample)']),
    `  measured: listing took ${formatDuration(listSeconds)}, ${formatCount(listed / listSeconds)} objects/s; of the source one thread ${basis}`,
  ];
  if (!expected) return lines;
  return [
    ...lines,
    '  not measured: writing, as a plan writes nothing. The first figure is listing and reading alone, the second takes',
    '  writing to be as slow as reading; a slower target takes longer',
    ...(summary.objectsServerSide > 0
      ? ['  nor is what the service takes to copy by itself, which is in neither figure']
      : []),
  ];
}

function cost({ cost: reckoned }: PlanSummary, paint: Paint): readonly string[] {
  if (!reckoned) return [];
  const money = (amount: number): string => `${formatMoney(amount)} ${printable(reckoned.currency)}`;
  const rows = SIDES.map(
    (side) =>
      [
        side,
        `${money(reckoned[side].requests)} for requests, ${money(reckoned[side].egress)} for egress`,
      ] as const,
  );
  const lines = [
    paint('strong', `Cost: ${money(reckoned.total)}, by the prices that were given`),
    ...columns(rows, '  '),
  ];
  if (reckoned.unpriced.length === 0) return lines;
  return [...lines, paint('warn', `  without a price, and not in it: ${reckoned.unpriced.join(', ')}`)];
}

/** Two digits behind the point, and more where an amount is so small that they would show nothing. */
function formatMoney(amount: number): string {
  if (amount === 0 || amount >= 0.01) {
    return amount.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  }
  return amount.toLocaleString('en-US', { maximumSignificantDigits: 2 });
}

function remarks(summary: PlanSummary, paint: Paint): readonly string[] {
  const lines = summary.warnings.map((warning) => `${paint('warn', 'warning')}: ${printable(warning)}`);
  if (summary.needsIntoNonempty) {
    const found = printable(summary.targetHolds ?? '');
    lines.push(
      `${paint('warn', 'the target is not empty')}: it holds "${found}"; a copy needs --into-nonempty`,
    );
  }
  if (summary.objectsLeftOut > 0) {
    const { objectsLeftOut: count, leftOut } = summary;
    lines.push(
      `left out, being no part of a registry (unfinished uploads and the like): ${formatCount(count)}`,
      ...someOf(
        leftOut.map((name) => ({ name })),
        count,
        '  ',
      ),
    );
  }
  return lines;
}

function next(summary: PlanSummary, { from, to }: Given, paint: Paint): readonly string[] {
  const advice: string[] = [];
  if (summary.objects.conflicting.objects > 0) {
    advice.push('find out which side is right, or copy into an empty root');
  }
  if (summary.objects.impossible.objects > 0) {
    advice.push('choose a target that can hold these keys, or rename or remove them at the source');
  }
  if (summary.sample.unreadable.length > 0) advice.push('mend what cannot be read');
  if (summary.unlistable.count > 0) {
    const hints = new Set(summary.unlistable.named.map(({ hint }) => hint ?? 'mend what cannot be listed'));
    advice.push(...[...hints].map((hint) => `${printable(hint)}; then plan again`));
  }
  if (advice.length === 0) {
    const flag = summary.needsIntoNonempty ? ' --into-nonempty' : '';
    const storages = `--from ${shellQuoted(from)} --to ${shellQuoted(to)}`;
    advice.push(
      `blobferry ${summary.objectsToCopy === 0 ? 'verify' : 'copy'} ${storages}${summary.objectsToCopy === 0 ? '' : flag}`,
    );
  }
  return [paint('strong', 'Next'), ...advice.map((line) => `  ${line}`)];
}
