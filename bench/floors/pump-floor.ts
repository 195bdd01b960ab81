/**
 * The least that a copier over the network can do: read the bytes from one socket and write them to another, in a
 * process of its own. With one port given it only reads, or only writes.
 *     node bench/floors/pump-floor.ts [--from PORT] [--to PORT] --bytes N [--ca FILE]
 * With a certificate to trust it is TLS.
 */
import { readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { parseArgs } from 'node:util';

const BUFFER_BYTES = 1024 ** 2;

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    to: { type: 'string' },
    bytes: { type: 'string', default: '0' },
    ca: { type: 'string' },
  },
});

const ca = values.ca === undefined ? undefined : readFileSync(values.ca, 'utf8');
const sink = values.to === undefined ? undefined : connect({ port: Number(values.to), host: '127.0.0.1' });
if (values.from !== undefined) pump(Number(values.from), sink);
else if (sink) send(sink, Number(values.bytes));

/** One buffer is filled while two are on their way out; only TLS, which cannot stop at once, needs more of them. */
function pump(port: number, to: Socket | undefined): void {
  const free: Buffer[] = [];
  const take = (): Buffer => free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  let current = take();
  let filled = 0;
  let inFlight = 0;
  let isPaused = false;
  const send = (): void => {
    if (!to || filled === 0) return;
    const buffer = current;
    inFlight += 1;
    to.write(buffer.subarray(0, filled), () => {
      free.push(buffer);
      inFlight -= 1;
      if (isPaused) source.resume();
      isPaused = false;
    });
    current = take();
    filled = 0;
  };
  const source = connect({
    port,
    host: '127.0.0.1',
    onread: {
      // Asked for once at first, and again behind each call of the other one.
      buffer: () => current.subarray(filled),
      callback: (bytes) => {
        filled = to ? filled + bytes : 0;
        if (filled < BUFFER_BYTES) return true;
        send();
        isPaused = inFlight >= 2;
        return !isPaused;
      },
    },
  });
  source.once('close', () => {
    send();
    to?.end();
  });
}

function connect(options: TcpNetConnectOpts): Socket {
  return ca === undefined ? connectPlain(options) : connectTls({ ...options, ca });
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
