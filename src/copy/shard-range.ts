/** Which keys are a shard's, and how its listings are asked for: one rule for the copy and for the plan of one. */
import { compareUtf8 } from '../core/byte-order.ts';
import type { StorageError } from '../core/errors.ts';
import type { CallContext, ListPage, ListQuery, StorageDriver } from '../drivers/driver.ts';
import type { Layout } from '../layout/layout.ts';
import type { Listing } from './join.ts';
import { type AheadPace, listAhead } from './listing-ahead.ts';
import type { KeyRange, Shard } from './shard.ts';
import { externallySorted, orderChecked } from './sorted-listing.ts';

export function isInRange({ after, upTo }: KeyRange, path: string): boolean {
  if (after !== undefined && compareUtf8(path, after) <= 0) return false;
  return upTo === undefined || compareUtf8(path, upTo) <= 0;
}

/** Phase "names" lists the whole root and so meets blobs, which phase one has done. */
export function belongsToPhaseOne({ phase }: Shard, { blobPrefixes }: Layout, path: string): boolean {
  return phase === 'names' && blobPrefixes.some((prefix) => path.startsWith(prefix));
}

export interface ShardListing {
  readonly shard: Shard;
  readonly keyPrefix: string;
  /** The listing is known not to ascend, whatever the driver says of itself. */
  readonly isSorting: boolean;
  /** Is this folder (a logical path that ends in `/`) not even to be opened? */
  readonly prune: (folder: string) => boolean;
  /** As in a listing's query; `path` is a logical one. */
  readonly onUnlistable?: (path: string, error: StorageError) => boolean;
}

/** One side of a shard in order. @throws ListingOutOfOrder where it turns out not to be; ask again with `isSorting`. */
export function listShard(ctx: CallContext, driver: StorageDriver, options: ShardListing): Listing {
  const { shard, keyPrefix, isSorting, prune, onUnlistable } = options;
  const { range } = shard;
  const mustSort = isSorting || driver.facts.listOrder === 'unsorted';
  const query: ListQuery = {
    prefix: keyPrefix + range.prefix,
    // A listing that may be out of order must be seen whole: what lies behind a key for the server is not what does here.
    ...(range.after === undefined || mustSort ? {} : { after: keyPrefix + range.after }),
    ...(range.upTo === undefined || mustSort ? {} : { upTo: keyPrefix + range.upTo }),
    prune: (folder) => prune(folder.slice(keyPrefix.length)),
    ...(onUnlistable
      ? { onUnlistable: (name, error) => onUnlistable(name.slice(keyPrefix.length), error) }
      : {}),
  };
  const isAhead = driver.facts.listsSideBySide === true && !mustSort;
  const borders = shard.borders?.map((border) => keyPrefix + border) ?? [];
  const pages = isAhead
    ? listAhead(ctx, driver, query, { borders, pace: paceOf(driver) })
    : driver.list(ctx, query);
  const sorted: AsyncIterable<ListPage> = mustSort
    ? externallySorted(inRange(pages, range, keyPrefix))
    : orderChecked(pages);
  return { pages: sorted, keyPrefix, upTo: range.upTo };
}

async function* inRange(
  pages: AsyncIterable<ListPage>,
  range: KeyRange,
  keyPrefix: string,
): AsyncGenerator<ListPage> {
  for await (const page of pages) {
    const objects = page.objects.filter(({ key }) => isInRange(range, key.slice(keyPrefix.length)));
    yield { ...page, objects };
  }
}

/** A thread keeps its drivers from shard to shard. */
const PACES = new WeakMap<StorageDriver, AheadPace>();

function paceOf(driver: StorageDriver): AheadPace {
  const pace = PACES.get(driver) ?? { lanes: 1 };
  PACES.set(driver, pace);
  return pace;
}
