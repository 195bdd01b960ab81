/** What a running verification tells a progress display. */
import type { VerifyProgress } from '../verify/tally.ts';
import type { ProgressReading } from './progress.ts';

export function verifyReading(progress: VerifyProgress | undefined): ProgressReading {
  const { objectsCompared = 0, bytesCompared = 0 } = progress ?? {};
  const share = progress?.path === undefined ? undefined : shareOf(progress.path);
  return {
    phase: 'comparing',
    objectsDone: objectsCompared,
    objectsKnown: progress?.listedSource ?? 0,
    bytesDone: bytesCompared,
    errors: progress?.objectsWrong ?? 0,
    phaseObjects: objectsCompared,
    phaseBytes: bytesCompared,
    ...(share === undefined ? {} : { share }),
  };
}

/**
 * Blobs come first in byte order and hold nearly all bytes; the first two digits of a digest or id tell how far the
 * comparison is among them. Behind them nothing can be said.
 */
export function shareOf(path: string): number | undefined {
  const digits = /\/blobs\/(?:sha256|sha512|id)\/([0-9a-f]{2})\//.exec(`/${path}`)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16) / 256;
}
