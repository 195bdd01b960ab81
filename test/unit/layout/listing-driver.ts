import type { CallContext, ListPage, ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';

/** A storage of which nothing but names can be asked; remembers what was listed. */
export class ListingDriver implements Pick<StorageDriver, 'name' | 'list'> {
  readonly name = 's3://bucket/root';
  readonly queries: ListQuery[] = [];
  readonly #keys: readonly string[];

  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /** What cannot be asked of it throws when it is. */
  asDriver(): StorageDriver {
    return new Proxy(this as unknown as StorageDriver, {
      get: (_, name) => {
        if (name === 'name') return this.name;
        if (name === 'list') return (ctx: CallContext, query: ListQuery) => this.list(ctx, query);
        throw new Error(`A layout needs no "${String(name)}"`);
      },
    });
  }

  /** One entry a page, the first page empty, so that callers cannot rely on the first one. */
  async *list(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    ctx.signal.throwIfAborted();
    this.queries.push(query);
    yield { objects: [], prefixes: [] };
    const seen = new Set<string>();
    for (const key of this.#keys.filter((one) => one.startsWith(query.prefix))) {
      const slash = query.delimiter === undefined ? -1 : key.indexOf(query.delimiter, query.prefix.length);
      if (slash < 0) {
        yield { objects: [{ key, sizeBytes: key.endsWith('/') ? 0 : 1 }], prefixes: [] };
        continue;
      }
      const prefix = key.slice(0, slash + 1);
      if (!seen.has(prefix)) yield { objects: [], prefixes: [prefix] };
      seen.add(prefix);
    }
  }
}
