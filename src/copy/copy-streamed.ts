/** Copies a large object through one upload call that takes a stream: the compatibility engine's way. */
import type { Body, StreamUploadFacet } from '../drivers/driver.ts';
import { type CopyContext, type CopyItem, type CopyOutcome, type Proof, WrongBytes } from './context.ts';
import { ObjectHasher, statedMd5 } from './judge.ts';
import { type RangeRead, readRanges } from './read-ranges.ts';
import {
  type Finished,
  hashRanges,
  keepIfRight,
  READS_DIFFER,
  settleVerdict,
  verifyReadBack,
} from './second-opinion.ts';

/** @throws ObjectChanged, WrongBytes, StorageError; then nothing is visible in the target. */
export async function copyStreamed(
  ctx: CopyContext,
  item: CopyItem,
  sizeBytes: number,
  facet: StreamUploadFacet,
): Promise<CopyOutcome> {
  const body = new ProvedBody(ctx, item, sizeBytes, await earlierRead(ctx, item, sizeBytes));
  try {
    await facet.upload(ctx, item.targetKey, body, {});
  } catch (error) {
    if (body.finished?.verdict.is === 'wrong') await settleVerdict(ctx, item, sizeBytes, body.finished);
    throw body.failure ?? error;
  }
  const proof = await proofOf(ctx, item, body);
  if (ctx.readsBack) await verifyReadBack(ctx, item, sizeBytes, body.finished?.sha256 ?? '');
  return { state: 'copied', bytes: sizeBytes, proof };
}

/** Where only a second read can prove the bytes, it comes before the upload, which then can still be stopped. */
async function earlierRead(ctx: CopyContext, item: CopyItem, sizeBytes: number): Promise<string | undefined> {
  if (!ctx.readsTwice || item.classified.contentDigest) return undefined;
  return hashRanges(ctx, ctx.source, item.source.key, sizeBytes);
}

async function proofOf(ctx: CopyContext, item: CopyItem, body: ProvedBody): Promise<Proof> {
  const { finished, earlier } = body;
  if (!finished) throw new Error('The upload succeeded without reading its body to the end');
  if (finished.verdict.is === 'right') return finished.verdict.by;
  if (earlier !== undefined) return 'twice';
  let proof: Proof = 'none';
  await keepIfRight(ctx, item, async () => {
    proof = await settleVerdict(ctx, item, body.sizeBytes, finished);
    return true;
  });
  return proof;
}

/** Holds back its last piece until all that is known of the object agrees with the bytes before it. */
class ProvedBody implements Body {
  readonly sizeBytes: number;
  /** sha256 of an earlier reading that this one must repeat. */
  readonly earlier: string | undefined;
  readonly #ctx: CopyContext;
  readonly #item: CopyItem;
  /** Of the last time it was opened. */
  finished: Finished | undefined;
  /** Why the body ended early; what the upload makes of it would hide what happened. */
  failure: unknown;

  constructor(ctx: CopyContext, item: CopyItem, sizeBytes: number, earlier: string | undefined) {
    this.#ctx = ctx;
    this.#item = item;
    this.sizeBytes = sizeBytes;
    this.earlier = earlier;
  }

  async *open(): AsyncGenerator<Uint8Array> {
    this.finished = undefined;
    this.failure = undefined;
    try {
      const { classified, source } = this.#item;
      const hasher = new ObjectHasher(classified, source.md5 !== undefined);
      const { sizeBytes } = this;
      const range = { driver: this.#ctx.source, key: source.key, from: 0, to: sizeBytes, sizeBytes };
      for await (const piece of readRanges(this.#ctx, range)) {
        hasher.update(piece.bytes);
        if (piece.offset + piece.bytes.length === sizeBytes) this.#judge(hasher, piece);
        yield piece.bytes;
      }
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  #judge(hasher: ObjectHasher, { read }: RangeRead): void {
    const { md5MayBeOpaque } = this.#ctx.source.facts;
    const finished = hasher.finish({ md5: statedMd5(this.#item.source, read), md5MayBeOpaque });
    this.finished = finished;
    if (finished.verdict.is === 'wrong') throw new WrongBytes(finished.verdict.reason, false);
    if (this.earlier !== undefined && this.earlier !== finished.sha256) {
      throw new WrongBytes(READS_DIFFER, false);
    }
  }
}
