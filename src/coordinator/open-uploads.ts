/**
 * Multipart uploads that are open below the target's root: which of them are this job's, so that they are continued or
 * aborted, and which are a stranger's, which are counted and left alone.
 */

import type { Shard } from '../copy/shard.ts';
import { belongsToPhaseOne, isInRange } from '../copy/shard-range.ts';
import { StorageError } from '../core/errors.ts';
import type { CallContext, MultipartFacet, Upload } from '../drivers/driver.ts';
import type { Layout } from '../layout/layout.ts';
import { isOurs } from '../layout/left-out.ts';
import { probePrefix } from './leftovers.ts';

/** Aborts at once. */
const LANES = 8;

export interface KnownOfUploads {
  /** Below which the job writes. */
  readonly keyPrefix: string;
  readonly layout: Layout;
  readonly ownsTarget: boolean;
  readonly journaled: readonly Upload[];
  /** Ids that were open before the job began; undefined where that is not known. */
  readonly strangers: ReadonlySet<string> | undefined;
  /** Runs of this job: their names are in ids, and in names of probes, that they chose themselves. */
  readonly runs: readonly string[];
  /** May there be uploads for this key that we began, and that are in no journal? */
  readonly mayBeUnnoted: (key: string) => boolean;
}

export interface SortedUploads {
  /** For certain. */
  readonly ours: readonly Upload[];
  /** Most likely ours: nobody noted them. They are, if the source has an object of that name. */
  readonly unnoted: readonly Upload[];
  readonly strangers: readonly Upload[];
}

/**
 * Ours is what the journal has, and what carries the name of one of our runs. Where something may not have been noted,
 * so may be, in a root that was empty when the job began, what was not open then under a key that a copy writes. A
 * registry that runs on the target already has uploads of its own: unfinished pushes under keys that are left out, and
 * under those of large blobs while it moves these there.
 */
export function sortUploads(listed: readonly Upload[], known: KnownOfUploads): SortedUploads {
  const journaled = new Set(known.journaled.map(nameOfUpload));
  const ours: Upload[] = [];
  const unnoted: Upload[] = [];
  const strangers: Upload[] = [];
  for (const upload of listed) {
    if (journaled.has(nameOfUpload(upload)) || isNamedAfter(upload, known)) ours.push(upload);
    else if (known.mayBeUnnoted(upload.key) && isLikelyOurs(upload, known)) unnoted.push(upload);
    else strangers.push(upload);
  }
  return { ours, unnoted, strangers };
}

function isNamedAfter({ id, key }: Upload, { runs, keyPrefix }: KnownOfUploads): boolean {
  return runs.some((run) => id.includes(run) || key.startsWith(probePrefix(keyPrefix, run)));
}

function isLikelyOurs({ id, key }: Upload, known: KnownOfUploads): boolean {
  if (!known.ownsTarget || known.strangers?.has(id) !== false) return false;
  const path = key.slice(known.keyPrefix.length);
  return !isOurs(path) && !known.layout.leavesOut(path, undefined);
}

export function nameOfUpload({ id, key }: Upload): string {
  return `${id} ${key}`;
}

/** The uploads of this job that are open at the moment. */
export class OwnUploads {
  readonly #open = new Map<string, Upload>();

  constructor(found: readonly Upload[]) {
    for (const upload of found) this.note(upload, true);
  }

  note(upload: Upload, isOpen: boolean): void {
    const name = nameOfUpload(upload);
    if (isOpen) this.#open.set(name, upload);
    else this.#open.delete(name);
  }

  get all(): readonly Upload[] {
    return [...this.#open.values()];
  }

  /** Those for keys of this shard. */
  of(shard: Shard, layout: Layout, keyPrefix: string): readonly Upload[] {
    return this.all.filter(({ key }) => {
      if (!key.startsWith(keyPrefix + shard.range.prefix)) return false;
      const path = key.slice(keyPrefix.length);
      return isInRange(shard.range, path) && !belongsToPhaseOne(shard, layout, path);
    });
  }
}

export interface Aborted {
  readonly done: readonly Upload[];
  /** Of those that could not be aborted. */
  readonly error?: StorageError;
}

/** Rejects for a cancelled run only: an upload that stays open costs space, never an object. */
export async function abortUploads(
  ctx: CallContext,
  multipart: MultipartFacet,
  uploads: readonly Upload[],
): Promise<Aborted> {
  const waiting = [...uploads];
  const done: Upload[] = [];
  let failure: StorageError | undefined;
  const lanes = Array.from({ length: LANES }, async () => {
    for (let upload = waiting.pop(); upload; upload = waiting.pop()) {
      try {
        await multipart.abort(ctx, upload);
        done.push(upload);
      } catch (error) {
        if (!(error instanceof StorageError) || ctx.signal.aborted) throw error;
        failure ??= error;
      }
    }
  });
  await Promise.all(lanes);
  return failure === undefined ? { done } : { done, error: failure };
}
