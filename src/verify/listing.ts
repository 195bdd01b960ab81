/** One side's flat listing as logical paths in ascending UTF-8 order, or an error: never a wrong order. */
import { compareUtf8 } from '../core/byte-order.ts';
import { isStorageError, StorageError } from '../core/errors.ts';
import type { ListQuery, ObjectInfo, StorageDriver } from '../drivers/driver.ts';
import type { Layout } from '../layout/layout.ts';

export interface ListedObject {
  readonly path: string;
  readonly info: ObjectInfo;
}

export interface ListingOptions {
  readonly driver: StorageDriver;
  /** Everything before the logical path in this side's keys. */
  readonly keyPrefix: string;
  readonly layout: Layout;
  readonly signal: AbortSignal;
  readonly onListed: (count: number) => void;
  /** A path or folder the layout leaves out. */
  readonly onLeftOut: (path: string) => void;
  /** Told once of each folder or file that cannot be listed; the listing goes on without it. */
  readonly onUnlistable: (path: string, error: StorageError) => void;
}

/** Batches of objects, one per page, without what the layout leaves out. */
export async function* listPaths(options: ListingOptions): AsyncGenerator<readonly ListedObject[]> {
  const { driver, keyPrefix, layout } = options;
  let previous: string | undefined;
  const asked = onlyOnce(options);
  const query = { prefix: keyPrefix, ...asked };
  for await (const page of driver.list({ signal: options.signal }, query)) {
    options.signal.throwIfAborted();
    options.onListed(page.objects.length);
    const batch: ListedObject[] = [];
    for (const info of page.objects) {
      const path = info.key.slice(keyPrefix.length);
      if (previous !== undefined && compareUtf8(previous, path) >= 0) {
        throw outOfOrder(driver, keyPrefix + previous, info.key);
      }
      previous = path;
      const looksLeftOut = layout.leavesOut(path, info.sizeBytes, info.isPlaceholder);
      if (looksLeftOut && (!info.isSizeUnsure || (await isLeftOut(options, path, info.key)))) {
        options.onLeftOut(path);
      } else batch.push({ path, info });
    }
    if (batch.length > 0) yield batch;
  }
}

/** Where it matters whether an object is empty, and the listing does not tell for sure, the object is asked. */
async function isLeftOut(
  { driver, layout, signal }: ListingOptions,
  path: string,
  key: string,
): Promise<boolean> {
  if (layout.leavesOut(path, undefined)) return true;
  try {
    const { sizeBytes } = await driver.stat({ signal }, key);
    return layout.leavesOut(path, sizeBytes);
  } catch (error) {
    // Gone since it was listed: nobody misses it.
    if (isStorageError(error, 'not-found')) return true;
    throw error;
  }
}

/** What is asked about again, because its listing broke off and was begun anew, is named once. */
function onlyOnce(options: ListingOptions): Required<Pick<ListQuery, 'prune' | 'onUnlistable'>> {
  const { keyPrefix, layout } = options;
  const named = new Set<string>();
  const once = (path: string, tell: () => void): true => {
    if (!named.has(path)) tell();
    if (named.size < REMEMBERED_MAX) named.add(path);
    return true;
  };
  return {
    prune: (folder) => {
      const path = folder.slice(keyPrefix.length);
      return layout.staysOutOf(path) && once(path, () => options.onLeftOut(path));
    },
    onUnlistable: (name, error) => {
      const path = name.slice(keyPrefix.length);
      return once(path, () => {
        // What belongs to the file system is often its owner's alone (`lost+found`), and nobody misses it.
        if (layout.leavesOut(path, undefined)) options.onLeftOut(path);
        else options.onUnlistable(path, error);
      });
    },
  };
}

/** Bounds the memory of the set above; beyond it a repeated listing may count a folder twice. */
const REMEMBERED_MAX = 10_000;

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
