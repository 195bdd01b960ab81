/**
 * Objects that only one of two listings has. Where a listing may lag behind (eventual consistency) the objects themselves
 * are asked before anything is called missing or extra, and so is the size that a listing does not tell.
 */
import type { Side } from '../core/counters.ts';
import { isStorageError, toErrorRecord } from '../core/errors.ts';
import type { ObjectInfo } from '../drivers/driver.ts';
import { type CheckOptions, onSide, SideError } from './check-pair.ts';
import type { ListedObject } from './listing.ts';
import type { VerifyException } from './summary.ts';

export interface Alone {
  readonly path: string;
  readonly info: ObjectInfo;
  readonly listedBy: Side;
}

export type FoundAlone =
  /** The other side has it as well. */
  | { readonly is: 'both'; readonly sides: Readonly<Record<Side, ListedObject>> }
  /** With its true size. */
  | { readonly is: 'alone'; readonly sizeBytes: number }
  | { readonly is: 'unreadable'; readonly exception: VerifyException }
  /** Only the target listed it, and does not have it any more. */
  | { readonly is: 'gone' };

export function isSurelyAlone({ info, listedBy }: Alone, options: CheckOptions): boolean {
  const mayLag = options.source.facts.listsLate === true || options.target.facts.listsLate === true;
  // How large an extra object is nobody asks.
  return !mayLag && !(info.isSizeUnsure && listedBy === 'source');
}

/** Rejects as `checkPair` does. */
export async function lookAgain(
  alone: Alone,
  keyPrefixes: Readonly<Record<Side, string>>,
  options: CheckOptions,
): Promise<FoundAlone> {
  const { path, info, listedBy } = alone;
  const other = listedBy === 'source' ? 'target' : 'source';
  try {
    const there = options[other].facts.listsLate
      ? await statIfThere(other, keyPrefixes[other] + path, options)
      : undefined;
    const mustAsk = options[listedBy].facts.listsLate || info.isSizeUnsure;
    const here = mustAsk ? await statIfThere(listedBy, info.key, options) : info;
    if (here === undefined) return listedBy === 'target' ? { is: 'gone' } : vanished(alone, options);
    if (there === undefined) return { is: 'alone', sizeBytes: here.sizeBytes };
    const ours = { path, info: here };
    const theirs = { path, info: there };
    const sides = listedBy === 'source' ? { source: ours, target: theirs } : { source: theirs, target: ours };
    return { is: 'both', sides };
  } catch (error) {
    if (!(error instanceof SideError)) throw error;
    const { side, message: detail } = error;
    const record = toErrorRecord(error.error);
    return { is: 'unreadable', exception: { problem: 'unreadable', side, path, detail, error: record } };
  }
}

function vanished({ path }: Alone, { source }: CheckOptions): FoundAlone {
  const detail = `it was listed in ${source.name} and is not there: it was removed since, or the listing lags behind`;
  return { is: 'unreadable', exception: { problem: 'unreadable', side: 'source', path, detail } };
}

async function statIfThere(side: Side, key: string, options: CheckOptions): Promise<ObjectInfo | undefined> {
  const { signal } = options;
  try {
    return await onSide(side, signal, () => options[side].stat({ signal }, key));
  } catch (error) {
    if (error instanceof SideError && isStorageError(error.error, 'not-found')) return undefined;
    throw error;
  }
}
