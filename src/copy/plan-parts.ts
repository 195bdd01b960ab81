/** How an object is cut into parts. */
import type { MultipartFacet } from '../drivers/driver.ts';

export interface PartPlan {
  readonly number: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

export type PartLimits = Pick<
  MultipartFacet,
  'partBytesMin' | 'partBytesMax' | 'partsMax' | 'objectBytesMax'
>;

/** The largest object that can be written in parts. */
export function objectBytesMaxOf({ partBytesMax, partsMax, objectBytesMax }: PartLimits): number {
  return Math.min(partBytesMax * partsMax, objectBytesMax ?? Number.POSITIVE_INFINITY);
}

/** Parts as large as wanted, or as the backend's limits force them to be; they cover every byte once. */
export function planParts(sizeBytes: number, wantedBytes: number, limits: PartLimits): readonly PartPlan[] {
  const least = Math.max(limits.partBytesMin, Math.ceil(sizeBytes / limits.partsMax));
  const partBytes = Math.min(Math.max(wantedBytes, least), limits.partBytesMax);
  if (sizeBytes > partBytes * limits.partsMax) {
    throw new RangeError(
      `An object of ${sizeBytes} bytes does not fit into ${limits.partsMax} parts of ${partBytes}`,
    );
  }
  const parts: PartPlan[] = [];
  for (let offset = 0; offset < sizeBytes; offset += partBytes) {
    parts.push({ number: parts.length + 1, offset, sizeBytes: Math.min(partBytes, sizeBytes - offset) });
  }
  return parts;
}
