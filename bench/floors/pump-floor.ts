/**
 * The least that a copier over the network can do: read the bytes from one socket and write them to another, in a
 * process of its own. With one port given it only reads, or only writes.
 *     node bench/floors/pump-floor.ts [--from PORT] [--to PORT] --bytes N
 */
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';

const BUFFER_BYTES = 1024 ** 2;

const { values } = parseArgs({
  options: { from: { type: 'string' }, to: { type: 'string' }, bytes: { type: 'string', default: '0' } },
});

const sink = values.to === undefined ? undefined : connect({ port: Number(values.to), host: '127.0.0.1' });
if (values.from !== undefined) pump(Number(values.from), sink);
else if (sink) send(sink, Number(values.bytes));

/** One buffer is filled while two are on their way out at most. */
function pump(port: number, to: Socket | undefined): void {
  const free = Array.from({ length: 3 }, () => Buffer.allocUnsafeSlow(BUFFER_BYTES));
  let current = take(free);
  let inFlight = 0;
  let isPaused = false;
  const source = connect({
    port,
    host: '127.0.0.1',
    onread: {
      // Asked for once at first, and again behind each call of the other one.
      buffer: () => current,
      callback: (bytes) => {
        if (!to) return true;
        const filled = current;
        inFlight += 1;
        to.write(filled.subarray(0, bytes), () => {
          free.push(filled);
          inFlight -= 1;
          if (isPaused) source.resume();
          isPaused = false;
        });
        current = take(free);
        isPaused = inFlight === 2;
        return !isPaused;
      },
    },
  });
  source.once('close', () => to?.end());
}

function take<B>(free: B[]): B {
  const buffer = free.pop();
  if (!buffer) throw new Error('No buffer is free');
  return buffer;
}

function send(to: Socket, bytes: number): void {
  const buffer = Buffer.alloc(BUFFER_BYTES, 7);
  let left = bytes;
  const next = (): void => {
    if (left <= 0) {
      to.end();
      return;
    }
    const size = Math.min(left, buffer.length);
    left -= size;
    to.write(buffer.subarray(0, size), next);
  };
  next();
}
