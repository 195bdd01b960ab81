/** What every call to a backend in memory does alike: check the key, take in a body, refuse what is wrong. */
import { hash } from 'node:crypto';
import { type ErrorKind, StorageError } from '../../core/errors.ts';
import type { Body, CallContext } from '../driver.ts';
import { orAborted } from '../or-aborted.ts';

/** As S3 has it, so that tests meet the same limit. */
const KEY_BYTES_MAX = 1_024;

export interface MemoryCall {
  readonly backend: string;
  readonly operation: string;
  readonly key: string;
}

export function refused(call: MemoryCall, kind: ErrorKind, sentence: string): StorageError {
  const { backend, operation, key } = call;
  return new StorageError(`Cannot ${operation} "${key}" in ${backend}: ${sentence}`, {
    kind,
    backend,
    operation,
    key,
    isTransient: false,
    scope: 'object',
  });
}

/** Every call begins here: no work for an aborted signal or an impossible key. */
export function enter(ctx: CallContext, call: MemoryCall): void {
  ctx.signal.throwIfAborted();
  const keyBytes = Buffer.byteLength(call.key);
  if (call.key !== '' && call.key.isWellFormed() && keyBytes <= KEY_BYTES_MAX) return;
  throw refused(call, 'invalid-name', `a key is well-formed Unicode of 1 to ${KEY_BYTES_MAX} bytes`);
}

/** A copy of the whole body, which must be as long as it says and have the sha256 that came with it. */
export async function takeBody(
  ctx: CallContext,
  call: MemoryCall,
  body: Body,
  sha256: string | undefined,
): Promise<Uint8Array> {
  const bytes = body.bytes === undefined ? await collect(ctx, call, body) : body.bytes.slice();
  if (bytes.byteLength !== body.sizeBytes) throw wrongLength(call, body, bytes.byteLength);
  if (sha256 !== undefined && hash('sha256', bytes, 'hex') !== sha256) {
    throw refused(call, 'corrupt', 'the body does not have the sha256 that was sent with it');
  }
  ctx.signal.throwIfAborted();
  return bytes;
}

async function collect(ctx: CallContext, call: MemoryCall, body: Body): Promise<Uint8Array> {
  const bytes = new Uint8Array(body.sizeBytes);
  const pieces = body.open()[Symbol.asyncIterator]();
  let taken = 0;
  try {
    for (;;) {
      const piece = await orAborted(pieces.next(), ctx.signal);
      if (piece.done) return bytes.subarray(0, taken);
      if (taken + piece.value.byteLength > body.sizeBytes) {
        throw wrongLength(call, body, taken + piece.value.byteLength);
      }
      bytes.set(piece.value, taken);
      taken += piece.value.byteLength;
    }
  } catch (error) {
    // Not awaited: a generator that hangs in its own await would never answer.
    pieces.return?.().catch(() => undefined);
    throw error;
  }
}

function wrongLength(call: MemoryCall, body: Body, seenBytes: number): StorageError {
  return refused(call, 'corrupt', `the body was announced with ${body.sizeBytes} bytes and has ${seenBytes}`);
}
