/** `--bandwidth` and `--requests`: each thread gets its share of both and keeps to it by waiting before a request. */
import { pause } from '../../transport/pause.ts';
import type {
  CallContext,
  FlushScope,
  ListPage,
  MultipartFacet,
  ServerCopyFacet,
  StorageDriver,
} from '../driver.ts';

/**
 * A token bucket that may go into debt: a request larger than the burst waits until it is paid for and goes out whole.
 * Holds a quarter of a second's worth, so that the limit is kept over any second.
 */
export class RateLimit {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;
  readonly #now: () => number;

  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#perMs = perSecond / 1000;
    this.#burst = Math.max(1, perSecond / 4);
    this.#tokens = this.#burst;
    this.#now = now;
    this.#atMs = now();
  }

  /** Takes `amount` and says how many milliseconds to wait before using it. */
  take(amount: number): number {
    const now = this.#now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#atMs) * this.#perMs);
    this.#atMs = now;
    this.#tokens -= amount;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }
}

export interface Limits {
  readonly requests: RateLimit | undefined;
  readonly bytes: RateLimit | undefined;
}

export function withLimits(driver: StorageDriver, limits: Limits): StorageDriver {
  if (!limits.requests && !limits.bytes) return driver;
  const wait = async (ctx: CallContext, bytes: number): Promise<void> => {
    const delay = Math.max(limits.requests?.take(1) ?? 0, bytes > 0 ? (limits.bytes?.take(bytes) ?? 0) : 0);
    if (delay >= 1) await pause(delay, ctx.signal);
  };
  const { multipart, serverCopy } = driver;
  return {
    ...passed(driver),
    ...(multipart ? { multipart: limitedMultipart(multipart, wait) } : {}),
    ...(serverCopy ? { serverCopy: limitedServerCopy(serverCopy, wait) } : {}),
    list: (ctx, query) => limitedList(driver.list(ctx, query), () => wait(ctx, 0)),
    stat: (ctx, key) => wait(ctx, 0).then(() => driver.stat(ctx, key)),
    read: (ctx, key, into, options) =>
      wait(ctx, into.length).then(() => driver.read(ctx, key, into, options)),
    write: (ctx, key, body, options) =>
      wait(ctx, body.sizeBytes).then(() => driver.write(ctx, key, body, options)),
    remove: (ctx, key) => wait(ctx, 0).then(() => driver.remove(ctx, key)),
  };
}

function passed(driver: StorageDriver) {
  return {
    kind: driver.kind,
    name: driver.name,
    facts: driver.facts,
    ...(driver.binding ? { binding: driver.binding } : {}),
    ...(driver.streamUpload ? { streamUpload: driver.streamUpload } : {}),
    flush: (ctx: CallContext, scope?: FlushScope) => driver.flush(ctx, scope),
    close: () => driver.close(),
  };
}

type Wait = (ctx: CallContext, bytes: number) => Promise<void>;

function limitedMultipart(multipart: MultipartFacet, wait: Wait): MultipartFacet {
  return {
    partBytesMin: multipart.partBytesMin,
    partBytesMax: multipart.partBytesMax,
    partsMax: multipart.partsMax,
    partChecksum: multipart.partChecksum,
    begin: (ctx, key) => wait(ctx, 0).then(() => multipart.begin(ctx, key)),
    putPart: (ctx, upload, part) =>
      wait(ctx, part.body.sizeBytes).then(() => multipart.putPart(ctx, upload, part)),
    complete: (ctx, upload, parts, options) =>
      wait(ctx, 0).then(() => multipart.complete(ctx, upload, parts, options)),
    abort: (ctx, upload) => multipart.abort(ctx, upload),
    listParts: (ctx, upload) => wait(ctx, 0).then(() => multipart.listParts(ctx, upload)),
    listUploads: (ctx, prefix, max) => wait(ctx, 0).then(() => multipart.listUploads(ctx, prefix, max)),
  };
}

/** What the service moves by itself takes none of the bandwidth. */
function limitedServerCopy(facet: ServerCopyFacet, wait: Wait): ServerCopyFacet {
  return {
    copyBytesMax: facet.copyBytesMax,
    look: (ctx, key) => wait(ctx, 0).then(() => facet.look(ctx, key)),
    copy: (ctx, source, key) => wait(ctx, 0).then(() => facet.copy(ctx, source, key)),
    begin: (ctx, key) => wait(ctx, 0).then(() => facet.begin(ctx, key)),
    copyPart: (ctx, upload, source, part) =>
      wait(ctx, 0).then(() => facet.copyPart(ctx, upload, source, part)),
    complete: (ctx, upload, parts, options) =>
      wait(ctx, 0).then(() => facet.complete(ctx, upload, parts, options)),
  };
}

async function* limitedList(
  pages: AsyncIterable<ListPage>,
  wait: () => Promise<void>,
): AsyncGenerator<ListPage> {
  const iterator = pages[Symbol.asyncIterator]();
  try {
    for (;;) {
      await wait();
      const step = await iterator.next();
      if (step.done) return;
      yield step.value;
    }
  } finally {
    await iterator.return?.();
  }
}
