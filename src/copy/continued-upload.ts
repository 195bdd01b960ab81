/**
 * Uploads that a run left open when it died are continued. A part that the service holds is believed in only by its
 * number, its size and a checksum which the service itself keeps; all three must be those of the bytes read again now.
 */
import { hash } from 'node:crypto';
import { crc64, crc64Hex } from '../core/crc64.ts';
import { StorageError } from '../core/errors.ts';
import type { MultipartFacet, PartReceipt, Upload } from '../drivers/driver.ts';
import type { CopyContext } from './context.ts';
import { type PartPlan, planParts } from './plan-parts.ts';
import { cleanUpMs } from './second-opinion.ts';

export interface OpenUpload {
  readonly upload: Upload;
  readonly plan: readonly PartPlan[];
  /** What the service holds of it, by number; nothing for one that was just begun. */
  readonly stored: ReadonlyMap<number, PartReceipt>;
}

/** One of the uploads that are open for the key, if it is of use; the others are aborted. */
export async function continuedUpload(
  ctx: CopyContext,
  multipart: MultipartFacet,
  key: string,
  plan: readonly PartPlan[],
): Promise<OpenUpload | undefined> {
  let chosen: OpenUpload | undefined;
  for (const upload of ctx.uploads.take(key)) {
    const usable = chosen ? undefined : await usableUpload(ctx, multipart, upload, plan);
    if (usable) chosen = usable;
    else await abortUpload(ctx, multipart, upload);
  }
  return chosen;
}

/** Undefined where no part is stored, or one that fits no plan: then a new upload is simpler and as cheap. */
async function usableUpload(
  ctx: CopyContext,
  multipart: MultipartFacet,
  upload: Upload,
  wanted: readonly PartPlan[],
): Promise<OpenUpload | undefined> {
  try {
    const parts = await multipart.listParts(ctx, upload);
    if (parts.length === 0) return undefined;
    const plan = fits(parts, wanted) ? wanted : planAsStored(ctx, multipart, parts, wanted);
    if (!fits(parts, plan)) return undefined;
    return { upload, plan, stored: new Map(parts.map((part) => [part.number, part])) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (mayBeOfThisUpload(error)) return undefined;
    throw error;
  }
}

function fits(parts: readonly PartReceipt[], plan: readonly PartPlan[]): boolean {
  return parts.every(({ number, sizeBytes }) => plan[number - 1]?.sizeBytes === sizeBytes);
}

/** The size of parts follows from the memory there is, so the run that died may have cut the object otherwise. */
function planAsStored(
  { slabs }: CopyContext,
  multipart: MultipartFacet,
  parts: readonly PartReceipt[],
  wanted: readonly PartPlan[],
): readonly PartPlan[] {
  const sizeBytes = wanted.reduce((sum, part) => sum + part.sizeBytes, 0);
  const partBytes = parts.reduce((most, part) => Math.max(most, part.sizeBytes), 0);
  // Larger ones than slabs can hold would all be read twice.
  return partBytes > slabs.slabBytesMax ? wanted : planParts(sizeBytes, partBytes, multipart);
}

/** May a new upload go better? Not where the whole backend refuses, or does not answer. */
export function mayBeOfThisUpload(error: unknown): error is StorageError {
  if (!(error instanceof StorageError) || error.details.scope === 'backend') return false;
  return !['throttled', 'timeout', 'unavailable'].includes(error.kind);
}

export interface PartSums {
  readonly crc32: number;
  readonly crc64: () => string;
  readonly md5: () => string;
}

/** Does a checksum that the service keeps say so, and none say otherwise? Under SSE-KMS an MD5 may be none. */
export function holdsPart(stored: PartReceipt, sums: PartSums, md5MayBeOpaque: boolean): boolean {
  const byCrc32 = stored.crc32 === undefined ? undefined : stored.crc32 === sums.crc32;
  const byCrc64 = stored.crc64 === undefined ? undefined : stored.crc64 === sums.crc64();
  if (byCrc32 === false || byCrc64 === false) return false;
  const byMd5 = stored.md5 === undefined ? undefined : stored.md5 === sums.md5();
  if (byMd5 === undefined || (!byMd5 && md5MayBeOpaque)) return byCrc32 === true || byCrc64 === true;
  return byMd5;
}

export function sumsOf(bytes: Uint8Array, crc32: number): PartSums {
  return { crc32, crc64: () => crc64Hex(crc64(bytes)), md5: () => hash('md5', bytes, 'hex') };
}

/** The upload must go even when the run is being cancelled, so the abort has a clock of its own. Never rejects. */
export async function abortUpload(
  ctx: CopyContext,
  multipart: MultipartFacet,
  upload: Upload,
): Promise<void> {
  try {
    await multipart.abort({ signal: AbortSignal.timeout(cleanUpMs(ctx)) }, upload);
    ctx.report({ type: 'upload', upload, state: 'closed' });
  } catch {
    // The error that led here is the one to report; what stays open is found by listing uploads.
  }
}
