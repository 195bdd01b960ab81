/** `blobferry probe`. */
import { demandSdkEngine } from '../drivers/engine.ts';
import { openDriverTelling } from './composition.ts';
import type { CommandContext } from './context.ts';
import { capitalized, EXIT_USAGE } from './failure.ts';
import { jsonLine } from './json.ts';
import type { Paint, Style } from './output.ts';
import { type ProbeFinding, type ProbeReport, probeStorage } from './probe.ts';
import type { ProbeArguments } from './program.ts';
import { readOneStorage } from './storages.ts';
import { printable } from './text.ts';
import { formatBytes } from './units.ts';

export async function runProbeCommand(
  storage: string,
  given: ProbeArguments,
  context: CommandContext,
): Promise<number> {
  // Whoever asks for --write means to use it as a target.
  const role = given.write ? 'target' : given.role;
  const spec = await readOneStorage(storage, role, context);
  demandSdkEngine(given.engine, [spec]);
  const report = await probeStorage({
    storage: spec,
    role,
    layout: given.layout,
    engine: given.engine,
    isWriting: given.write === true,
    openDriver: openDriverTelling((sentence) => context.output.say(`warning: ${printable(sentence)}`)),
    signal: context.signal,
  });
  if (given.json) context.output.print(jsonLine(report));
  else context.output.print(probeText(report, context.output.paint));
  return report.isUsable ? 0 : EXIT_USAGE;
}

const MARKS: Readonly<Record<ProbeFinding['outcome'], readonly [string, Style]>> = {
  ok: ['✓', 'good'],
  failed: ['✗', 'bad'],
  open: ['–', 'faint'],
};

export function probeText(report: ProbeReport, paint: Paint): string {
  const lines = [paint('strong', report.storage), ''];
  for (const { check, outcome, text, hint } of report.findings) {
    const [mark, style] = MARKS[outcome];
    lines.push(`  ${paint(style, mark)} ${check.padEnd(7)} ${printable(text)}`);
    if (hint !== undefined) lines.push(`    ${' '.repeat(7)} ${printable(capitalized(hint))}`);
  }
  if (report.firstObjects.length > 0) {
    lines.push('', `  ${printable(report.keyRule)}; the first objects:`);
    for (const { path, sizeBytes, class: objectClass } of report.firstObjects) {
      lines.push(`    ${printable(path)}  (${objectClass}, ${formatBytes(sizeBytes)})`);
    }
  }
  if (report.firstObjects.length === 0) lines.push('', `  ${printable(report.keyRule)}`);
  if (report.missingPermissions.length > 0) {
    lines.push('', paint('bad', '  missing permissions'));
    for (const permission of report.missingPermissions) lines.push(`    ${permission}`);
  }
  const verdict = report.isUsable
    ? paint('good', `Usable as a ${report.role}, as far as was tried`)
    : paint('bad', `Not usable as a ${report.role} as it is`);
  return [...lines, '', verdict].join('\n');
}
