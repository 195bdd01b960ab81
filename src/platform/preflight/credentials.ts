/** Do credentials last as long as the migration? Pure. */
import type { StorageFindings } from '../engine-port.ts';
import { type Finding, note, ok, problem } from './finding.ts';
import type { Forecast } from './forecast.ts';

/** No migration is done within so short a time. */
const EXPIRY_MS_MIN = 60 * 60_000;

type Ends = Pick<StorageFindings, 'name' | 'credentialsExpireMs' | 'areCredentialsTemporary'>;

/** @param forecast undefined where the source could not be listed. */
export function expiryOf(
  { name, credentialsExpireMs: endMs, areCredentialsTemporary }: Ends,
  nowMs: number,
  forecast: Forecast | undefined,
): readonly Omit<Finding, 'item'>[] {
  if (endMs === undefined) {
    if (!areCredentialsTemporary) return [];
    return [note(`those for ${name} are temporary, and do not say when they end: see that they outlast it`)];
  }
  const text = `those for ${name} end at ${iso(endMs)}`;
  const leastMs = Math.max(forecast?.leastMs ?? 0, EXPIRY_MS_MIN);
  if (endMs < nowMs + leastMs) {
    return [
      problem(
        `${text}, and the migration takes until ${iso(nowMs + leastMs)} at the very least`,
        'Take ones that last longer than the migration, or such as are renewed while they are used',
      ),
    ];
  }
  if (!forecast) return [ok(text)];
  const roughly = iso(nowMs + forecast.roughMs);
  if (endMs >= nowMs + forecast.roughMs) return [ok(`${text}, the migration at about ${roughly}`)];
  return [
    note(
      `${text}, and the migration may take until ${roughly}: the window is not opened unless they outlast it`,
    ),
  ];
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
