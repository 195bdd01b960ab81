/** The goals as a table for the terminal. */
import type { GoalRecord } from '../records.ts';
import { formatNumber, table } from '../report/text.ts';

export function goalsText(records: readonly GoalRecord[]): string {
  const rows = records.map(({ name, title, value, unit, floor, target, isReached, note }) => [
    name,
    title,
    value === undefined ? '–' : formatNumber(value),
    unit,
    target,
    floor === undefined ? '' : formatNumber(floor),
    isReached === undefined ? 'not measured' : isReached ? 'reached' : 'NOT REACHED',
    note,
  ]);
  const head = ['goal', 'what', 'figure', '', 'target', 'floor', '', ''];
  return table([head, ...rows], 'llrlrrll').join('\n');
}
