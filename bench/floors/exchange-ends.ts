/**
 * Both ends of the exchange, in a process of their own: one port answers a request with as many bytes as it asks for,
 * the other takes as many as it is told and answers in short. Prints one JSON line with the ports; ends when its stdin
 * closes.
 *     node bench/floors/exchange-ends.ts
 */
import type { Socket } from 'node:net';
import { ASK_BYTES, DONE_BYTES, GIVE_BYTES, HEAD_BYTES, readSize } from './exchange-wire.ts';
import { listen } from './listen.ts';

const BODY = Buffer.alloc(64 * 1024, 7);
const DONE = Buffer.alloc(DONE_BYTES, 'd');

process.stdin.resume().once('close', () => process.exit(0));
const giver = await listen((socket) => serve(socket, ASK_BYTES, () => 0, give));
const taker = await listen((socket) => serve(socket, HEAD_BYTES, (size) => size, take));
process.stdout.write(`${JSON.stringify({ from: giver, to: taker })}\n`);

function give(socket: Socket, size: number): void {
  socket.write(BODY.subarray(0, GIVE_BYTES + size));
}

function take(socket: Socket): void {
  socket.write(DONE);
}

/** One request after the other over each connection, as HTTP/1.1 has it. */
function serve(
  socket: Socket,
  headBytes: number,
  bodyBytesOf: (size: number) => number,
  answer: (socket: Socket, size: number) => void,
): void {
  let size = -1;
  let left = 0;
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    if (size < 0) {
      size = readSize(chunk);
      left = headBytes + bodyBytesOf(size);
    }
    left -= chunk.length;
    if (left > 0) return;
    const asked = size;
    size = -1;
    answer(socket, asked);
  });
}
