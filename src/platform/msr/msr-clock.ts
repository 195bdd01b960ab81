/** What time it is at MSR: backups bear its times, or those of the machine that wrote them. */
import type { MsrConnection } from './msr-connection.ts';

/** MSR's clock may be so far from the one here, and that of whoever wrote an archive so far from either. */
export const CLOCK_MS_MAX = 5 * 60_000;

/**
 * From the `Date` of an answer, to about a second.
 * @returns how far MSR's clock is ahead of the one here; undefined where it does not tell.
 */
export async function clockAheadOf(msr: MsrConnection, signal: AbortSignal): Promise<number | undefined> {
  const askedMs = Date.now();
  const { headers } = await msr.send(signal, {
    method: 'GET',
    operation: 'ask for the time',
    path: '/health',
    authorization: 'none',
    accepts: [401, 403, 404, 500, 503],
  });
  const thereMs = Date.parse(headers.get('date') ?? '');
  // Whole seconds, cut off, and written about half-way between asking and hearing.
  return Number.isNaN(thereMs) ? undefined : Math.round(thereMs + 500 - (askedMs + Date.now()) / 2);
}

/**
 * The earliest time, by whichever of the two clocks, of what was begun just now. An archive is written where its container
 * runs, which may be here or at MSR. A clock that is further off than may be counts no more than that.
 */
export function earliestBegin(beganMs: number, aheadMs: number | undefined): number {
  return beganMs + Math.max(-CLOCK_MS_MAX, Math.min(0, aheadMs ?? 0));
}
