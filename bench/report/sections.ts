/** The parts of the page that are tables. */
import { formatBytes, formatCount } from '../../src/cli/units.ts';
import { COPIERS } from '../copiers/find-copiers.ts';
import { FLIPS, type Flip, type ServerShare, type TrialRecord } from '../records.ts';
import { html, type Markup } from './html.ts';
import { wayName } from './names.ts';
import { agreementsOf, type Bench, type CellResult, type CopierResult } from './summarise.ts';
import { costUnitOf, formatNumber, formatSpread, serverCost } from './text.ts';

/** What went over the wire, what the servers did, and who checked what. */
export function wireTable(result: CellResult): Markup {
  const rows = result.copiers.filter(({ outcome }) => outcome === 'ok');
  if (rows.length === 0) return html``;
  return html`<details><summary>Requests, bytes, start-up, who hashed what</summary><div class="scroll"><table>
<thead><tr><th></th><th class="number">requests</th><th class="number">bytes from the source</th><th class="number">to the target</th><th class="number">servers’ CPU s</th><th class="number">source’s ${costUnitOf(result.cell).name}</th><th class="number">target’s</th><th class="number">copier’s CPU s</th><th class="number">of that start-up</th><th>hashed</th><th>bound</th></tr></thead>
<tbody>${rows.map((row) => wireRow(result, row))}</tbody></table></div>${plantedNote(rows)}${etagsNote(rows)}</details>`;
}

function wireRow(result: CellResult, row: CopierResult): Markup {
  const { copier, source, target, figures, hashed, bound } = row;
  const servers = (source?.cpuSeconds ?? 0) + (target?.cpuSeconds ?? 0);
  return html`<tr><td>${copier}</td><td class="number" title="${operations(source, target)}">${formatCount((source?.requests ?? 0) + (target?.requests ?? 0))}</td>
<td class="number">${source ? formatBytes(source.bytesOut) : '–'}</td><td class="number">${target ? formatBytes(target.bytesIn) : '–'}</td>
<td class="number">${servers.toFixed(2)}</td><td class="number">${serverCost(result.cell, source, result)}</td><td class="number">${serverCost(result.cell, target, result)}</td><td class="number">${formatSpread(figures?.cpuSeconds)}</td><td class="number">${formatSpread(figures?.startCpuSeconds)}</td>
<td>${hashed}</td><td>${bound}</td></tr>`;
}

function operations(...shares: readonly (ServerShare | undefined)[]): string {
  return shares
    .flatMap((share) => Object.entries(share?.operations ?? {}))
    .map(([name, count]) => `${name} ${formatCount(count)}`)
    .join(', ');
}

function etagsNote(rows: readonly CopierResult[]): Markup {
  if (!rows.some(({ etags }) => etags === 'opaque')) return html``;
  return html`<p class="note">The target’s ETags were visibly no MD5s: with true ones half of its CPU would go into MD5, and it shares the machine with the copiers.</p>`;
}

function plantedNote(rows: readonly CopierResult[]): Markup {
  const planted = rows.reduce((sum, row) => sum + row.planted, 0);
  if (planted === 0) return html``;
  const refused = rows.reduce((sum, row) => sum + row.refused, 0);
  return html`<p class="note">Before each run the bench sent the target a part with a wrong payload hash, one with a wrong Content-MD5 and one with a wrong CRC-32: ${refused} of ${planted} times it refused all of them.</p>`;
}

const FLIP_NAMES: Readonly<Record<Flip, string>> = {
  put: 'on its way into the target, small object',
  part: 'on its way into the target, part of a large one',
  get: 'on its way out of the source, small object',
  'get-large': 'on its way out of the source, large one',
};

const OUTCOMES: Readonly<Record<TrialRecord['outcome'], string>> = {
  right: 'noticed and mended',
  reported: 'noticed, copy failed',
  'left-wrong': 'noticed, wrong bytes left',
  unnoticed: 'NOT NOTICED: wrong bytes, exit code 0',
  'not-met': 'did not meet it',
  failed: 'fails without any bit',
};

/** @param trials of each copier at most one of a kind. */
export function trialSection(trials: readonly TrialRecord[]): Markup {
  if (trials.length === 0) return html``;
  const ways = Map.groupBy(trials, ({ route, scheme }) => `${route}/${scheme}`);
  return html`<h2 id="flips">One flipped bit</h2>
<p>What each program proves is not a matter of manuals: one bit of one object was turned over on its way, and then it was looked at what lies in the target and what the program says about it.</p>
${[...ways.values()].map(trialTable)}`;
}

function trialTable(trials: readonly TrialRecord[]): Markup {
  const [first] = trials;
  if (!first) return html``;
  const flips = FLIPS.filter((flip) => trials.some(({ trial }) => trial === flip));
  const names = COPIERS.filter((name) => trials.some(({ copier }) => copier === name));
  return html`<h3>${wayName(first)}</h3><div class="scroll"><table class="flips"><thead><tr><th></th>${flips.map((flip) => html`<th>${FLIP_NAMES[flip]}</th>`)}</tr></thead>
<tbody>${names.map((name) => html`<tr><td>${name}</td>${flips.map((flip) => trialCell(trials, name, flip))}</tr>`)}</tbody></table></div>`;
}

function trialCell(trials: readonly TrialRecord[], name: string, flip: Flip): Markup {
  const of = (kind: TrialRecord['trial']): TrialRecord | undefined =>
    trials.find(({ copier, trial }) => copier === name && trial === kind);
  const plain = of('plain');
  if (plain?.outcome === 'failed')
    return html`<td class="failed" title="${plain.reason}">${OUTCOMES.failed}</td>`;
  const trial = of(flip);
  if (!trial) return html`<td class="none">–</td>`;
  const codes = Object.entries(trial.refusals).filter(
    ([code, count]) => count > (plain?.refusals[code] ?? 0),
  );
  const by = codes.map(([code]) => code).join(', ');
  return html`<td class="${trial.outcome}" title="${trial.reason}">${OUTCOMES[trial.outcome]}${by === '' ? '' : html`<br><span class="dim">target: ${by}</span>`}</td>`;
}

/** How far benches of the same thing are apart; nothing where no cell was measured twice. */
export function agreementSection(ordered: readonly Bench[]): Markup {
  const pairs = ordered.flatMap((second, at) => {
    const first = ordered[at - 1];
    const agreements =
      first && first.start.isQuick === second.start.isQuick ? agreementsOf(first, second) : [];
    return first && agreements.length > 0 ? [{ first, second, agreements }] : [];
  });
  if (pairs.length === 0) return html``;
  return html`<h2>Measured twice</h2>
<p>The same cells in two benches, one after the other: how far the medians of CPU per object are apart.</p>
${pairs.map(
  ({
    first,
    second,
    agreements,
  }) => html`<div class="scroll"><table><thead><tr><th>${first.name} and ${second.name}</th><th></th><th class="number">first, ms/object</th><th class="number">second</th><th class="number">apart</th></tr></thead><tbody>
${agreements.map(
  (one) =>
    html`<tr><td>${one.id}</td><td>${one.copier}</td><td class="number">${formatNumber(one.first)}</td><td class="number">${formatNumber(one.second)}</td><td class="number">${(one.difference * 100).toFixed(1)} %</td></tr>`,
)}</tbody></table></div>`,
)}`;
}

export function methodSection(ordered: readonly Bench[]): Markup {
  const last = ordered.at(-1)?.start;
  if (!last) return html``;
  const commands = new Map<string, string>();
  for (const { lines } of ordered) {
    for (const line of lines)
      if (line.kind === 'run') commands.set(`${line.copier} ${line.cell.route}`, line.command);
  }
  return html`<h2>How it was measured</h2>
<p><b>CPU</b> is user and system time of the program and all it starts, as the kernel accounts it when they end, scaled by how fast sha256 ran just before and after (reference: 0.55 s/GiB). <b>Cost per object</b> is the difference of a run over all objects and one over half of them, so that start-up does not count. <b>Memory</b> is the peak resident set, sampled from <code>/proc</code>. Copiers take turns, nobody always first. The servers are this project’s own S3 server, in processes of their own.</p>
<table><tbody>
${last.copiers.map(({ name, version }) => html`<tr><td>${name}</td><td>${version}</td></tr>`)}
${last.missing.map(({ name, missing }) => html`<tr><td>${name}</td><td class="dim">not here: ${missing}</td></tr>`)}
</tbody></table>
<details><summary>Command lines</summary><table><tbody>${[...commands].map(([name, command]) => html`<tr><td style="white-space:nowrap">${name}</td><td><code>${command}</code></td></tr>`)}</tbody></table></details>
<details><summary>Parameters</summary><p><code>${JSON.stringify(last.parameters)}</code></p></details>`;
}
