/** A driver that is right but for one planted fault. */
import assert from 'node:assert/strict';
import { StorageError } from '../../src/core/errors.ts';
import type {
  CallContext,
  ListPage,
  ListQuery,
  MultipartFacet,
  ObjectInfo,
  StorageDriver,
} from '../../src/drivers/driver.ts';

export interface Fault {
  readonly name: string;
  /** Cases that must notice; others may. */
  readonly noticedBy: readonly string[];
  plant(driver: StorageDriver): Partial<StorageDriver>;
}

/** Signals that never abort, for drivers that ignore theirs. */
export function deaf(): CallContext {
  return { signal: new AbortController().signal };
}

/** Lists through a change of the objects of each page. */
export function listingWith(
  driver: StorageDriver,
  change: (objects: readonly ObjectInfo[], query: ListQuery) => readonly ObjectInfo[],
): Partial<StorageDriver> {
  return {
    async *list(ctx, query) {
      for await (const page of driver.list(ctx, query))
        yield { ...page, objects: change(page.objects, query) };
    },
  };
}

export async function pagesOf(
  driver: StorageDriver,
  ctx: CallContext,
  query: ListQuery,
): Promise<ListPage[]> {
  const pages: ListPage[] = [];
  for await (const page of driver.list(ctx, query)) pages.push(page);
  return pages;
}

export function partsWith(
  driver: StorageDriver,
  change: (inner: MultipartFacet) => Partial<MultipartFacet>,
): Partial<StorageDriver> {
  const inner = driver.multipart;
  assert.ok(inner);
  return { multipart: bound(inner, change(inner)) };
}

/** The object with some members replaced; class instances lose their methods to a spread. */
export function bound<T extends object>(whole: T, changes: Partial<T>): T {
  return new Proxy(whole, {
    get: (target, name) => {
      const value: unknown = Reflect.get(name in changes ? changes : target, name);
      return typeof value === 'function' && !(name in changes) ? value.bind(target) : value;
    },
  });
}

export function refusal(driver: StorageDriver, kind: 'not-found' | 'corrupt', key: string): StorageError {
  const details = {
    kind,
    backend: driver.name,
    operation: 'stat',
    key,
    isTransient: false,
    scope: 'object',
  } as const;
  return new StorageError('planted', details);
}
