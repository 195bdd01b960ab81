/** Puts a body into an open file, and notices a body that is not as long as it says. */
import type { Body } from '../driver.ts';
import { orAborted } from '../or-aborted.ts';
import type { FileCalls } from './fs-calls.ts';
import { type FsContext, refusal } from './fs-errors.ts';

/** Between two pieces of this size the signal is looked at. */
const PIECE_BYTES_MAX = 8 * 1024 * 1024;

export interface Destination {
  readonly calls: FileCalls;
  readonly fd: number;
  /** Where in the file the body begins. */
  readonly position: number;
  readonly context: FsContext;
  readonly signal: AbortSignal;
}

/** Resolves when exactly `body.sizeBytes` bytes are written; never writes behind them. */
export async function writeBody(body: Body, to: Destination): Promise<void> {
  if (body.bytes !== undefined) {
    if (body.bytes.byteLength !== body.sizeBytes) throw wrongLength(body, body.bytes.byteLength, to.context);
    return writeAll(body.bytes, to, to.position);
  }
  let written = 0;
  const pieces = body.open()[Symbol.asyncIterator]();
  try {
    for (;;) {
      const piece = await orAborted(pieces.next(), to.signal);
      if (piece.done) break;
      if (written + piece.value.byteLength > body.sizeBytes) {
        throw wrongLength(body, written + piece.value.byteLength, to.context);
      }
      // Awaited before the next piece is asked for: a piece is valid only until then.
      await writeAll(piece.value, to, to.position + written);
      written += piece.value.byteLength;
    }
  } catch (error) {
    // Not awaited: a generator that hangs in its own await would never answer.
    pieces.return?.().catch(() => undefined);
    throw error;
  }
  if (written !== body.sizeBytes) throw wrongLength(body, written, to.context);
}

async function writeAll(bytes: Uint8Array, to: Destination, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    to.signal.throwIfAborted();
    const piece = bytes.subarray(done, done + PIECE_BYTES_MAX);
    // Never raced with the signal: the pool would go on reading memory that its owner has taken back.
    done += await to.calls.write(to.fd, piece, position + done);
  }
}

function wrongLength(body: Body, seenBytes: number, context: FsContext): Error {
  const more = seenBytes > body.sizeBytes;
  return refusal(context, {
    kind: 'corrupt',
    sentence: `the body was announced with ${body.sizeBytes} bytes and has ${more ? 'at least ' : 'only '}${seenBytes}`,
    hint: 'The object changed while it was read; run again',
  });
}
