/**
 * Both ends of the pump, in a process of their own: one port gives the bytes to whoever connects, the other takes all.
 * Prints one JSON line with the ports; ends when its stdin closes.
 *     node bench/floors/pump-ends.ts BYTES
 */
import { createServer, type Server, type Socket } from 'node:net';

const PIECE = Buffer.alloc(1024 ** 2, 7);

process.stdin.resume().once('close', () => process.exit(0));
const bytes = Number(process.argv[2]);
const giver = await listen((socket) => give(socket, bytes));
const taker = await listen((socket) => void socket.on('error', () => undefined).resume());
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

async function listen(accept: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer(accept);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server is not listening');
  return address.port;
}
