/** Result files as one page that needs nothing else: figures, what they mean, and where they come from. */
import { formatBytes, formatCount, formatDuration } from '../../src/cli/units.ts';
import { COPIERS } from '../copiers/find-copiers.ts';
import { CONDITIONS, ROUTES, WORKLOADS } from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';
import type { TrialRecord } from '../records.ts';
import { cellChart } from './chart.ts';
import { html, Markup } from './html.ts';
import { conditionName, wayName, workloadDetail, workloadName } from './names.ts';
import { agreementSection, methodSection, trialSection, wireTable } from './sections.ts';
import { STYLE } from './style.ts';
import { type Bench, type CellResult, resultsOf, trialsOf } from './summarise.ts';
import { costUnitOf, formatNumber } from './text.ts';

/** A cell as the newest bench has it. */
interface Shown {
  readonly bench: Bench;
  readonly result: CellResult;
}

/** @param benches at least one. */
export function renderPage(benches: readonly Bench[]): string {
  const ordered = benches.toSorted((a, b) => a.start.at.localeCompare(b.start.at));
  const shown = newest(ordered);
  const trials = newestTrials(ordered);
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>blobferry: what a copy costs</title><style>${new Markup(STYLE)}</style></head><body><main>
${header(ordered)}
${glance(shown, trials.length > 0)}
${cells(shown)}
${trialSection(trials)}
${agreementSection(ordered)}
${methodSection(ordered)}
</main></body></html>
`;
  return page.text;
}

function newest(ordered: readonly Bench[]): readonly Shown[] {
  const found = new Map<string, Shown>();
  for (const bench of ordered) {
    for (const result of resultsOf(bench)) found.set(result.id, { bench, result });
  }
  // The whole list in the order of one bench, whatever order the files came in.
  const rank = ({ result: { cell } }: Shown): string =>
    [
      CONDITIONS.indexOf(cell.condition),
      ['http', 'https'].indexOf(cell.scheme),
      ROUTES.indexOf(cell.route),
      WORKLOADS.indexOf(cell.workload),
    ].join();
  return [...found.values()].sort((a, b) => rank(a).localeCompare(rank(b)));
}

function newestTrials(ordered: readonly Bench[]): readonly TrialRecord[] {
  const found = new Map<string, TrialRecord>();
  for (const bench of ordered) {
    for (const trial of trialsOf(bench)) {
      found.set([trial.route, trial.scheme, trial.copier, trial.trial].join(), trial);
    }
  }
  return [...found.values()];
}

function header(benches: readonly Bench[]): Markup {
  const last = benches.at(-1);
  if (!last) throw new Error('There are no results to show');
  const { machine, at, isQuick } = last.start;
  const speeds = benches.flatMap(({ lines }) =>
    lines.flatMap((line) =>
      line.kind === 'run' && line.sha256SecondsPerGib ? [line.sha256SecondsPerGib] : [],
    ),
  );
  const loads = benches.flatMap(({ start, end }) => [start.machine.load, ...(end ? [end.load] : [])]);
  return html`<h1>What a copy costs</h1>
<p class="lead">The same objects, moved by blobferry and by other programs in turn; each measured from outside in the same way, and every target checked for completeness after every run.</p>
${isQuick ? html`<p class="banner">This was a quick bench: it shows that everything works, and says nothing about speed.</p>` : ''}
<ul class="facts">
<li><b>${at.slice(0, 10)}</b></li><li>blobferry <b>${machine.commit}</b>, Node <b>${machine.node}</b></li>
<li><b>${machine.cpu}</b>, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)}, ${machine.kernel}</li>
<li>load of the machine <b>${Math.min(...loads)}</b> to <b>${Math.max(...loads)}</b></li>
${speeds.length > 0 ? html`<li>sha256 took <b>${formatNumber(Math.min(...speeds))}</b> to <b>${formatNumber(Math.max(...speeds))}</b> s/GiB (0.55 is what CPU figures are scaled to)</li>` : ''}
</ul>`;
}

/** Columns in the order of the catalogue; copiers that were nowhere run have none. */
function columnsOf(shown: readonly Shown[]): readonly string[] {
  const names = new Set(
    shown.flatMap(({ result }) =>
      result.copiers.filter(({ outcome }) => outcome !== 'cannot').map(({ copier }) => copier),
    ),
  );
  return COPIERS.filter((name) => names.has(name));
}

function glance(shown: readonly Shown[], hasTrials: boolean): Markup {
  const columns = columnsOf(shown);
  const head = columns.map((name) => html`<th>${name}</th>`);
  return html`<h2>At a glance: CPU time</h2>
<p>What moving the objects costs in CPU time, start-up left out. blobferry’s column has the cost itself; the others say how many times as much the same work takes there.</p>
<div class="scroll"><table class="glance"><thead><tr><th></th>${head}</tr></thead><tbody>
${shown.map(({ bench, result }) => glanceRow(result, columns, bench.start.parameters))}
</tbody></table></div>
<p class="note">Median of the runs. blobferry hashes all it reads, compares with the digest in the path and makes the target check what it gets. ${hasTrials ? html`What the others check shows <a href="#flips">below</a>. ` : ''}Failed runs have no figures.</p>`;
}

function glanceRow(result: CellResult, columns: readonly string[], parameters: Parameters): Markup {
  const unit = costUnitOf(result.cell);
  const medianOf = (name: string): number | undefined => {
    const figures = result.copiers.find(({ copier }) => copier === name)?.figures;
    return figures && (unit.read(figures) ?? figures.cpuSeconds).median;
  };
  const own = medianOf('blobferry');
  const condition = result.cell.condition === 'loopback' ? '' : `, ${conditionName(result.cell, parameters)}`;
  const cellsOfRow = columns.map((name) => {
    const copier = result.copiers.find((one) => one.copier === name);
    const median = medianOf(name);
    if (copier?.outcome === 'failed') return html`<td class="failed" title="${copier.reason}">failed</td>`;
    if (!copier || median === undefined) return html`<td class="none">–</td>`;
    if (name === 'blobferry' || own === undefined || own <= 0)
      return html`<td class="best">${formatNumber(median)} <span class="way">${unit.name.replace('CPU ', '')}</span></td>`;
    const times = median / own;
    return html`<td class="${shade(times)}" title="${formatNumber(median)} ${unit.name}">× ${formatNumber(times)}</td>`;
  });
  return html`<tr><td>${workloadName(result.cell, parameters)}<br><span class="way">${wayName(result.cell)}${condition}</span></td>${cellsOfRow}</tr>`;
}

function shade(times: number): string {
  if (times < 0.95) return 'less';
  if (times < 1.5) return '';
  if (times < 3) return 'more1';
  return times < 10 ? 'more2' : 'more3';
}

function cells(shown: readonly Shown[]): Markup {
  return html`<h2>Each measurement</h2>
<p>Bars are medians, dots single runs. The floor is what the machine itself needs for the bytes, measured in the same bench: sha256 over them, a bare pump of them from socket to socket, and on routes with files opening, reading (or writing) and closing these. Time on one machine with two servers on it says little about a real network; CPU time does.</p>
${shown.map(cellSection)}`;
}

function cellSection({ bench, result }: Shown): Markup {
  const { parameters } = bench.start;
  const title = `${workloadName(result.cell, parameters)}, ${wayName(result.cell)}`;
  const size = `${formatCount(result.objects)} objects, ${formatBytes(result.bytes)}`;
  const seconds = bench.end ? formatDuration(bench.end.seconds) : 'broken off';
  return html`<section class="cell"><h3>${title}</h3>
<p class="sub">${size}: ${workloadDetail(result.cell, parameters)} · ${conditionName(result.cell, parameters)}</p>
<div class="scroll">${cellChart(result)}</div>
${wireTable(result)}
<p class="note">${result.id} · ${bench.name} (${seconds})</p></section>`;
}
