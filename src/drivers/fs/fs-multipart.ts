/**
 * Uploads in parts: one temporary file, every part written where it belongs, in any order and in parallel. A part's
 * tag is its offset, so that `complete` can see whether the parts cover the object without a gap.
 */
import type {
  CallContext,
  CompleteOptions,
  MultipartFacet,
  PartInput,
  PartReceipt,
  Upload,
  WriteResult,
} from '../driver.ts';
import { writeBody } from './fs-body.ts';
import { type FsContext, fromErrno, hasCode, refusal } from './fs-errors.ts';
import { finish, type Target } from './fs-writer.ts';

export class FsMultipart implements MultipartFacet {
  readonly partBytesMin = 1;
  readonly partBytesMax = Number.MAX_SAFE_INTEGER;
  /** A file has no parts; the number only bounds what callers plan. */
  readonly partsMax = 1_000_000;
  readonly partChecksum = 'none';
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  async begin(ctx: CallContext, key: string): Promise<Upload> {
    const { root, folders, temps } = this.#target;
    root.pathOf('begin', key);
    const context = { ...root.context('begin', key), key };
    ctx.signal.throwIfAborted();
    try {
      await folders.demandRoomFor(context);
      const temp = await temps.create('upload');
      await root.calls.close(temp.fd);
      try {
        temps.rememberKey(temp.name, key);
        ctx.signal.throwIfAborted();
      } catch (error) {
        await this.#forget(temp.name, temp.path);
        throw error;
      }
      return { key, id: temp.name };
    } catch (error) {
      throw fromErrno(context, error);
    }
  }

  async putPart(ctx: CallContext, upload: Upload, part: PartInput): Promise<PartReceipt> {
    const { root } = this.#target;
    const context = root.context('part', upload.key);
    const path = this.#pathOf(context, upload);
    ctx.signal.throwIfAborted();
    try {
      const fd = await root.calls.open(path, 'reopen');
      try {
        const { signal } = ctx;
        await writeBody(part.body, { calls: root.calls, fd, position: part.offset, context, signal });
      } finally {
        await root.calls.close(fd);
      }
    } catch (error) {
      throw whyNoUpload(context, error);
    }
    return { number: part.number, sizeBytes: part.body.sizeBytes, tag: String(part.offset) };
  }

  async complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    options: CompleteOptions,
  ): Promise<WriteResult> {
    const { root, temps } = this.#target;
    root.pathOf('complete', upload.key);
    const context = { ...root.context('complete', upload.key), key: upload.key };
    const path = this.#pathOf(context, upload);
    ctx.signal.throwIfAborted();
    demandWhole(context, parts, options.sizeBytes);
    try {
      const fd = await root.calls.open(path, 'reopen');
      try {
        await this.#demandSize(context, fd, options.sizeBytes);
        const temp = { name: upload.id, path, fd };
        const result = await finish(this.#target, ctx, { context, temp, attributes: options.attributes });
        temps.forgetKey(upload.id);
        return result;
      } finally {
        await root.calls.close(fd);
      }
    } catch (error) {
      throw whyNoUpload(context, error);
    }
  }

  async abort(ctx: CallContext, upload: Upload): Promise<void> {
    const context = this.#target.root.context('abort', upload.key);
    const path = this.#target.temps.uploadPath(upload.id);
    ctx.signal.throwIfAborted();
    if (path === undefined) return;
    try {
      await this.#forget(upload.id, path);
    } catch (error) {
      throw fromErrno(context, error);
    }
  }

  /** Nothing: what a part's bytes were is not kept, so a continued upload sends all parts again. */
  async listParts(ctx: CallContext, _upload: Upload): Promise<readonly PartReceipt[]> {
    ctx.signal.throwIfAborted();
    return [];
  }

  async listUploads(ctx: CallContext, prefix: string, max?: number): Promise<readonly Upload[]> {
    ctx.signal.throwIfAborted();
    try {
      const uploads = this.#target.temps.uploads();
      return uploads.filter((upload) => upload.key.startsWith(prefix)).slice(0, max);
    } catch (error) {
      throw fromErrno(this.#target.root.context('list', prefix), error);
    }
  }

  /** The data first: an upload counts as open as long as its data is there. */
  async #forget(id: string, path: string): Promise<void> {
    await this.#target.temps.remove(path);
    this.#target.temps.forgetKey(id);
  }

  #pathOf(context: FsContext, upload: Upload): string {
    const path = this.#target.temps.uploadPath(upload.id);
    if (path === undefined)
      throw whyNoUpload(context, Object.assign(new Error('No such id'), { code: 'ENOENT' }));
    return path;
  }

  /** Cuts off what a part of an earlier attempt with other part sizes left behind the end. */
  async #demandSize(context: FsContext, fd: number, sizeBytes: number): Promise<void> {
    const isBytes = Number((await this.#target.root.calls.fstat(fd)).size);
    if (isBytes > sizeBytes) return this.#target.root.calls.truncate(fd, sizeBytes);
    if (isBytes === sizeBytes) return;
    throw refusal(context, {
      kind: 'corrupt',
      sentence: `the upload holds ${isBytes} of ${sizeBytes} bytes: a part is missing`,
      hint: 'Abort the upload and copy the object again',
    });
  }
}

function demandWhole(context: FsContext, parts: readonly PartReceipt[], sizeBytes: number): void {
  let coveredBytes = 0;
  for (const part of parts) {
    if (Number(part.tag) !== coveredBytes) break;
    coveredBytes += part.sizeBytes;
  }
  const givenBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  if (coveredBytes === sizeBytes && givenBytes === sizeBytes) return;
  throw refusal(context, {
    kind: 'corrupt',
    sentence: `the ${parts.length} parts given cover ${coveredBytes} of ${sizeBytes} bytes in order`,
    hint: 'Abort the upload and copy the object again',
  });
}

function whyNoUpload(context: FsContext, error: unknown): unknown {
  if (!hasCode(error, 'ENOENT')) return fromErrno(context, error);
  return refusal(context, {
    kind: 'not-found',
    code: 'ENOENT',
    sentence: 'there is no such upload; it was completed, aborted or tidied up',
    hint: 'Begin the upload again',
    cause: error,
  });
}
