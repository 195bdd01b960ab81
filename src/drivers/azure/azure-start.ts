/**
 * Listings that begin at a key: `startFrom` of List Blobs, known since service version 2026-02-06
 * (https://github.com/Azure/azure-rest-api-specs/pull/34846; the key itself is listed, too). A service of another version
 * refuses it or lists from the beginning, so none is relied on that was not seen to begin where it was told to.
 */
import { compareUtf8 } from '../../core/byte-order.ts';
import { isStorageError } from '../../core/errors.ts';
import type { ListPage, ObjectInfo } from '../driver.ts';

export const START_VERSION = '2026-02-06';

/** From here on the orders of UTF-8 and UTF-16 differ. */
const ORDERED_OTHERWISE = /[\ud800-\uffff]/;

/** A name that lies before everything behind `after`, in whichever order; undefined where that is all of the prefix. */
export function startOf(prefix: string, after: string): string | undefined {
  const end = after.search(ORDERED_OTHERWISE);
  const start = end < 0 ? after : after.slice(0, end);
  return start.length > prefix.length && start.startsWith(prefix) ? start : undefined;
}

export class StartProof {
  #isKept: boolean | undefined;

  /** Was the service seen to begin where it was told to? */
  get isKept(): boolean {
    return this.#isKept === true;
  }

  /**
   * Compares a page from the beginning with one that begins inside of it, at a name that need not exist. Asks once in all,
   * unless there was too little to see.
   * @param list gives the first page of what begins with the prefix, from a name on.
   */
  async look(prefix: string, list: (start: string | undefined) => Promise<ListPage>): Promise<boolean> {
    if (this.#isKept !== undefined) return this.#isKept;
    const { objects } = await list(undefined);
    const start = startWithin(prefix, objects);
    if (start === undefined) return false;
    const expected = objects.find(({ key }) => compareUtf8(key, start) >= 0)?.key ?? '';
    const found = await firstFrom(list, start);
    // A blob that came meanwhile may be before the one that is expected, in either order; of one that is gone nothing is learnt.
    if (found === undefined || compareUtf8(found, start) < 0) this.#isKept = false;
    else if (found <= expected && compareUtf8(found, expected) <= 0) this.#isKept = true;
    return this.isKept;
  }
}

/** A name behind the first one of these, near the last one; undefined where there is none. */
function startWithin(prefix: string, objects: readonly ObjectInfo[]): string | undefined {
  const [first, last] = [objects[0]?.key ?? '', objects.at(-1)?.key ?? ''];
  return [startOf(prefix, last.slice(0, -1)), startOf(prefix, last)].find(
    (start) => start !== undefined && first < start && compareUtf8(first, start) < 0,
  );
}

/** Undefined where the service does not take the question. */
async function firstFrom(
  list: (start: string) => Promise<ListPage>,
  start: string,
): Promise<string | undefined> {
  try {
    return (await list(start)).objects[0]?.key;
  } catch (error) {
    if (isStorageError(error) && !error.details.isTransient) return undefined;
    throw error;
  }
}
