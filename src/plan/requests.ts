/** How many requests a copy makes: a mirror of what `copy/` does with an object, held to it by tests. */
import { objectBytesMaxOf, type PartLimits, planParts } from '../copy/plan-parts.ts';
import { OPERATIONS, type Operation, SIDES, type Side } from '../core/counters.ts';
import type { ServerSideSummary } from '../core/job.ts';
import type { CallContext, ListPage, ListQuery, StorageDriver } from '../drivers/driver.ts';

export interface TransferLimits {
  readonly partBytes: number;
  readonly slabBytesMax: number;
  readonly writeBytesMax: number;
  readonly multipart: PartLimits;
  /** Of one copy inside the service; absent where it makes none. */
  readonly copyBytesMax?: number;
}

/** A driver opened for reading only may have no way to write in parts; only file systems are so, and bound nothing. */
const NO_LIMITS = { partBytesMin: 1, partBytesMax: Number.MAX_SAFE_INTEGER, partsMax: 1_000_000 };

export function transferLimits(
  target: StorageDriver,
  memory: { readonly partBytes: number; readonly slabBytesMax: number },
): TransferLimits {
  return {
    ...memory,
    writeBytesMax: target.facts.writeBytesMax,
    multipart: target.multipart ?? NO_LIMITS,
    ...(target.serverCopy ? { copyBytesMax: target.serverCopy.copyBytesMax } : {}),
  };
}

/** Requests to the source and the target for one object. */
export interface ObjectRequests {
  readonly reads: number;
  /** 0: in one write. */
  readonly parts: number;
  /** The service copies it by itself: then these instead. */
  readonly inside?: InsideRequests;
}

/** Beside one look at the object in the source. All go to the target. */
export interface InsideRequests {
  readonly copies: number;
  /** Uploads: of an object in parts, and the mark of one that is read back. */
  readonly begins: number;
  readonly completes: number;
  readonly aborts: number;
  /** Of the copy. */
  readonly reads: number;
}

/** How `copy/` would have the service copy an object by itself; undefined where it would be streamed. */
export function requestsInside(
  sizeBytes: number,
  way: ServerSideSummary['way'],
  limits: TransferLimits,
): InsideRequests | undefined {
  const { partBytes, slabBytesMax, writeBytesMax, copyBytesMax } = limits;
  if (copyBytesMax === undefined || way === 'none') return undefined;
  const isWhole = sizeBytes <= copyBytesMax;
  if (way === 'service' && isWhole) return { copies: 1, begins: 0, completes: 0, aborts: 0, reads: 0 };
  if (sizeBytes <= Math.min(partBytes, slabBytesMax, writeBytesMax)) return undefined;
  const copies = Math.ceil(sizeBytes / copyBytesMax);
  const more = isWhole ? { begins: 1, completes: 0 } : { begins: 2, completes: 1 };
  return { copies, ...more, aborts: 1, reads: readsOf(sizeBytes, limits) };
}

/** Undefined for an object that no upload of this target can take. */
export function requestsToCopy(sizeBytes: number, limits: TransferLimits): ObjectRequests | undefined {
  const { partBytes, slabBytesMax, writeBytesMax, multipart } = limits;
  if (sizeBytes <= Math.min(partBytes, slabBytesMax, writeBytesMax)) return { reads: 1, parts: 0 };
  if (sizeBytes > objectBytesMaxOf(multipart)) return undefined;
  const parts = planParts(sizeBytes, partBytes, multipart);
  let reads = 0;
  for (const part of parts) {
    // A part that no slab can hold is read twice, range by range.
    reads += part.sizeBytes <= slabBytesMax ? 1 : 2 * readsOf(part.sizeBytes, limits);
  }
  return { reads, parts: parts.length };
}

/** Requests that read so many bytes through one slab at a time. */
export function readsOf(sizeBytes: number, { partBytes, slabBytesMax }: TransferLimits): number {
  return Math.ceil(sizeBytes / Math.min(partBytes, slabBytesMax));
}

/** Only operations that are made at all. */
export type RequestCounts = Readonly<Record<Side, Readonly<Partial<Record<Operation, number>>>>>;

export class Requests {
  /** Of comparing, over the counting drivers. */
  readonly bytesRead: Record<Side, number> = { source: 0, target: 0 };
  readonly #counts: Record<Side, Map<Operation, number>> = { source: new Map(), target: new Map() };

  add(side: Side, operation: Operation, count = 1): void {
    this.#counts[side].set(operation, this.of(side, operation) + count);
  }

  /** @param sign -1 takes it back. */
  addCopy({ reads, parts, inside }: ObjectRequests, sign: 1 | -1 = 1): void {
    if (inside) {
      this.#addInside(inside, sign);
      return;
    }
    this.add('source', 'read', sign * reads);
    if (parts === 0) {
      this.add('target', 'write', sign);
      return;
    }
    this.add('target', 'begin', sign);
    this.add('target', 'part', sign * parts);
    this.add('target', 'complete', sign);
  }

  #addInside({ copies, begins, completes, aborts, reads }: InsideRequests, sign: 1 | -1): void {
    this.add('source', 'stat', sign);
    this.add('target', 'copy', sign * copies);
    this.add('target', 'begin', sign * begins);
    this.add('target', 'complete', sign * completes);
    this.add('target', 'abort', sign * aborts);
    this.add('target', 'read', sign * reads);
  }

  addAll(other: Requests): void {
    for (const side of SIDES) {
      for (const operation of OPERATIONS) this.add(side, operation, other.of(side, operation));
    }
  }

  of(side: Side, operation: Operation): number {
    return this.#counts[side].get(operation) ?? 0;
  }

  counts(): RequestCounts {
    const of = (side: Side) =>
      Object.fromEntries(
        OPERATIONS.filter((operation) => this.of(side, operation) > 0).map((operation) => [
          operation,
          this.of(side, operation),
        ]),
      );
    return { source: of('source'), target: of('target') };
  }
}

/** As many names as S3 puts on a page; one that is full is followed by another, which is asked for in advance. */
const FULL_PAGE = 1_000;

/** Counts what listings and reads of this driver cost: a copy makes the same ones. */
export function withRequests(driver: StorageDriver, side: Side, requests: Requests): StorageDriver {
  return {
    kind: driver.kind,
    name: driver.name,
    facts: driver.facts,
    ...(driver.multipart ? { multipart: driver.multipart } : {}),
    list: (ctx, query) => countedList(driver, ctx, query, () => requests.add(side, 'list')),
    stat: (ctx, key) => {
      requests.add(side, 'stat');
      return driver.stat(ctx, key);
    },
    read: async (ctx, key, into, options) => {
      requests.add(side, 'read');
      const result = await driver.read(ctx, key, into, options);
      requests.bytesRead[side] += result.bytesRead;
      return result;
    },
    write: () => Promise.reject(new Error('A plan writes nothing')),
    remove: () => Promise.reject(new Error('A plan removes nothing')),
    flush: () => Promise.reject(new Error('A plan has nothing to flush')),
    close: () => driver.close(),
  };
}

async function* countedList(
  driver: StorageDriver,
  ctx: CallContext,
  query: ListQuery,
  count: () => void,
): AsyncGenerator<ListPage> {
  let pages = 0;
  let isFull = false;
  let isEnded = false;
  try {
    for await (const page of driver.list(ctx, query)) {
      pages += 1;
      count();
      isFull = page.objects.length + page.prefixes.length >= FULL_PAGE;
      yield page;
    }
    isEnded = true;
    // A listing of nothing was asked for as well.
    if (pages === 0) count();
  } finally {
    if (!isEnded && isFull && driver.kind !== 'fs') count();
  }
}
