/** How the page looks, in light and in dark. */
export const STYLE = `
:root {
  --back: #ffffff; --panel: #f6f7f9; --text: #1c2430; --dim: #667080; --line: #dfe3e8;
  --own: #0b7285; --second: #74b8c4; --peer: #a3adba; --dot: #1c2430;
  --floor0: #e8b04a; --floor1: #d98c3f; --floor2: #bf6f4a; --bad: #b3261e; --good: #1f7a3d;
  --badback: #fdecea; --goodback: #e7f5eb; --warnback: #fff4dd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14181e; --panel: #1c222b; --text: #e6eaf0; --dim: #98a3b3; --line: #323b47;
    --own: #3bc9db; --second: #1d7c8a; --peer: #566173; --dot: #ffffff;
    --floor0: #c98f2b; --floor1: #b06e2a; --floor2: #95553a; --bad: #ff8a80; --good: #7bd694;
    --badback: #40211f; --goodback: #1b3525; --warnback: #3b3019;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 1144px; margin: 0 auto; padding: 32px 32px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; margin: 52px 0 6px; }
h3 { font-size: 16px; margin: 0; }
p { max-width: 76ch; margin: 6px 0 14px; }
.lead { font-size: 17px; color: var(--dim); max-width: 84ch; }
.dim, .note { color: var(--dim); }
.note { font-size: 13px; }
.banner { background: var(--warnback); padding: 10px 14px; border-radius: 6px; }
.facts { display: flex; flex-wrap: wrap; gap: 6px 26px; margin: 14px 0 0; padding: 0; list-style: none; font-size: 13px; color: var(--dim); }
.facts b { color: var(--text); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; margin: 10px 0; }
th, td { padding: 5px 12px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--dim); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.glance { width: 100%; }
table.glance td, table.glance th { padding: 5px 10px; vertical-align: middle; line-height: 1.35; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.glance td:first-child, table.glance th:first-child { text-align: left; padding-left: 0; white-space: normal; }
table.glance .way { color: var(--dim); font-size: 12.5px; }
td.best { font-weight: 650; color: var(--own); }
td.less { background: var(--goodback); }
td.more1 { background: color-mix(in srgb, var(--warnback) 55%, transparent); }
td.more2 { background: var(--warnback); }
td.more3 { background: color-mix(in srgb, var(--floor0) 38%, transparent); }
td.failed { background: var(--badback); color: var(--bad); }
td.none { color: var(--dim); }
td.right { background: var(--goodback); } td.unnoticed, td.left-wrong { background: var(--badback); color: var(--bad); font-weight: 600; }
td.reported { background: var(--warnback); }
section.cell { background: var(--panel); border-radius: 8px; padding: 16px 18px 10px; margin: 16px 0; }
section.cell .sub { color: var(--dim); font-size: 13.5px; margin: 0 0 8px; max-width: none; }
svg { display: block; width: 100%; min-width: 860px; height: auto; font-size: 13px; }
svg text { fill: var(--text); }
svg .panel { fill: var(--dim); font-size: 12px; }
svg .label { text-anchor: end; } svg .label.own { font-weight: 650; fill: var(--own); }
svg .value { font-variant-numeric: tabular-nums; font-size: 12.5px; }
svg .dim, svg .cannot, svg .floorlabel { fill: var(--dim); } svg .floorlabel { font-size: 12px; }
svg .failed { fill: var(--bad); font-size: 12.5px; } svg .cannot { font-size: 12.5px; }
svg .bar.own { fill: var(--own); } svg .bar.second { fill: var(--second); } svg .bar.peer { fill: var(--peer); }
svg .dot { fill: var(--dot); fill-opacity: .55; }
svg .range { stroke: var(--dot); stroke-opacity: .45; }
table.flips { table-layout: fixed; width: 100%; }
table.flips th:first-child, table.flips td:first-child { width: 120px; }
table.flips td { padding-left: 8px; } table.flips th { padding-left: 8px; } table.flips td:first-child { padding-left: 0; }
svg .floor0 { fill: var(--floor0); } svg .floor1 { fill: var(--floor1); } svg .floor2 { fill: var(--floor2); }
svg .floorline { stroke: var(--floor1); stroke-dasharray: 2 3; }
code { font: 12.5px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--dim); font-size: 13.5px; }
@media print { section.cell { break-inside: avoid; } }
`;
