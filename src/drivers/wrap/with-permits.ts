/** A driver whose requests wait for their permits (see `permits.ts`), one permit for each attempt. */
import type { RequestClass } from '../../core/concurrency/permit-memory.ts';
import type {
  Body,
  CallContext,
  ListPage,
  ListQuery,
  MultipartFacet,
  ServerCopyFacet,
  StorageDriver,
} from '../driver.ts';
import type { Permits } from './permits.ts';

/** @param bytes what the call moves. */
type Permitted = <T>(
  ctx: CallContext,
  requestClass: RequestClass,
  bytes: number,
  call: () => Promise<T>,
) => Promise<T>;

/** Aborting an upload and flushing wait for nothing: they end something, and a run that is cancelled has little time. */
export function withPermits(driver: StorageDriver, permits: Permits): StorageDriver {
  const { multipart, serverCopy, streamUpload, binding } = driver;
  const run: Permitted = ({ signal }, requestClass, bytes, call) =>
    permits.run(signal, { requestClass, bytes, needsPlace: true }, call);
  const send = <T>({ signal }: CallContext, body: Body, call: () => Promise<T>): Promise<T> => {
    const needsPlace = body.bytes !== undefined;
    return permits.run(signal, { requestClass: 'write', bytes: body.sizeBytes, needsPlace }, call);
  };
  return {
    kind: driver.kind,
    name: driver.name,
    facts: driver.facts,
    ...(binding ? { binding } : {}),
    ...(multipart ? { multipart: permittedMultipart(multipart, run, send) } : {}),
    ...(serverCopy ? { serverCopy: permittedServerCopy(serverCopy, run) } : {}),
    ...(driver.addresses ? { addresses: driver.addresses } : {}),
    ...(streamUpload
      ? {
          streamUpload: {
            upload: (ctx, key, body, options) =>
              send(ctx, body, () => streamUpload.upload(ctx, key, body, options)),
          },
        }
      : {}),
    list: (ctx, query) => permittedList(driver, ctx, query, run),
    stat: (ctx, key) => run(ctx, 'read', 0, () => driver.stat(ctx, key)),
    read: (ctx, key, into, options) =>
      run(ctx, 'read', into.length, () => driver.read(ctx, key, into, options)),
    write: (ctx, key, body, options) => send(ctx, body, () => driver.write(ctx, key, body, options)),
    remove: (ctx, key) => run(ctx, 'write', 0, () => driver.remove(ctx, key)),
    flush: (ctx, scope) => driver.flush(ctx, scope),
    close: async () => {
      permits.close();
      await driver.close();
    },
  };
}

function permittedMultipart(
  multipart: MultipartFacet,
  run: Permitted,
  send: <T>(ctx: CallContext, body: Body, call: () => Promise<T>) => Promise<T>,
): MultipartFacet {
  return {
    partBytesMin: multipart.partBytesMin,
    partBytesMax: multipart.partBytesMax,
    partsMax: multipart.partsMax,
    ...(multipart.objectBytesMax === undefined ? {} : { objectBytesMax: multipart.objectBytesMax }),
    partChecksum: multipart.partChecksum,
    begin: (ctx, key) => run(ctx, 'write', 0, () => multipart.begin(ctx, key)),
    putPart: (ctx, upload, part) => send(ctx, part.body, () => multipart.putPart(ctx, upload, part)),
    complete: (ctx, upload, parts, options) =>
      run(ctx, 'write', 0, () => multipart.complete(ctx, upload, parts, options)),
    abort: (ctx, upload) => multipart.abort(ctx, upload),
    listParts: (ctx, upload) => run(ctx, 'list', 0, () => multipart.listParts(ctx, upload)),
    listUploads: (ctx, prefix, max) => run(ctx, 'list', 0, () => multipart.listUploads(ctx, prefix, max)),
  };
}

/** What the service moves by itself takes none of the bandwidth. */
function permittedServerCopy(facet: ServerCopyFacet, run: Permitted): ServerCopyFacet {
  return {
    copiesFrom: facet.copiesFrom,
    copyBytesMax: facet.copyBytesMax,
    look: (ctx, key) => run(ctx, 'read', 0, () => facet.look(ctx, key)),
    copy: (ctx, source, key) => run(ctx, 'write', 0, () => facet.copy(ctx, source, key)),
    begin: (ctx, key) => run(ctx, 'write', 0, () => facet.begin(ctx, key)),
    copyPart: (ctx, upload, source, part) =>
      run(ctx, 'write', 0, () => facet.copyPart(ctx, upload, source, part)),
    complete: (ctx, upload, parts, options) =>
      run(ctx, 'write', 0, () => facet.complete(ctx, upload, parts, options)),
  };
}

async function* permittedList(
  driver: StorageDriver,
  ctx: CallContext,
  query: ListQuery,
  run: Permitted,
): AsyncGenerator<ListPage> {
  const pages = driver.list(ctx, query)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await run(ctx, 'list', 0, () => pages.next());
      if (step.done) return;
      yield step.value;
    }
  } finally {
    // A caller that stops early must not leave the driver's listing open.
    await pages.return?.();
  }
}
