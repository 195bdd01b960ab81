/** Pages of a store in memory: flat or grouped, as an object store gives them. */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { CallContext, ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import type { MemoryStore } from './memory-store.ts';

export async function* listStore(
  store: MemoryStore,
  ctx: CallContext,
  query: ListQuery,
  pageObjectsMax: number,
): AsyncGenerator<ListPage> {
  let objects: ObjectInfo[] = [];
  let prefixes: string[] = [];
  for (const entry of entriesOf(store, query)) {
    ctx.signal.throwIfAborted();
    if ('prefix' in entry) prefixes.push(entry.prefix);
    else objects.push(entry.object);
    if (objects.length + prefixes.length < pageObjectsMax) continue;
    yield { objects, prefixes };
    objects = [];
    prefixes = [];
  }
  ctx.signal.throwIfAborted();
  if (objects.length + prefixes.length > 0) yield { objects, prefixes };
}

type Entry = { readonly prefix: string } | { readonly object: ObjectInfo };

/** The keys are those of the first page; what is removed before its turn is left out. */
function* entriesOf(store: MemoryStore, query: ListQuery): Generator<Entry> {
  let group: string | undefined;
  for (const key of store.keys()) {
    if (!key.startsWith(query.prefix)) continue;
    if (query.after !== undefined && compareUtf8(key, query.after) <= 0) continue;
    const stored = store.get(key);
    if (stored === undefined) continue;
    const cut = query.delimiter === undefined ? -1 : key.indexOf(query.delimiter, query.prefix.length);
    if (cut < 0) {
      const { md5, version } = stored;
      yield { object: { key, sizeBytes: stored.bytes.byteLength, md5, version } };
    } else if (group !== key.slice(0, cut + 1)) {
      group = key.slice(0, cut + 1);
      yield { prefix: group };
    }
  }
}
