/**
 * Copies a large object in parts: parts are granted slabs and hashed in order, read and written side by side. The
 * object becomes visible only at the end, when the digest of the whole has been compared.
 */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { combineCrc32 } from '../core/crc32.ts';
import { isStorageError, StorageError } from '../core/errors.ts';
import { bodyOfBytes } from '../drivers/body.ts';
import type {
  CallContext,
  CompleteOptions,
  FileAttributes,
  MultipartFacet,
  PartInput,
  PartReceipt,
  ReadResult,
  Upload,
} from '../drivers/driver.ts';
import { type CopyContext, type CopyItem, type CopyOutcome, ObjectChanged, WrongBytes } from './context.ts';
import {
  abortUpload,
  continuedUpload,
  holdsPart,
  mayBeOfThisUpload,
  type OpenUpload,
  type PartSums,
  sumsOf,
} from './continued-upload.ts';
import { ObjectHasher, statedMd5 } from './judge.ts';
import { streamedPart } from './large-part.ts';
import { type PartPlan, planParts } from './plan-parts.ts';
import { readRange } from './read-ranges.ts';
import { settleVerdict, verifyReadBack } from './second-opinion.ts';
import type { Slab } from './slab-pool.ts';

/** Servers give up after about 20 s in which nothing comes. */
const STARVED_MS = 10_000;
const STARVED_MAX = 4;
/** Together with the abort that follows it stays within the 3 s that Ctrl-C may take. */
const BEGIN_PATIENCE_MS = 700;

/** @throws ObjectChanged, WrongBytes, StorageError; then the upload was aborted. */
export async function copyParts(
  ctx: CopyContext,
  item: CopyItem,
  sizeBytes: number,
  multipart: MultipartFacet,
): Promise<CopyOutcome> {
  const plan = planParts(sizeBytes, ctx.partBytes, multipart);
  const open =
    (await continuedUpload(ctx, multipart, item.targetKey, plan)) ??
    (await begin(ctx, multipart, item.targetKey, plan));
  const { upload } = open;
  try {
    const transfer = new PartTransfer(ctx, item, sizeBytes, multipart, open);
    const sent = await transfer.run(open.plan);
    const proof = await settleVerdict(ctx, item, sizeBytes, transfer.finish());
    const whole = sent.reduce((sum, part) => combineCrc32(sum, part.crc32 ?? 0, part.sizeBytes), 0);
    ctx.written?.note({ key: item.path, sizeBytes, sha256: transfer.sha256 });
    await completeWhole(ctx, multipart, upload, sent, {
      sizeBytes,
      ...(multipart.partChecksum === 'crc32' ? { crc32: whole } : {}),
      ...(transfer.attributes ? { attributes: transfer.attributes } : {}),
    });
    ctx.report({ type: 'upload', upload, state: 'closed' });
    // Without a checksum of the whole, that every part arrived is known but not that all are in it.
    if (multipart.partChecksum === 'sha256') await checkSize(ctx, item, sizeBytes);
    if (ctx.readsBack) await verifyReadBack(ctx, item, sizeBytes, transfer.sha256);
    // Only now: of an object that is begun again everything is sent.
    ctx.counters.count('partsReused', transfer.keptParts);
    ctx.counters.count('bytesReused', transfer.keptBytes);
    return { state: 'copied', bytes: sizeBytes, proof };
  } catch (error) {
    await abortUpload(ctx, multipart, upload);
    // What a new upload may not meet, such as a checksum that this one was not begun with, is tried with a new one.
    if (open.stored.size > 0 && mayBeOfThisUpload(error)) throw new ObjectChanged(sizeBytes, error);
    throw error;
  }
}

async function begin(
  ctx: CopyContext,
  multipart: MultipartFacet,
  key: string,
  plan: readonly PartPlan[],
): Promise<OpenUpload> {
  const upload = await beginWhole(ctx, multipart, key);
  ctx.report({ type: 'upload', upload, state: 'open' });
  return { upload, plan, stored: new Map() };
}

/** A begin that was cut off may have opened an upload nobody knows of, so it gets a moment more than the run has. */
export async function beginWhole(
  ctx: CopyContext,
  multipart: Pick<MultipartFacet, 'begin'>,
  key: string,
): Promise<Upload> {
  ctx.signal.throwIfAborted();
  const patience = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => patience.abort(ctx.signal.reason), BEGIN_PATIENCE_MS);
  };
  ctx.signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await multipart.begin({ signal: patience.signal }, key);
  } finally {
    ctx.signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  }
}

/** An upload that is gone may have been completed by a request whose answer was lost: the object is copied anew. */
export async function completeWhole(
  ctx: CallContext,
  multipart: Pick<MultipartFacet, 'complete'>,
  upload: Upload,
  parts: readonly PartReceipt[],
  options: CompleteOptions,
): Promise<void> {
  try {
    await multipart.complete(ctx, upload, parts, options);
  } catch (error) {
    if (isStorageError(error, 'not-found')) throw new ObjectChanged(options.sizeBytes, error);
    throw error;
  }
}

async function checkSize(ctx: CopyContext, item: CopyItem, sizeBytes: number): Promise<void> {
  const { sizeBytes: actual } = await ctx.target.stat(ctx, item.targetKey);
  if (actual === sizeBytes) return;
  await ctx.target.remove(ctx, item.targetKey);
  throw new WrongBytes(`the target put ${actual} bytes together from parts of ${sizeBytes}`, false, 'target');
}

interface PartInFlight {
  readonly part: PartPlan;
  readonly slab: Slab;
  readonly read: Promise<ReadResult>;
  /** Settles when this part and all before it went into the digest. */
  readonly hashed: Promise<void>;
}

class PartTransfer {
  sha256 = '';
  /** What the upload held already, and its bytes. */
  keptParts = 0;
  keptBytes = 0;
  readonly #ctx: CopyContext;
  readonly #item: CopyItem;
  readonly #sizeBytes: number;
  readonly #multipart: MultipartFacet;
  readonly #open: OpenUpload;
  readonly #hasher: ObjectHasher;
  #firstRead: ReadResult | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    ctx: CopyContext,
    item: CopyItem,
    sizeBytes: number,
    multipart: MultipartFacet,
    open: OpenUpload,
  ) {
    this.#ctx = ctx;
    this.#item = item;
    this.#sizeBytes = sizeBytes;
    this.#multipart = multipart;
    this.#open = open;
    this.#hasher = new ObjectHasher(item.classified, item.source.md5 !== undefined);
  }

  get attributes(): FileAttributes | undefined {
    return this.#firstRead?.attributes;
  }

  get #version(): string | undefined {
    return this.#firstRead?.version;
  }

  /** After a failure nothing new begins, what runs is awaited, and the first error is thrown. */
  async run(plan: readonly PartPlan[]): Promise<readonly PartReceipt[]> {
    const receipts: PartReceipt[] = [];
    const running = new Set<Promise<void>>();
    let hashed: Promise<void> = Promise.resolve();
    for (const part of plan) {
      if (this.#failure) break;
      if (part.sizeBytes > this.#ctx.slabs.slabBytesMax) {
        await hashed;
        receipts.push(await this.#sendStreamed(part));
        continue;
      }
      const slab = await this.#ctx.slabs.acquire(part.sizeBytes, this.#ctx.signal).catch((error: unknown) => {
        this.#failure ??= { error };
        return undefined;
      });
      if (!slab) break;
      const read = this.#read(part, slab);
      hashed = this.#hashInTurn(hashed, read, slab);
      const task = this.#send({ part, slab, read, hashed }, receipts).finally(() => running.delete(task));
      running.add(task);
      // The version of the first range binds all others, so they wait for it.
      if (part.number === 1) await read.catch(() => undefined);
    }
    await Promise.all(running);
    if (this.#failure) throw this.#failure.error;
    return receipts.sort((a, b) => a.number - b.number);
  }

  finish() {
    const { md5MayBeOpaque } = this.#ctx.source.facts;
    const md5 = statedMd5(this.#item.source, this.#firstRead);
    const finished = this.#hasher.finish({ md5, md5MayBeOpaque });
    this.sha256 = finished.sha256;
    return finished;
  }

  async #read(part: PartPlan, slab: Slab): Promise<ReadResult> {
    const read = await readRange(this.#ctx, this.#ctx.source, this.#item.source.key, slab.bytes, {
      offset: part.offset,
      version: this.#version,
      sizeBytes: this.#sizeBytes,
    });
    this.#firstRead ??= read;
    return read;
  }

  async #hashInTurn(previous: Promise<void>, read: Promise<ReadResult>, slab: Slab): Promise<void> {
    await Promise.all([previous, read]);
    this.#hasher.update(slab.bytes);
  }

  /** Never rejects: a failure is kept for `run`. The slab is free again when nothing reads it any more. */
  async #send({ part, slab, read, hashed }: PartInFlight, receipts: PartReceipt[]): Promise<void> {
    try {
      await hashed;
      if (this.#failure) return;
      const kept = this.#kept(part, () => sumsOf(slab.bytes, crc32(slab.bytes) >>> 0));
      receipts.push(kept ?? (await this.#put(this.#input(part, slab))));
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      // An earlier part may have failed while bytes still flow into this slab: it must not go to others before they end.
      await read.catch(() => undefined);
      slab.release();
    }
  }

  #put(input: PartInput): Promise<PartReceipt> {
    return this.#multipart.putPart(this.#ctx, this.#open.upload, input);
  }

  /** The receipt of a part that the upload holds already, with these very bytes. */
  #kept({ number, sizeBytes }: PartPlan, sumsOfPart: () => PartSums): PartReceipt | undefined {
    const stored = this.#open.stored.get(number);
    if (!stored) return undefined;
    const sums = sumsOfPart();
    if (!holdsPart(stored, sums, this.#ctx.target.facts.md5MayBeOpaque)) return undefined;
    this.keptParts += 1;
    this.keptBytes += sizeBytes;
    return { number, sizeBytes, tag: stored.tag, crc32: sums.crc32 };
  }

  #input(part: PartPlan, slab: Slab): PartInput {
    const base = { number: part.number, offset: part.offset, body: bodyOfBytes(slab.bytes) };
    if (this.#multipart.partChecksum === 'crc32') return { ...base, crc32: crc32(slab.bytes) >>> 0 };
    if (this.#multipart.partChecksum === 'sha256')
      return { ...base, sha256: hash('sha256', slab.bytes, 'hex') };
    return base;
  }

  /** A part larger than any slab: read once to hash it, and again each time it is sent. */
  async #sendStreamed(part: PartPlan): Promise<PartReceipt> {
    const range = {
      driver: this.#ctx.source,
      key: this.#item.source.key,
      from: part.offset,
      to: part.offset + part.sizeBytes,
      sizeBytes: this.#sizeBytes,
      version: this.#version,
    };
    const stored = this.#open.stored.get(part.number);
    const streamed = await streamedPart(this.#ctx, range, this.#hasher, {
      hasMd5: stored?.md5 !== undefined,
      hasCrc64: stored?.crc64 !== undefined,
    });
    this.#firstRead ??= streamed.firstRead;
    const { sha256, md5, crc64, crc32: sum, body } = streamed;
    const kept = this.#kept(part, () => ({ crc32: sum, crc64: () => crc64, md5: () => md5 }));
    const input = { number: part.number, offset: part.offset, body, sha256, crc32: sum };
    return kept ?? this.#putStarving(input, streamed.starvedMs);
  }

  /** A server may give up on a body that has to wait for its source; whether that is there is the source's to say. */
  async #putStarving(input: PartInput, starvedMs: () => number): Promise<PartReceipt> {
    for (let round = 1; ; round += 1) {
      try {
        return await this.#put(input);
      } catch (error) {
        const ms = starvedMs();
        if (!(error instanceof StorageError) || !error.details.isTransient || ms < STARVED_MS) throw error;
        if (round >= STARVED_MAX) throw starved(error, this.#ctx.source.name, ms);
        await this.#ctx.source.stat(this.#ctx, this.#item.source.key);
      }
    }
  }
}

function starved(error: StorageError, source: string, ms: number): StorageError {
  const message = `${error.message} (it was sent nothing for ${Math.round(ms / 1000)} s, as ${source} was read too slowly)`;
  const hint = 'Parts this large are read again while they are sent: give more memory, see --memory';
  return new StorageError(message, error.details, { cause: error, hint });
}
