/**
 * Looks for blobs by their content while a source is listed: where a path says the digest by that, where it says an id by
 * reading what has the right size.
 */
import { createHash } from 'node:crypto';
import { isStorageError } from '../../core/errors.ts';
import type { CallContext, ObjectInfo, StorageDriver } from '../../drivers/driver.ts';
import type { Layout } from '../../layout/layout.ts';
import { blobIdIn } from '../../layout/msr.ts';
import type { WantedBlob, WantedFound } from '../engine-port.ts';

/** Of one size: small blobs are of few sizes where many images are alike. */
const CANDIDATES_MAX = 500;
/** What is read whole to be hashed. */
const BYTES_MAX = 4 * 1024 * 1024;

export class WantedBlobs {
  readonly #wanted: readonly WantedBlob[];
  readonly #found = new Set<string>();
  /** Keys of blobs that are named by an id, by their size. */
  readonly #candidates = new Map<number, Set<string>>();

  constructor(wanted: readonly WantedBlob[]) {
    this.#wanted = wanted.filter(({ sizeBytes }) => sizeBytes <= BYTES_MAX);
    for (const { sizeBytes } of this.#wanted) this.#candidates.set(sizeBytes, new Set());
  }

  /** Told of each object of the listing; of the same one twice, where it is listed anew. */
  note({ key, sizeBytes }: ObjectInfo, path: string, layout: Layout): void {
    const candidates = this.#candidates.get(sizeBytes);
    if (!candidates) return;
    const hex = layout.classify(path).contentDigest?.hex;
    if (hex !== undefined) {
      if (this.#wanted.some((one) => one.sha256 === hex && one.sizeBytes === sizeBytes)) this.#found.add(hex);
    } else if (blobIdIn(path) !== undefined && candidates.size <= CANDIDATES_MAX) candidates.add(key);
  }

  /** Reads what may be one of those that no path has shown. */
  async settle(ctx: CallContext, source: StorageDriver): Promise<WantedFound> {
    const unsure: string[] = [];
    for (const { sha256, sizeBytes } of this.#wanted) {
      if (this.#found.has(sha256)) continue;
      const keys = this.#candidates.get(sizeBytes) ?? new Set();
      if (await this.#isAmong(ctx, source, [...keys].slice(0, CANDIDATES_MAX), { sha256, sizeBytes })) {
        this.#found.add(sha256);
      } else if (keys.size > CANDIDATES_MAX) unsure.push(sha256);
    }
    const absent = this.#wanted
      .map(({ sha256 }) => sha256)
      .filter((one) => !this.#found.has(one) && !unsure.includes(one));
    return { found: [...this.#found], absent, unsure };
  }

  async #isAmong(
    ctx: CallContext,
    source: StorageDriver,
    keys: readonly string[],
    { sha256, sizeBytes }: WantedBlob,
  ): Promise<boolean> {
    // One byte more shows an object that has grown since.
    const into = Buffer.alloc(sizeBytes + 1);
    for (const key of keys) {
      ctx.signal.throwIfAborted();
      try {
        const { bytesRead } = await source.read(ctx, key, into, { isWhole: true });
        const hex = createHash('sha256').update(into.subarray(0, bytesRead)).digest('hex');
        if (hex === sha256) return true;
      } catch (error) {
        // What cannot be read is no proof; a pass over the source tells of it.
        if (!isStorageError(error) || error.details.scope === 'backend') throw error;
      }
    }
    return false;
  }
}
