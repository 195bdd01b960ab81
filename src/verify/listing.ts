/** One side's flat listing as logical paths in ascending UTF-8 order, or an error: never a wrong order. */
import { compareUtf8 } from '../core/byte-order.ts';
import { StorageError } from '../core/errors.ts';
import type { ListPage, ObjectInfo, StorageDriver } from '../drivers/driver.ts';
import type { Layout } from '../layout/layout.ts';
import { isTransient, type Patience, waitBeforeAttempt } from './patience.ts';

export interface ListedObject {
  readonly path: string;
  readonly info: ObjectInfo;
}

export interface ListingOptions {
  readonly driver: StorageDriver;
  /** Everything before the logical path in this side's keys. */
  readonly keyPrefix: string;
  readonly layout: Layout;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  readonly onListed: (count: number) => void;
  /** A path or folder the layout leaves out. */
  readonly onLeftOut: (path: string) => void;
}

/** Batches of objects, one per page, without what the layout leaves out. */
export async function* listPaths(options: ListingOptions): AsyncGenerator<readonly ListedObject[]> {
  const { driver, keyPrefix, layout } = options;
  let previous: string | undefined;
  for await (const page of pagesWithRetry(options)) {
    options.onListed(page.objects.length);
    const batch: ListedObject[] = [];
    for (const info of page.objects) {
      const path = info.key.slice(keyPrefix.length);
      if (previous !== undefined && compareUtf8(previous, path) >= 0) {
        throw outOfOrder(driver, keyPrefix + previous, info.key);
      }
      previous = path;
      if (layout.leavesOut(path, info.sizeBytes)) options.onLeftOut(path);
      else batch.push({ path, info });
    }
    if (batch.length > 0) yield batch;
  }
}

/** A listing that breaks off goes on behind the last key it gave; each page given is progress and renews the patience. */
async function* pagesWithRetry(options: ListingOptions): AsyncGenerator<ListPage> {
  const { driver, keyPrefix, patience, signal } = options;
  // A file system is asked again for the same folder when its listing starts anew: named once.
  const pruned = new Set<string>();
  const prune = (folder: string): boolean => {
    const path = folder.slice(keyPrefix.length);
    if (!folder.startsWith(keyPrefix) || !options.layout.leavesOut(path, undefined)) return false;
    if (!pruned.has(path)) options.onLeftOut(path);
    if (pruned.size < PRUNED_REMEMBERED_MAX) pruned.add(path);
    return true;
  };
  let after: string | undefined;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const query = { prefix: keyPrefix, prune, ...(after === undefined ? {} : { after }) };
      for await (const page of driver.list({ signal }, query)) {
        signal.throwIfAborted();
        attempt = 1;
        after = page.objects.at(-1)?.key ?? after;
        yield page;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransient(error) || attempt >= patience.attemptsMax) throw error;
      await waitBeforeAttempt(attempt, error, patience, signal);
    }
  }
}

/** Bounds the memory of the set above; beyond it a repeated listing may count a folder twice. */
const PRUNED_REMEMBERED_MAX = 10_000;

function outOfOrder(driver: StorageDriver, previous: string, key: string): StorageError {
  return new StorageError(
    `Cannot compare the listing of ${driver.name}: "${key}" came behind "${previous}", which is not ascending order`,
    {
      kind: 'unsupported',
      backend: driver.name,
      operation: 'list',
      key,
      isTransient: false,
      scope: 'backend',
    },
    { hint: 'This version verifies backends that list keys in ascending byte order only' },
  );
}
