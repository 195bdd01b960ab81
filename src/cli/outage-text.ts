/** What people are told when a backend stops answering and when it is back. */
import type { OutageChange } from '../core/outages.ts';
import { formatDuration } from './units.ts';

/** @param limitMs how long is waited. */
export function outageLine(change: OutageChange, limitMs: number): string {
  const { side, name, reason } = change.outage;
  const who = `${side} ${name}`;
  if (change.is === 'back') return `${who} is back after ${rounded(change.ms)}`;
  return `${who} does not answer (${reason}): waiting, up to ${rounded(limitMs)}`;
}

/** `12 s`, `10 min`: nothing here is worth tenths, or seconds that are none. */
function rounded(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return formatDuration(seconds)
    .replace('.0 s', ' s')
    .replace(/ 00 (s|min|h)$/, '');
}
