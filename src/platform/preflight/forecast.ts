/** What can be said about time before anything was copied: from one listing of the source, and what there is in it. Pure. */
import { BYTES_PER_SECOND, OBJECT_SECONDS, timeText } from '../engine/window.ts';
import type { SurveyReport } from '../engine-port.ts';
import { type Finding, note, problem } from './finding.ts';

/** As fast as nothing that is known here goes: what takes longer than that does not fit for sure. */
const OBJECTS_PER_SECOND_MOST = 10_000;
const BYTES_PER_SECOND_MOST = 1_000_000_000;

export interface WindowTerms {
  /** A longer window is not opened; undefined: any is. */
  readonly msMax: number | undefined;
  /** What else happens inside. */
  readonly elsewhereMs: number;
  /** Shards of a pass are listed by so many at once. */
  readonly threads: number;
}

/** Milliseconds. */
export interface Forecast {
  /** Listing both sides twice, where the target's takes no longer than the source's, and nothing has changed. */
  readonly listingMs: number;
  /** No window is much shorter. */
  readonly windowMs: number;
  /** No migration is done sooner. */
  readonly leastMs: number;
  /** At a pace that most storages keep up. */
  readonly roughMs: number;
}

/** @param isBegun an earlier run may have copied all of it. */
export function forecastOf(
  { objects, bytes, listingMs: sourceMs }: Pick<SurveyReport, 'objects' | 'bytes' | 'listingMs'>,
  { elsewhereMs, threads }: Pick<WindowTerms, 'elsewhereMs' | 'threads'>,
  isBegun: boolean,
): Forecast {
  // The final pass lists by shards; the comparison after it lists both sides at once, page by page.
  const passMs = sourceMs / threads;
  const listingMs = passMs + sourceMs;
  const windowMs = listingMs + elsewhereMs;
  const seconds = (perObject: number, perByte: number): number => objects * perObject + bytes * perByte;
  const mostMs = 1_000 * seconds(1 / OBJECTS_PER_SECOND_MOST, 1 / BYTES_PER_SECOND_MOST);
  // What is copied is read back as well.
  const copyMs = 2_000 * seconds(OBJECT_SECONDS, 1 / BYTES_PER_SECOND);
  return {
    listingMs,
    windowMs,
    leastMs: windowMs + passMs + (isBegun ? 0 : mostMs),
    roughMs: windowMs + 2 * passMs + copyMs,
  };
}

/** Before anything is changed: would the window be too long even if nothing had to be copied in it? */
export function windowFinding(
  { listingMs, windowMs }: Forecast,
  { msMax, elsewhereMs }: WindowTerms,
): Omit<Finding, 'item'> {
  const steps = elsewhereMs === 0 ? '' : ` and ${timeText(elsewhereMs)} for the steps around it`;
  const text = `the registry will be read-only for at least ${timeText(windowMs)}: ${timeText(listingMs)} for listing both sides twice${steps}`;
  if (msMax === undefined || windowMs <= msMax)
    return note(`${text}; what has to be copied in it is predicted from the live passes`);
  return problem(
    `${text}, and windowMax is ${timeText(msMax)}`,
    'Write a longer windowMax, or look again: what was just listed may be listed faster',
  );
}
