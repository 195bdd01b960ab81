/** Bodies as Azure's own library takes and gives them: whole blocks in memory, and streams. */
import type { Readable } from 'node:stream';
import type { Body } from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import { untilAborted } from '../or-aborted.ts';

export const BLOCK_BYTES = 8 * 1024 ** 2;
const BLOCKS_MAX = 50_000;

/**
 * To the end of the body, so that its connection can be used again, unless there is more than is wanted.
 * @returns how many bytes came, the buffer being as long as what should.
 */
export async function fill(into: Uint8Array, body: Readable, hasMore: boolean): Promise<number> {
  if (hasMore && into.length === 0) return 0;
  let used = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    const piece = chunk.subarray(0, into.length - used);
    into.set(piece, used);
    used += piece.length;
    if (hasMore && used === into.length) break;
  }
  return used;
}

export function blockBytesFor(sizeBytes: number): number {
  return Math.max(BLOCK_BYTES, Math.ceil(sizeBytes / BLOCKS_MAX));
}

/** An empty body is one empty block. A full one waits for what follows: nothing is sent of a body that is longer than it says. */
export async function* blocksOf(
  call: HttpCall,
  body: Body,
  blockBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { bytes, sizeBytes } = body;
  if (bytes) {
    yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return;
  }
  let sum = 0;
  let pieces: Buffer[] = [];
  let held = 0;
  for await (const piece of untilAborted(body.open(), signal)) {
    sum += piece.length;
    if (sum > sizeBytes) checkSize(call, sum, sizeBytes);
    for (let at = 0; at < piece.length; ) {
      if (held === blockBytes) {
        yield Buffer.concat(pieces, held);
        pieces = [];
        held = 0;
      }
      const taken = Buffer.from(piece.subarray(at, at + blockBytes - held));
      pieces.push(taken);
      held += taken.length;
      at += taken.length;
    }
  }
  checkSize(call, sum, sizeBytes);
  yield Buffer.concat(pieces, held);
}

export function checkSize(call: HttpCall, sent: number, announced: number): void {
  if (sent !== announced) throw malformed(call, `the body has ${sent} bytes instead of ${announced}`);
}
