/** What a copy did, for people: what was moved, how it is known to be right, what is left, and what to do next. */
import { type CopyException, type CopySummary, exitCodeOf } from '../core/job.ts';
import { extraAdvice, extraText } from './extra-text.ts';
import { failedAdvice } from './failed-advice.ts';
import { capitalized } from './failure.ts';
import type { Paint } from './output.ts';
import { columns, plural, printable, someOf, storageFlags } from './text.ts';
import { formatByteRate, formatBytes, formatCount, formatDuration, formatObjects } from './units.ts';

/** The storages as they were given, for commands that can be typed again. */
export interface Given {
  readonly from: string;
  readonly to: string;
}

export function copySummaryText(summary: CopySummary, given: Given, paint: Paint): string {
  const sections = [
    headline(summary, paint),
    whatMoved(summary),
    proof(summary, paint),
    notInTarget(summary, paint),
    extraText(summary, paint),
    remarks(summary, paint),
    next(summary, given, paint),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function headline(summary: CopySummary, paint: Paint): readonly string[] {
  const way = `${summary.source} → ${summary.target}`;
  const exitCode = exitCodeOf(summary);
  if (exitCode === 0) {
    const what =
      summary.objectsCopied === 0
        ? `Nothing to copy: the target already holds all ${formatObjects(summary.objectsSkipped)}`
        : `Copied ${formatObjects(summary.objectsCopied)}, ${formatBytes(summary.bytesCopied)}, in ${formatDuration(summary.seconds)}`;
    return [paint('good', `✓ ${what}`), `  ${way}`];
  }
  const words = headWords(summary, exitCode);
  return [
    paint('bad', `✗ ${words}`) + paint('strong', ` after ${formatObjects(summary.objectsCopied)} copied`),
    `  ${way}`,
  ];
}

function headWords(summary: CopySummary, exitCode: number): string {
  if (exitCode === 3) return 'Integrity problems';
  if (exitCode === 130) return 'Stopped';
  // Removals are tried only where everything else went well.
  const isAllThere = summary.deletion?.state === 'done' || summary.deletion?.state === 'too-many';
  return isAllThere ? 'The target holds what the source does not' : 'Not complete';
}

const CLASS_NAMES = [
  ['blob', 'blobs'],
  ['link', 'links'],
  ['tag', 'tags'],
  ['other', 'other'],
] as const;

function whatMoved(summary: CopySummary): readonly string[] {
  const rows: (readonly [string, string])[] = [];
  for (const [objectClass, name] of CLASS_NAMES) {
    const { copied, skipped } = summary.objectsByClass[objectClass];
    if (copied + skipped === 0) continue;
    const there = skipped === 0 ? '' : `, ${formatCount(skipped)} already there`;
    rows.push([name, `${formatCount(copied)} copied${there}`]);
  }
  const { seconds, bytesCopied, objectsCopied } = summary;
  if (objectsCopied > 0 && seconds > 0) {
    const rate = `${formatByteRate(bytesCopied / seconds)}, ${formatCount(objectsCopied / seconds)} objects/s`;
    rows.push(['speed', `${rate}, ${summary.engine} engine`]);
  }
  const { objectsServerSide, bytesServerSide } = summary;
  if (objectsServerSide > 0) {
    const what = `${formatObjects(objectsServerSide)}, ${formatBytes(bytesServerSide)}`;
    rows.push(['service', `copied ${what} by itself; ${readBackWords(summary)} passed through this machine`]);
  }
  if (summary.bytesReused > 0) {
    const bytes = formatBytes(summary.bytesReused);
    rows.push([
      'continued',
      `${bytes} had been sent by an interrupted run, and were found right in the target`,
    ]);
  }
  rows.push(['layout', `${summary.layout}, ${summary.isFrozen ? 'frozen' : 'live'} pass`]);
  return columns(rows, '  ');
}

function readBackWords({ objectsByProof: { readBack } }: CopySummary): string {
  return readBack === 0 ? 'none of their bytes' : 'what was read back of them';
}

/** Only what was copied in this pass was proved in it; what was skipped was taken for equal by the rules of a pass. */
function proof(summary: CopySummary, paint: Paint): readonly string[] {
  const { service, readBack } = summary.objectsByProof;
  const inside = service + readBack;
  const proved = Math.max(0, summary.objectsCopied - summary.objectsUnproved - inside);
  const lines: string[] = [];
  if (proved > 0) {
    const share = summary.objectsUnproved + inside === 0 ? 'all' : `${formatCount(proved)} of`;
    const copied = `${share} ${formatObjects(summary.objectsCopied)} copied were proved right as they passed`;
    lines.push(`  source  ${copied}`);
  }
  if (service > 0) {
    lines.push(
      `  service ${formatCount(service)} of ${formatObjects(summary.objectsCopied)} copied have their digest by the sha256 that the service computed`,
    );
  }
  if (readBack > 0) {
    lines.push(
      `  service ${formatCount(readBack)} of ${formatObjects(summary.objectsCopied)} copied had their digest when they were read back`,
    );
  }
  if (summary.objectsCopied > 0) lines.push(`  target  ${summary.binding}`);
  if (summary.serverCopiesWrong > 0) {
    const { serverCopiesWrong: count } = summary;
    const what = `${formatObjects(count)} that the service copied by itself had other bytes than their ${plural(count, 'path says', 'paths say')}`;
    lines.push(paint('warn', `  ${what}: removed, and read anew`));
  }
  lines.push(...changedOnTheWay(summary).map((line) => paint('warn', line)));
  if (summary.objectsUnproved > 0) {
    const { objectsUnproved: count } = summary;
    lines.push(
      paint(
        'warn',
        `  ${formatObjects(count)} ${plural(count, 'is', 'are')} copied but unproved: no digest or checksum says what the bytes must be`,
      ),
      '  (tags are such objects on file systems; verify --deep compares them with the source, --read-twice reads them twice)',
    );
  }
  return lines.length === 0 ? [] : [paint('strong', 'Proof'), ...lines];
}

/** Nothing is wrong for it, but something between the storages is. */
function changedOnTheWay({ readsWrong, writesWrong }: CopySummary): readonly string[] {
  const lines: string[] = [];
  if (readsWrong > 0) {
    const times = `${formatCount(readsWrong)} ${plural(readsWrong, 'time', 'times')}`;
    lines.push(`  ${times} the source gave changed bytes: that was noticed, and they were read again`);
  }
  if (writesWrong > 0) {
    const times = `${formatCount(writesWrong)} ${plural(writesWrong, 'time', 'times')}`;
    lines.push(`  ${times} changed bytes reached the target: that was noticed, and they were sent again`);
  }
  return lines.length === 0
    ? lines
    : [...lines, '  (something on the way changes bytes: check the network and its devices)'];
}

interface Kind {
  readonly state: CopyException['state'];
  readonly count: number;
  readonly says: string;
}

function kindsOf(summary: CopySummary): readonly Kind[] {
  const kind = (state: Kind['state'], count: number, one: string, many = one): Kind => ({
    state,
    count,
    says: plural(count, one, many),
  });
  const kinds: readonly Kind[] = [
    kind(
      'damaged',
      summary.objectsDamaged,
      'holds other bytes than its path says; it was not written',
      'hold other bytes than their paths say; they were not written',
    ),
    kind(
      'conflict',
      summary.objectsConflicting,
      'exists in the target with other content, and was left as it is',
      'exist in the target with other content, and were left as they are',
    ),
    kind('failed', summary.objectsFailed, 'could not be copied'),
    kind(
      'unsettled',
      summary.objectsUnsettled,
      'changed, or did not fit its digest, while the source was live',
      'changed, or did not fit their digests, while the source was live',
    ),
    summary.isFrozen
      ? kind(
          'vanished',
          summary.objectsVanished,
          'was listed and is gone, although the source should not change',
          'were listed and are gone, although the source should not change',
        )
      : kind(
          'vanished',
          summary.objectsVanished,
          'was deleted from the source while the pass ran, and is not needed',
          'were deleted from the source while the pass ran, and are not needed',
        ),
  ];
  return kinds.filter(({ count }) => count > 0);
}

function notInTarget(summary: CopySummary, paint: Paint): readonly string[] {
  const lines: string[] = [];
  for (const { state, count, says } of kindsOf(summary)) {
    lines.push(
      `${paint(state === 'vanished' && !summary.isFrozen ? 'strong' : 'bad', state)}: ${formatObjects(count)} ${says}`,
    );
    const named = summary.exceptions.filter((exception) => exception.state === state);
    lines.push(
      ...someOf(
        named.map(({ path, error }) => ({ name: path, detail: error.message })),
        count,
        '  ',
      ),
      ...hintsOf(named),
    );
  }
  if (summary.stoppedBy) {
    lines.push(`${paint('bad', 'ended early')}: ${summary.stoppedBy.message}`);
    if (summary.stoppedBy.hint) lines.push(`  ${capitalized(summary.stoppedBy.hint)}`);
  }
  return lines;
}

const HINTS_SHOWN = 3;

/** What to do about them: mostly the same for all, so each is said once. */
function hintsOf(exceptions: readonly CopyException[]): readonly string[] {
  const hints = new Set(exceptions.map(({ error }) => error.hint).filter((hint) => hint !== undefined));
  return [...hints].slice(0, HINTS_SHOWN).map((hint) => `  ${capitalized(hint)}`);
}

function remarks(summary: CopySummary, paint: Paint): readonly string[] {
  const warnings = [...summary.warnings, ...rowWarnings(summary)];
  const lines = warnings.map((warning) => `${paint('warn', 'warning')}: ${printable(warning)}`);
  if (summary.objectsLeftOut > 0) {
    const { objectsLeftOut: count } = summary;
    lines.push(
      `left out, being no part of a registry (unfinished uploads and the like): ${formatCount(count)}`,
    );
    lines.push(
      ...someOf(
        summary.leftOut.map((name) => ({ name })),
        count,
        '  ',
      ),
    );
  }
  return lines;
}

/** Where the blobs of the source and the rows of the backup do not agree, which is nothing that the copy did. */
function rowWarnings({ digests }: CopySummary): readonly string[] {
  if (digests === undefined) return [];
  const { pending, lacking } = digests;
  const told = (rows: typeof pending, says: string): readonly string[] =>
    rows.count === 0
      ? []
      : [
          `${formatCount(rows.count)} ${says}: ${rows.first.join(', ')}${rows.count > rows.first.length ? ' …' : ''}`,
        ];
  return [
    ...told(
      pending,
      `${plural(pending.count, 'blob is', 'blobs are')} not in the backup, so nothing says what ${plural(pending.count, 'it', 'they')} must hash to (pushed since; a newer backup does)`,
    ),
    ...told(
      lacking,
      `${plural(lacking.count, 'blob', 'blobs')} that the backup names ${plural(lacking.count, 'is', 'are')} not in the source (removed since, or lost)`,
    ),
  ];
}

function next(summary: CopySummary, given: Given, paint: Paint): readonly string[] {
  const storages = storageFlags(given, summary.layout);
  const lines = adviceFor(summary).map((line) => `  ${line}`);
  if (lines.length === 0)
    lines.push(`  blobferry verify --deep ${storages}   reads everything back and compares`);
  // What ended the run is said above; the journal has the objects.
  if (summary.exceptions.length > 0 || kindsOf(summary).length > 0)
    lines.push(`  every exception is in ${summary.journal}`);
  return [paint('strong', 'Next'), ...lines];
}

function adviceFor(summary: CopySummary): readonly string[] {
  const advice: string[] = [];
  if (summary.objectsDamaged > 0) {
    advice.push(
      'restore the damaged objects in the source from a backup, or push their images again; then copy again',
    );
  }
  if (summary.objectsConflicting > 0) {
    advice.push('find out which side is right, or copy into an empty root');
  }
  if (summary.isStopped) advice.push('run the same command again: it goes on where this one stopped');
  else advice.push(...failedAdvice(summary));
  if (summary.objectsUnsettled > 0) {
    advice.push('run again, with --frozen once nothing writes to the source any more');
  }
  if (summary.isFrozen && summary.objectsVanished > 0) {
    advice.push('find out what deletes from the source; then copy again');
  }
  return [...advice, ...extraAdvice(summary)];
}
