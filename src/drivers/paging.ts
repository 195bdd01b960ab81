/** What paged listings have in common: they are fetched ahead, and must be what was asked for and have an end. */
import { compareUtf8 } from '../core/byte-order.ts';
import type { ListPage, ListQuery, ObjectInfo } from './driver.ts';
import { type HttpCall, malformed } from './http/call.ts';

interface FetchedPage {
  readonly page: ListPage;
  /** Absent behind the last page. */
  readonly next?: string;
}

/** So many pages in a row without a single entry are no listing any more; a service that filters may send some. */
const EMPTY_PAGES_MAX = 10_000;

/**
 * Asks for the next page while the caller works on this one. A listing that names what was not asked for, or never
 * ends because it goes in a circle or gives nothing, is refused with a transient StorageError of kind `corrupt`.
 */
export async function* prefetchedPages(
  query: ListQuery,
  call: HttpCall,
  fetchPage: (token: string | undefined) => Promise<FetchedPage>,
): AsyncGenerator<ListPage> {
  const tokens = new CircleWatch();
  const keys = new CircleWatch();
  let emptyPages = 0;
  let hasBegun = query.after === undefined;
  const fetch = async (token: string | undefined): Promise<FetchedPage> => {
    const { page, next } = await fetchPage(token);
    if (!isWithin(page, query)) throw malformed(call, 'it names keys not asked for');
    const wanted = hasBegun ? page : { ...page, objects: objectsBehind(page, query.after) };
    // What comes before `after` from here on is out of order, and whoever checks the order must see it.
    hasBegun ||= wanted.objects.length > 0;
    if (next === undefined) return { page: { ...wanted, isLast: true } };
    if (next === token) throw malformed(call, 'the listing goes on where it began');
    const first = page.objects[0]?.key;
    emptyPages = first === undefined && page.prefixes.length === 0 ? emptyPages + 1 : 0;
    if (emptyPages > EMPTY_PAGES_MAX) throw malformed(call, `${emptyPages} pages in a row hold nothing`);
    // A server may well make up a new token each time, but no key is listed twice.
    if (tokens.closes(next) || (first !== undefined && keys.closes(first)))
      throw malformed(call, 'the listing goes in a circle');
    return { page: wanted, next };
  };
  let pending = fetch(undefined);
  for (;;) {
    const { page, next } = await pending;
    if (next === undefined) {
      yield page;
      return;
    }
    pending = fetch(next);
    // A caller that stops early never awaits this one; its failure is then nobody's.
    pending.catch(() => undefined);
    yield page;
  }
}

/**
 * Notices that a sequence of names repeats itself, holding one of them: the one seen last at a power of two (Brent). A
 * circle of any length is noticed before it was gone round three times.
 */
export class CircleWatch {
  #held: string | undefined;
  #steps = 0;
  #stepsMax = 1;

  closes(name: string): boolean {
    if (name === this.#held) return true;
    this.#steps += 1;
    if (this.#steps >= this.#stepsMax) {
      this.#held = name;
      this.#steps = 0;
      this.#stepsMax *= 2;
    }
    return false;
  }
}

/** Does every key of the page begin with the prefix ? A server that errs here would make us lose keys. */
function isWithin({ objects, prefixes, isAscending }: ListPage, { prefix }: ListQuery): boolean {
  const isOurs = ({ key }: ObjectInfo): boolean => key.startsWith(prefix);
  const first = objects[0];
  const last = objects.at(-1);
  // All that sorts between two keys with this prefix begins with it, too.
  const areOurs =
    isAscending && first && last ? isOurs(first) && isOurs(last) : objects.every((object) => isOurs(object));
  return areOurs && prefixes.every((one) => one.startsWith(prefix));
}

/** Servers that do not know start-after begin at the beginning; some repeat the key itself. What they begin with is cut off. */
function objectsBehind({ objects }: ListPage, after: string | undefined): readonly ObjectInfo[] {
  if (after === undefined) return objects;
  const from = objects.findIndex(({ key }) => compareUtf8(key, after) > 0);
  return from < 0 ? [] : objects.slice(from);
}
