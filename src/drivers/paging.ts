/** What paged listings have in common. */
import { compareUtf8 } from '../core/byte-order.ts';
import type { ListPage, ListQuery, ObjectInfo } from './driver.ts';

interface FetchedPage {
  readonly page: ListPage;
  /** Absent behind the last page. */
  readonly next?: string;
}

/** Asks for the next page while the caller works on this one. */
export async function* prefetchedPages(
  fetchPage: (token: string | undefined) => Promise<FetchedPage>,
): AsyncGenerator<ListPage> {
  let pending = fetchPage(undefined);
  for (;;) {
    const { page, next } = await pending;
    if (next === undefined) {
      yield page;
      return;
    }
    pending = fetchPage(next);
    // A caller that stops early never awaits this one; its failure is then nobody's.
    pending.catch(() => undefined);
    yield page;
  }
}

/** Does every key of the page begin with the prefix ? A server that errs here would make us lose keys. */
export function isWithin(page: ListPage, query: ListQuery): boolean {
  const { prefix } = query;
  return (
    page.objects.every((object) => object.key.startsWith(prefix)) &&
    page.prefixes.every((one) => one.startsWith(prefix))
  );
}

/** Servers that do not know start-after begin at the beginning; some repeat the key itself. */
export function objectsBehind(
  objects: readonly ObjectInfo[],
  after: string | undefined,
): readonly ObjectInfo[] {
  return after === undefined ? objects : objects.filter(({ key }) => compareUtf8(key, after) > 0);
}
