/** Counts every request of a driver, with its outcome and how long it took. Innermost wrapper: one count per attempt. */
import type { CounterWriter, Operation, Outcome, Side } from '../../core/counters.ts';
import { StorageError } from '../../core/errors.ts';
import type {
  CallContext,
  ListPage,
  ListQuery,
  MultipartFacet,
  ReadResult,
  ServerCopyFacet,
  StorageDriver,
} from '../driver.ts';

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof StorageError)) return 'network';
  const { kind, status } = error.details;
  if (kind === 'throttled') return 'throttled';
  if (status === undefined)
    return kind === 'unavailable' || kind === 'timeout' || kind === 'corrupt' ? 'network' : 'client_error';
  return status >= 500 ? 'server_error' : 'client_error';
}

/** @param weigh says how many bytes a result moved; undefined for one that no request stands behind. */
type Observe = <T>(
  operation: Operation,
  call: () => Promise<T>,
  weigh?: (result: T) => number | undefined,
) => Promise<T>;

export function withCounters(driver: StorageDriver, side: Side, counters: CounterWriter): StorageDriver {
  const observe: Observe = async (operation, call, weigh) => {
    const start = performance.now();
    let result: Awaited<ReturnType<typeof call>>;
    try {
      result = await call();
    } catch (error) {
      counters.request(side, operation, outcomeOf(error), (performance.now() - start) / 1000);
      throw error;
    }
    const bytes = weigh ? weigh(result) : 0;
    if (bytes !== undefined) counters.request(side, operation, 'ok', (performance.now() - start) / 1000);
    if (bytes) counters.wire(side, bytes);
    return result;
  };
  const { multipart, streamUpload, serverCopy } = driver;
  return {
    kind: driver.kind,
    name: driver.name,
    facts: driver.facts,
    ...(driver.binding ? { binding: driver.binding } : {}),
    ...(multipart ? { multipart: observedMultipart(multipart, observe) } : {}),
    ...(serverCopy ? { serverCopy: observedServerCopy(serverCopy, observe) } : {}),
    ...(driver.addresses ? { addresses: driver.addresses } : {}),
    ...(streamUpload
      ? {
          streamUpload: {
            upload: (ctx, key, body, options) =>
              observe(
                'write',
                () => streamUpload.upload(ctx, key, body, options),
                () => body.sizeBytes,
              ),
          },
        }
      : {}),
    list: (ctx, query) => observedList(driver, ctx, query, observe),
    stat: (ctx, key) => observe('stat', () => driver.stat(ctx, key)),
    read: (ctx, key, into, options) => observe('read', () => driver.read(ctx, key, into, options), bytesRead),
    write: (ctx, key, body, options) =>
      observe(
        'write',
        () => driver.write(ctx, key, body, options),
        () => body.sizeBytes,
      ),
    remove: (ctx, key) => observe('remove', () => driver.remove(ctx, key)),
    flush: (ctx, scope) => observe('flush', () => driver.flush(ctx, scope)),
    close: () => driver.close(),
  };
}

function observedMultipart(multipart: MultipartFacet, observe: Observe): MultipartFacet {
  return {
    partBytesMin: multipart.partBytesMin,
    partBytesMax: multipart.partBytesMax,
    partsMax: multipart.partsMax,
    ...(multipart.objectBytesMax === undefined ? {} : { objectBytesMax: multipart.objectBytesMax }),
    partChecksum: multipart.partChecksum,
    begin: (ctx, key) => observe('begin', () => multipart.begin(ctx, key)),
    putPart: (ctx, upload, part) =>
      observe(
        'part',
        () => multipart.putPart(ctx, upload, part),
        () => part.body.sizeBytes,
      ),
    complete: (ctx, upload, parts, options) =>
      observe('complete', () => multipart.complete(ctx, upload, parts, options)),
    abort: (ctx, upload) => observe('abort', () => multipart.abort(ctx, upload)),
    listParts: (ctx, upload) => observe('list', () => multipart.listParts(ctx, upload)),
    listUploads: (ctx, prefix, max) => observe('list', () => multipart.listUploads(ctx, prefix, max)),
  };
}

/** Nothing of an object crosses the wire. */
function observedServerCopy(facet: ServerCopyFacet, observe: Observe): ServerCopyFacet {
  return {
    copiesFrom: facet.copiesFrom,
    copyBytesMax: facet.copyBytesMax,
    look: (ctx, key) => observe('stat', () => facet.look(ctx, key)),
    copy: (ctx, source, key) => observe('copy', () => facet.copy(ctx, source, key)),
    begin: (ctx, key) => observe('begin', () => facet.begin(ctx, key)),
    copyPart: (ctx, upload, source, part) => observe('copy', () => facet.copyPart(ctx, upload, source, part)),
    complete: (ctx, upload, parts, options) =>
      observe('complete', () => facet.complete(ctx, upload, parts, options)),
  };
}

async function* observedList(
  driver: StorageDriver,
  ctx: CallContext,
  query: ListQuery,
  observe: Observe,
): AsyncGenerator<ListPage> {
  const pages = driver.list(ctx, query)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await observe('list', () => pages.next(), isPage);
      if (step.done) return;
      yield step.value;
    }
  } finally {
    // A caller that stops early must not leave the driver's listing open.
    await pages.return?.();
  }
}

/** That nothing follows the last page stands in that page: it takes no request to learn it. */
function isPage(step: IteratorResult<ListPage>): 0 | undefined {
  return step.done === true ? undefined : 0;
}

function bytesRead(result: ReadResult): number {
  return result.bytesRead;
}
