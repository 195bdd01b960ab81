/** Sends part of a content over a socket as fast as the socket takes it, bent by faults. */
import type { Socket } from 'node:net';
import { flipBit } from '../faults/flip-bit.ts';
import type { Content } from '../store/content.ts';
import type { RateLimiter } from './rate-limiter.ts';

/** Large enough for one writev of many buffers, small enough to leave the thread to other connections. */
const BATCH_BYTES = 1024 * 1024;

export interface PumpOptions {
  readonly content: Content;
  readonly start: number;
  readonly end: number;
  /** Position in the response's body, and bit. */
  readonly flip: { readonly offset: number; readonly bit?: number } | undefined;
  readonly limiter: RateLimiter | undefined;
  readonly onSent: () => void;
}

export function pumpBody(socket: Socket, options: PumpOptions): void {
  const { content, start, end, flip, limiter, onSent } = options;
  const batchBytes = Math.min(BATCH_BYTES, limiter?.sliceBytes ?? BATCH_BYTES);
  let at = start;
  const step = (): void => {
    while (at < end) {
      if (socket.destroyed) return;
      const next = Math.min(end, at + batchBytes);
      const buffers = readOrEnd(socket, content, at, next);
      if (!buffers) return;
      const isTaken = writeAll(socket, buffers, flip, at - start);
      const wait = limiter?.take(next - at) ?? 0;
      at = next;
      if (!isTaken) {
        socket.once('drain', wait > 0 ? () => void setTimeout(step, wait).unref() : step);
        return;
      }
      if (wait > 0) {
        setTimeout(step, wait).unref();
        return;
      }
    }
    onSent();
  };
  step();
}

/** Too late for an answer: a body that cannot be read ends the connection, and the client sees it cut short. */
function readOrEnd(
  socket: Socket,
  content: Content,
  from: number,
  to: number,
): readonly Buffer[] | undefined {
  try {
    return content.read(from, to);
  } catch (error) {
    socket.destroy(error instanceof Error ? error : new Error(String(error)));
    return undefined;
  }
}

function writeAll(
  socket: Socket,
  buffers: readonly Buffer[],
  flip: PumpOptions['flip'],
  position: number,
): boolean {
  let isTaken = true;
  let offset = position;
  socket.cork();
  for (const buffer of buffers) {
    const at = flip ? flip.offset - offset : -1;
    isTaken = socket.write(at >= 0 && at < buffer.length ? flipBit(buffer, at, flip?.bit) : buffer);
    offset += buffer.length;
  }
  socket.uncork();
  return isTaken;
}
