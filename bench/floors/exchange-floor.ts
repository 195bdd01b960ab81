/**
 * The least that a copier of small objects can do: for each of them one request and its answer on the source's side and
 * one on the target's, over sockets that stay open, in a process of its own. Nothing is parsed, signed or hashed.
 *     node bench/floors/exchange-floor.ts [--from PORT] [--to PORT] --sizes FILE
 * FILE has the size of each object on a line.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { ASK_BYTES, DONE_BYTES, GIVE_BYTES, HEAD_BYTES, writeSize } from './exchange-wire.ts';

/** As many connections to each side as keep it busy here; each has one request on its way. */
const LANES = 16;
const BUFFER_BYTES = 64 * 1024;

const { values } = parseArgs({
  options: { from: { type: 'string' }, to: { type: 'string' }, sizes: { type: 'string', default: '' } },
});
const sizes = readFileSync(values.sizes, 'utf8').trim().split('\n').map(Number);
let next = 0;

/** A connection that calls back when as many bytes have come as the request is answered with. */
class Wire {
  readonly #socket: Socket;
  #left = 0;
  #onAnswer: () => void = () => undefined;

  constructor(port: string) {
    const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#socket = connect({
      port: Number(port),
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer,
        callback: (bytes) => {
          this.#left -= bytes;
          if (this.#left === 0) this.#onAnswer();
          return true;
        },
      },
    });
  }

  send(request: Buffer, answerBytes: number, onAnswer: () => void): void {
    this.#left = answerBytes;
    this.#onAnswer = onAnswer;
    this.#socket.write(request);
  }

  end(): void {
    this.#socket.end();
  }
}

for (let lane = 0; lane < LANES; lane += 1) run();

function run(): void {
  const source = values.from === undefined ? undefined : new Wire(values.from);
  const target = values.to === undefined ? undefined : new Wire(values.to);
  const ask = Buffer.alloc(ASK_BYTES, 'a');
  const put = Buffer.alloc(BUFFER_BYTES, 'p');
  const step = (): void => {
    const size = sizes[next];
    next += 1;
    if (size === undefined) {
      source?.end();
      target?.end();
    } else if (source) {
      writeSize(ask, size);
      source.send(ask, GIVE_BYTES + size, () => write(size));
    } else {
      write(size);
    }
  };
  const write = (size: number): void => {
    writeSize(put, size);
    if (target) target.send(put.subarray(0, HEAD_BYTES + size), DONE_BYTES, step);
    else step();
  };
  step();
}
