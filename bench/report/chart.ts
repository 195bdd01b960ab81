/** One cell as a picture: a row for each copier, panels for CPU, time and memory. */
import { formatBytes } from '../../src/cli/units.ts';
import { html, type Markup } from './html.ts';
import type { CellResult, CopierResult, Figures, Spread } from './summarise.ts';
import { type CostUnit, costUnitOf, formatNumber } from './text.ts';

interface Panel {
  readonly title: string;
  readonly x: number;
  readonly width: number;
  /** Right end of the scale, in the panel's unit. */
  readonly max: number;
  read(figures: Figures): Spread | undefined;
  format(value: number): string;
}

const WIDTH = 1080;
const LABEL_WIDTH = 128;
const ROW_HEIGHT = 30;
const BAR_HEIGHT = 16;
const TOP = 30;
/** For the value behind a bar. */
const VALUE_WIDTH = 64;
const REASON_CHARACTERS_MAX = 120;

export function cellChart(result: CellResult): Markup {
  const panels = panelsOf(result);
  const hasFloor = floorOf(result).total > 0;
  const rows = [...result.copiers].sort(byOutcome);
  const height = TOP + (rows.length + (hasFloor ? 1 : 0)) * ROW_HEIGHT + 4;
  const first = TOP + (hasFloor ? ROW_HEIGHT : 0);
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${result.id}">
${panels.map((panel) => html`<text class="panel" x="${panel.x}" y="14">${panel.title}</text>`)}
${hasFloor ? floorRow(result, panels[0], height) : ''}
${rows.map((row, at) => copierRow(row, panels, first + at * ROW_HEIGHT))}
</svg>`;
}

/** Those with figures first, in their own order. */
function byOutcome(a: CopierResult, b: CopierResult): number {
  const order = ['ok', 'failed', 'cannot'];
  return order.indexOf(a.outcome) - order.indexOf(b.outcome);
}

function panelsOf(result: CellResult): readonly [Panel, Panel, Panel] {
  const { unit, read } = costOf(result);
  const floor = floorOf(result).total;
  const scale = (of: (figures: Figures) => Spread | undefined, least = 0): number =>
    Math.max(least, ...result.copiers.map(({ figures }) => (figures && of(figures)?.max) || 0)) || 1;
  const cost = { title: unit, x: LABEL_WIDTH, width: 430, read, format: formatNumber };
  const wall = {
    title: 'time, s',
    x: LABEL_WIDTH + 460,
    width: 230,
    read: (figures: Figures) => figures.wallSeconds,
    format: formatNumber,
  };
  const memory = {
    title: 'peak memory',
    x: LABEL_WIDTH + 720,
    width: 232,
    read: (figures: Figures) => figures.rssBytesMax,
    format: formatBytes,
  };
  return [
    { ...cost, max: scale(cost.read, floor) },
    { ...wall, max: scale(wall.read) },
    { ...memory, max: scale(memory.read) },
  ];
}

/** A bench without halves has no cost per object: then the whole run's CPU is what there is. */
function costOf(result: CellResult): { readonly unit: string; readonly read: CostUnit['read'] } {
  const unit = costUnitOf(result.cell);
  const hasCost = result.copiers.some(({ figures }) => figures && unit.read(figures));
  if (hasCost || result.copiers.every(({ figures }) => !figures))
    return { unit: `${unit.name}, start-up left out`, read: unit.read };
  return { unit: 'CPU s of the whole run', read: (figures) => figures.cpuSeconds };
}

interface Floor {
  readonly parts: readonly { readonly name: string; readonly value: number }[];
  readonly total: number;
}

/** Of small objects too few run long enough to be measured: less than nothing is nothing. */
function floorOf(result: CellResult): Floor {
  const { read } = costOf(result);
  const parts = [...result.floors].map(([name, figures]) => ({
    name,
    value: Math.max(0, read(figures)?.median ?? 0),
  }));
  return { parts, total: parts.reduce((sum, { value }) => sum + value, 0) };
}

function floorRow(result: CellResult, panel: Panel, height: number): Markup {
  const { parts, total } = floorOf(result);
  const y = TOP + (ROW_HEIGHT - BAR_HEIGHT) / 2;
  let left = panel.x;
  const bars = parts.map(({ name, value }, at) => {
    const width = lengthOf(value, panel);
    const bar = html`<rect class="floor floor${at}" x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}"><title>${name}: ${formatNumber(value)}</title></rect>`;
    left += width;
    return bar;
  });
  const words = parts.map(({ name, value }) => `${name} ${formatNumber(value)}`).join(' + ');
  return html`<text class="label floorlabel" x="${LABEL_WIDTH - 10}" y="${y + 12.5}">floor</text>${bars}
<line class="floorline" x1="${left.toFixed(1)}" x2="${left.toFixed(1)}" y1="${y - 3}" y2="${height - 4}"/>
<text class="value floorlabel" x="${(left + 8).toFixed(1)}" y="${y + 12.5}">${formatNumber(total)} <tspan class="dim">= ${words}</tspan></text>`;
}

function copierRow(row: CopierResult, panels: readonly Panel[], top: number): Markup {
  const y = top + (ROW_HEIGHT - BAR_HEIGHT) / 2;
  const own = row.copier.startsWith('blobferry') ? 'own' : '';
  const label = html`<text class="label ${own}" x="${LABEL_WIDTH - 10}" y="${y + 12.5}">${row.copier}</text>`;
  if (row.outcome !== 'ok' || !row.figures) {
    const what = row.outcome === 'cannot' ? 'not run: ' : 'failed: ';
    return html`${label}<text class="${row.outcome}" x="${LABEL_WIDTH}" y="${y + 12.5}">${what}${shortened(row.reason ?? '')}<title>${row.reason}</title></text>`;
  }
  const { figures } = row;
  return html`${label}${panels.map((panel) => bar(panel, panel.read(figures), y, row.copier))}`;
}

function bar(panel: Panel, spread: Spread | undefined, y: number, copier: string): Markup {
  if (!spread) return html``;
  const length = lengthOf(spread.median, panel);
  const end = panel.x + Math.max(length, lengthOf(spread.max, panel));
  const middle = y + BAR_HEIGHT / 2;
  const kind = copier === 'blobferry' ? 'own' : copier.startsWith('blobferry') ? 'second' : 'peer';
  const [from, to] = [spread.min, spread.max].map((value) => (panel.x + lengthOf(value, panel)).toFixed(1));
  const dots = spread.values.map(
    (value) =>
      html`<circle class="dot" cx="${(panel.x + lengthOf(value, panel)).toFixed(1)}" cy="${middle}" r="2"/>`,
  );
  const range = `${panel.format(spread.min)} to ${panel.format(spread.max)} in ${spread.values.length} runs`;
  return html`<rect class="bar ${kind}" x="${panel.x}" y="${y}" width="${Math.max(1, length).toFixed(1)}" height="${BAR_HEIGHT}" rx="2"><title>${copier}: ${panel.format(spread.median)} (${range})</title></rect>
${spread.values.length > 1 ? html`<line class="range" x1="${from}" x2="${to}" y1="${middle}" y2="${middle}"/>${dots}` : ''}
<text class="value" x="${(end + 9).toFixed(1)}" y="${y + 12.5}">${panel.format(spread.median)}</text>`;
}

function lengthOf(value: number, panel: Panel): number {
  return (Math.max(0, value) / panel.max) * (panel.width - VALUE_WIDTH);
}

/** Without the names of objects, which the tooltip has. */
function shortened(full: string): string {
  const text = full.replaceAll(/: docker\/\S+?(?=;|$)/g, '');
  return text.length > REASON_CHARACTERS_MAX ? `${text.slice(0, REASON_CHARACTERS_MAX)}…` : text;
}
