/** Leads every call of a driver through a runner that may make it more than once. */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { Operation } from '../../core/counters.ts';
import type {
  Body,
  CallContext,
  ListPage,
  ListQuery,
  MultipartFacet,
  ServerCopyFacet,
  StorageDriver,
  StreamUploadFacet,
} from '../driver.ts';

/** The attempt is told whether its failure would be the call's. */
export type Run = <T>(
  ctx: CallContext,
  operation: Operation,
  attempt: (isLast: boolean) => Promise<T>,
) => Promise<T>;

export function retriedDriver(driver: StorageDriver, run: Run): StorageDriver {
  const { multipart, binding, streamUpload, serverCopy } = driver;
  return {
    kind: driver.kind,
    name: driver.name,
    facts: driver.facts,
    ...(binding
      ? {
          binding: {
            probe: (ctx, prefix, options) => run(ctx, 'write', () => binding.probe(ctx, prefix, options)),
          },
        }
      : {}),
    ...(streamUpload ? { streamUpload: retriedUpload(streamUpload, run) } : {}),
    ...(multipart ? { multipart: retriedMultipart(multipart, run) } : {}),
    ...(serverCopy ? { serverCopy: retriedServerCopy(serverCopy, run) } : {}),
    ...(driver.addresses ? { addresses: driver.addresses } : {}),
    list: (ctx, query) => retriedList(driver, ctx, query, run),
    stat: (ctx, key) => run(ctx, 'stat', () => driver.stat(ctx, key)),
    read: (ctx, key, into, options) => run(ctx, 'read', () => driver.read(ctx, key, into, options)),
    write: (ctx, key, body, options) =>
      sending(run, ctx, 'write', body, (sent) => driver.write(ctx, key, sent, options)),
    remove: (ctx, key) => run(ctx, 'remove', () => driver.remove(ctx, key)),
    flush: (ctx, scope) => run(ctx, 'flush', () => driver.flush(ctx, scope)),
    close: () => driver.close(),
  };
}

function retriedMultipart(multipart: MultipartFacet, run: Run): MultipartFacet {
  return {
    partBytesMin: multipart.partBytesMin,
    partBytesMax: multipart.partBytesMax,
    partsMax: multipart.partsMax,
    ...(multipart.objectBytesMax === undefined ? {} : { objectBytesMax: multipart.objectBytesMax }),
    partChecksum: multipart.partChecksum,
    begin: (ctx, key) => run(ctx, 'begin', () => multipart.begin(ctx, key)),
    putPart: (ctx, upload, part) =>
      sending(run, ctx, 'part', part.body, (body) => multipart.putPart(ctx, upload, { ...part, body })),
    complete: (ctx, upload, parts, options) =>
      run(ctx, 'complete', () => multipart.complete(ctx, upload, parts, options)),
    abort: (ctx, upload) => run(ctx, 'abort', () => multipart.abort(ctx, upload)),
    listParts: (ctx, upload) => run(ctx, 'list', () => multipart.listParts(ctx, upload)),
    listUploads: (ctx, prefix, max) => run(ctx, 'list', () => multipart.listUploads(ctx, prefix, max)),
  };
}

function retriedServerCopy(facet: ServerCopyFacet, run: Run): ServerCopyFacet {
  return {
    copiesFrom: facet.copiesFrom,
    copyBytesMax: facet.copyBytesMax,
    look: (ctx, key) => run(ctx, 'stat', () => facet.look(ctx, key)),
    copy: (ctx, source, key) => run(ctx, 'copy', () => facet.copy(ctx, source, key)),
    begin: (ctx, key) => run(ctx, 'begin', () => facet.begin(ctx, key)),
    copyPart: (ctx, upload, source, part) =>
      run(ctx, 'copy', () => facet.copyPart(ctx, upload, source, part)),
    complete: (ctx, upload, parts, options) =>
      run(ctx, 'complete', () => facet.complete(ctx, upload, parts, options)),
  };
}

/** A whole upload is one call: it makes its own parts, and what is repeated reads its source again. */
function retriedUpload({ upload }: StreamUploadFacet, run: Run): StreamUploadFacet {
  return {
    upload: (ctx, key, body, options) =>
      sending(run, ctx, 'write', body, (sent) => upload(ctx, key, sent, options)),
  };
}

/** A body that cannot be had is not the backend's failure, whatever the driver makes of it. */
class BodyFailed extends Error {
  constructor(cause: unknown) {
    super('The body failed', { cause });
  }
}

/** A body that is read from the other side has had its retries there: they must not be multiplied by those here. */
function sending<T>(
  run: Run,
  ctx: CallContext,
  operation: Operation,
  body: Body,
  send: (body: Body) => Promise<T>,
): Promise<T> {
  return body.bytes ? run(ctx, operation, () => send(body)) : sendingPieces(run, ctx, operation, body, send);
}

async function sendingPieces<T>(
  run: Run,
  ctx: CallContext,
  operation: Operation,
  body: Body,
  send: (body: Body) => Promise<T>,
): Promise<T> {
  let hasFailed = false;
  const watched: Body = {
    sizeBytes: body.sizeBytes,
    async *open() {
      hasFailed = false;
      try {
        yield* body.open();
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    },
  };
  const attempt = async (): Promise<T> => {
    try {
      return await send(watched);
    } catch (error) {
      throw hasFailed ? new BodyFailed(error) : error;
    }
  };
  try {
    return await run(ctx, operation, attempt);
  } catch (error) {
    throw error instanceof BodyFailed ? error.cause : error;
  }
}

/**
 * A listing that breaks goes on behind the last key it gave, so that no key comes twice and none is left out. One that
 * is not sorted, by its word or as it shows, begins anew instead: its keys come twice, but what lies "behind the last
 * key" of it is not what is missing. Common prefixes may come twice.
 */
async function* retriedList(
  driver: StorageDriver,
  ctx: CallContext,
  query: ListQuery,
  run: Run,
): AsyncGenerator<ListPage> {
  let isSorted = driver.facts.listOrder === 'bytes';
  let last = query.after;
  let isLastAttempt = false;
  const { onUnlistable } = query;
  // What may pass is asked for again first; the last attempt goes on without whatever it cannot list.
  const patient: ListQuery = onUnlistable
    ? {
        ...query,
        onUnlistable: (name, error) =>
          (!error.details.isTransient || isLastAttempt) && onUnlistable(name, error),
      }
    : query;
  let pages = driver.list(ctx, patient)[Symbol.asyncIterator]();
  let isBroken = false;
  const attempt = async (isLast: boolean): Promise<IteratorResult<ListPage>> => {
    isLastAttempt = isLast;
    if (isBroken) {
      const after = isSorted ? last : query.after;
      pages = driver.list(ctx, after === undefined ? patient : { ...patient, after })[Symbol.asyncIterator]();
    }
    isBroken = true;
    const step = await pages.next();
    isBroken = false;
    return step;
  };
  try {
    for (;;) {
      const step = await run(ctx, 'list', attempt);
      if (step.done) return;
      const { objects, isAscending } = step.value;
      const [first] = objects;
      for (const { key } of isAscending && first ? [first] : objects) {
        isSorted &&= last === undefined || compareUtf8(last, key) < 0;
        last = key;
      }
      last = objects.at(-1)?.key ?? last;
      yield step.value;
    }
  } finally {
    // A caller that stops early must not leave an open folder behind.
    await pages.return?.();
  }
}
