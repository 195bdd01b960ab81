/** How long a read-only window will be, from what passes so far have shown. Pure. */
import type { ListingTime, PassTimes, WindowPrediction, WindowRequest } from '../engine-port.ts';

type Shown = WindowRequest['passes'][number];

/** What a copied object costs beyond its bytes, where no pass has copied enough to tell. */
export const OBJECT_SECONDS = 0.02;
export const BYTES_PER_SECOND = 20_000_000;
/** Fewer copied objects say nothing about how fast it goes. */
const OBJECTS_TELLING = 50;

/** @throws RangeError where there was no pass. */
export function predictWindow({ passes, atMs, elsewhereMs = 0 }: WindowRequest): WindowPrediction {
  const last = passes.at(-1);
  if (!last) throw new RangeError('A window is predicted from at least one pass');
  const changes = changesPerSecond(passes);
  const sinceSeconds = Math.max(0, ((atMs ?? Date.now()) - last.beganMs) / 1000);
  const delta = {
    objects: Math.ceil((changes?.objects ?? 0) * sinceSeconds),
    bytes: Math.ceil((changes?.bytes ?? 0) * sinceSeconds),
  };
  const { source, target } = last.times.listings;
  const parts = {
    listingMs: ms(listingSeconds(passes)),
    copyingMs: ms(copyingSeconds(passes, delta)),
    // Both sides are listed at once, each page after the one before.
    comparingMs: ms(Math.max(source.seconds, target.seconds)),
    // One GET instead of a GET and a PUT, by as many at once.
    readingMs: ms(copyingSeconds(passes, delta)),
    elsewhereMs,
  };
  const totalMs = Object.values(parts).reduce((sum, part) => sum + part, 0);
  const basis = changes ? 'delta' : 'first';
  return { totalMs, parts, delta, basis, text: textOf(totalMs, parts, delta, basis) };
}

function ms(seconds: number): number {
  return Math.ceil(seconds * 1000);
}

/**
 * Of what passes after the first one found: each found what had changed since the one before it began. The busiest of
 * them counts, as the window has to be long enough.
 */
function changesPerSecond(
  passes: readonly Shown[],
): { readonly objects: number; readonly bytes: number } | undefined {
  const rates = passes.slice(1).flatMap((pass, index) => {
    const before = passes[index];
    if (!before) return [];
    // A pass meets what was changed until its own end.
    const seconds = Math.max(1, (pass.endedMs - before.beganMs) / 1000);
    return [{ objects: pass.objectsChanged / seconds, bytes: pass.bytesChanged / seconds }];
  });
  if (rates.length === 0) return undefined;
  return {
    objects: Math.max(...rates.map(({ objects }) => objects)),
    bytes: Math.max(...rates.map(({ bytes }) => bytes)),
  };
}

/**
 * What the listings of a pass take: no longer than its pages one after the other, shared out to its threads, nor than
 * the quickest pass took for everything.
 */
function listingSeconds(passes: readonly Shown[]): number {
  const shared = passes.slice(-1).map(({ times }) => pagesSeconds(times) / times.threads);
  const whole = passes.map(({ times }) => times.seconds);
  return Math.min(...shared, ...whole);
}

function pagesSeconds({ listings }: PassTimes): number {
  return secondsOf(listings.source) + secondsOf(listings.target);
}

function secondsOf({ seconds }: ListingTime): number {
  return Math.max(0, seconds);
}

/** At the pace of the pass that copied most: small and large objects are then mixed as they are in the registry. */
function copyingSeconds(
  passes: readonly Shown[],
  delta: { readonly objects: number; readonly bytes: number },
): number {
  const most = passes.reduce<PassTimes | undefined>(
    (best, { times }) => (best && best.objectsCopied >= times.objectsCopied ? best : times),
    undefined,
  );
  if (!most || most.objectsCopied < OBJECTS_TELLING || most.seconds <= 0)
    return delta.objects * OBJECT_SECONDS + delta.bytes / BYTES_PER_SECOND;
  // Whichever of the two has the longer way: a few layers, or many links.
  const byObjects = delta.objects / (most.objectsCopied / most.seconds);
  const byBytes = most.bytesCopied === 0 ? 0 : delta.bytes / (most.bytesCopied / most.seconds);
  return Math.max(byObjects, byBytes);
}

function textOf(
  totalMs: number,
  parts: WindowPrediction['parts'],
  delta: WindowPrediction['delta'],
  basis: WindowPrediction['basis'],
): string {
  const rest = parts.elsewhereMs === 0 ? '' : `, ${timeText(parts.elsewhereMs)} for the steps around them`;
  const made = `${timeText(parts.listingMs + parts.comparingMs)} for listing both sides twice, ${timeText(parts.copyingMs + parts.readingMs)} for copying and reading back${rest}`;
  const what =
    basis === 'first'
      ? 'how much changes meanwhile is not known before a second live pass'
      : `about ${delta.objects} objects (${(delta.bytes / 1e6).toFixed(1)} MB) to copy`;
  return `about ${timeText(totalMs)}: ${made}; ${what}`;
}

/** `95 s`, `12 min`, `3 h 20 min`: rounded up. */
export function timeText(timeMs: number): string {
  const seconds = Math.ceil(timeMs / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
