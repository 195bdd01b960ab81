/**
 * Both ends of the pump, in a process of their own: one port gives the bytes to whoever connects, the other takes all.
 * Prints one JSON line with the ports; ends when its stdin closes. With a certificate's files both speak TLS.
 *     node bench/floors/pump-ends.ts BYTES [KEY CERT]
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { listen } from './listen.ts';

const PIECE = Buffer.alloc(1024 ** 2, 7);

process.stdin.resume().once('close', () => process.exit(0));
const [, , size, key, cert] = process.argv;
const bytes = Number(size);
const certificate =
  key === undefined || cert === undefined
    ? undefined
    : { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
const giver = await listen((socket) => give(socket, bytes), certificate);
const taker = await listen((socket) => void socket.on('error', () => undefined).resume(), certificate);
process.stdout.write(`${JSON.stringify({ from: giver, to: taker })}\n`);

function give(socket: Socket, total: number): void {
  socket.on('error', () => undefined);
  let left = total;
  const next = (): void => {
    if (left <= 0) {
      socket.end();
      return;
    }
    const size = Math.min(left, PIECE.length);
    left -= size;
    socket.write(PIECE.subarray(0, size), next);
  };
  next();
}
