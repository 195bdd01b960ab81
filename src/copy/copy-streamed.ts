/** Copies a large object through one upload call that takes a stream: the compatibility engine's way. */
import type { StreamUploadFacet } from '../drivers/driver.ts';
import { type CopyContext, type CopyItem, type CopyOutcome, type Proof, WrongBytes } from './context.ts';
import { ObjectHasher, statedMd5 } from './judge.ts';
import { readRanges } from './read-ranges.ts';
import { settleVerdict, verifyReadBack } from './second-opinion.ts';

/** @throws ObjectChanged, WrongBytes, StorageError; then nothing is visible in the target. */
export async function copyStreamed(
  ctx: CopyContext,
  item: CopyItem,
  sizeBytes: number,
  facet: StreamUploadFacet,
): Promise<CopyOutcome> {
  let proof: Proof = 'none';
  let sha256 = '';
  let failure: unknown;
  const body = {
    sizeBytes,
    async *open() {
      try {
        const hasher = new ObjectHasher(item.classified, item.source.md5 !== undefined);
        const ranges = { driver: ctx.source, key: item.source.key, from: 0, to: sizeBytes, sizeBytes };
        for await (const piece of readRanges(ctx, ranges)) {
          hasher.update(piece.bytes);
          // The last piece goes out only once the digest of the whole is known to be right.
          if (piece.offset + piece.bytes.length === sizeBytes) {
            const { md5MayBeOpaque } = ctx.source.facts;
            const md5 = statedMd5(item.source, piece.read);
            const finished = hasher.finish({ md5, md5MayBeOpaque });
            sha256 = finished.sha256;
            if (finished.verdict.is === 'wrong') throw new WrongBytes(finished.verdict.reason, false);
            if (finished.verdict.is === 'right') proof = finished.verdict.by;
          }
          yield piece.bytes;
        }
      } catch (error) {
        // What the upload makes of it would hide what happened.
        failure = error;
        throw error;
      }
    },
  };
  try {
    await facet.upload(ctx, item.targetKey, body, {});
  } catch (error) {
    if (failure instanceof WrongBytes) {
      await settleVerdict(ctx, item, sizeBytes, {
        sha256,
        verdict: { is: 'wrong', reason: failure.message },
      });
    }
    throw failure ?? error;
  }
  if (proof === 'none' && ctx.readsTwice) {
    proof = await settleVerdict(ctx, item, sizeBytes, {
      sha256,
      verdict: { is: 'unknown', looksWrong: false },
    });
  }
  if (ctx.readsBack) await verifyReadBack(ctx, item, sizeBytes, sha256);
  return { state: 'copied', bytes: sizeBytes, proof };
}
