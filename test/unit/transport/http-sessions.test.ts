/** Several requests over one pool, beside undici: the same answers, and connections used again by the same rule. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Client } from 'undici';
import { makeCertificate } from '../../../bench/support/certificate.ts';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { WireError } from '../../../src/transport/http-types.ts';
import { type AnswerModel, anyAnswer, encodeAnswer } from './answers.ts';
import { CORPUS } from './corpus.ts';
import { answer, makeRequest, type Peer, type RawServer, startRaw } from './raw-server.ts';

const HERE = makeCertificate({ names: ['127.0.0.1'] });
/** As much as one read of ours takes of a head. */
const HEAD_BYTES_MAX = 32 * 1024;

interface Step {
  readonly method: 'GET' | 'HEAD' | 'PUT';
  readonly bodyBytes: number;
  readonly raw: string;
  /** Where the answer is cut into reads. */
  readonly cuts: readonly number[];
  /** The server ends the connection behind its answer. */
  readonly ends: boolean;
  /** The answer says `Connection: close`: whether or not the server ends it, the connection is not used again. */
  readonly saysClose: boolean;
}

interface Taken {
  readonly status: number;
  readonly body: string;
  /** Over the how manyeth connection the request came. */
  readonly connection: number;
}

/** Both clients ask their own one of these the same requests in the same order. */
class Script {
  readonly server: RawServer;
  readonly #steps: readonly Step[];
  #next = 0;
  readonly connections: number[] = [];
  #answered: Promise<void> = Promise.resolve();

  private constructor(server: RawServer, steps: readonly Step[]) {
    this.server = server;
    this.#steps = steps;
  }

  static async start(steps: readonly Step[], isTls: boolean): Promise<Script> {
    let script: Script | undefined;
    const onRequest = (peer: Peer): void => {
      if (script) script.#answered = script.#answer(peer);
    };
    const server = await startRaw({ onRequest }, isTls ? HERE : undefined);
    script = new Script(server, steps);
    return script;
  }

  /** Resolves when the last answer is out, and the connection closed if the server ended it. */
  async settled(): Promise<void> {
    await this.#answered;
    await this.server.closedSoFar();
  }

  async #answer(peer: Peer): Promise<void> {
    const step = this.#steps[this.#next];
    this.#next += 1;
    this.connections.push(peer.number);
    await peer.send(step?.raw ?? '', step?.cuts ?? []);
    if (step?.ends) peer.end();
  }
}

async function ours(steps: readonly Step[], isTls: boolean): Promise<readonly (Taken | string)[]> {
  const script = await Script.start(steps, isTls);
  const { port } = script.server;
  const pool = new HttpPool({ isTls, host: '127.0.0.1', port }, { verifies: true, ca: [HERE.cert] });
  try {
    return await inTurn(steps, script, async ({ method, bodyBytes }) => {
      const body = bodyBytes === 0 ? {} : { body: Buffer.alloc(bodyBytes, 7) };
      const { status, body: collected } = await pool.request(makeRequest({ method, ...body }));
      return { status, body: collected.toString('latin1') };
    });
  } finally {
    pool.close();
    await script.server.close();
  }
}

async function theirs(steps: readonly Step[], isTls: boolean): Promise<readonly (Taken | string)[]> {
  const script = await Script.start(steps, isTls);
  const client = new Client(`${isTls ? 'https' : 'http'}://127.0.0.1:${script.server.port}`, {
    maxHeaderSize: HEAD_BYTES_MAX,
    ...(isTls ? { connect: { ca: HERE.cert } } : {}),
  });
  try {
    return await inTurn(steps, script, async ({ method, bodyBytes }) => {
      const body = bodyBytes === 0 ? {} : { body: Buffer.alloc(bodyBytes, 7) };
      const { statusCode, body: stream } = await client.request({ method, path: '/object', ...body });
      return { status: statusCode, body: Buffer.from(await stream.arrayBuffer()).toString('latin1') };
    });
  } finally {
    await client.destroy();
    await script.server.close();
  }
}

async function inTurn(
  steps: readonly Step[],
  script: Script,
  send: (step: Step) => Promise<Omit<Taken, 'connection'>>,
): Promise<readonly (Taken | string)[]> {
  const taken: (Taken | string)[] = [];
  for (const step of steps) {
    try {
      const got = await send(step);
      taken.push({ ...got, connection: script.connections.at(-1) ?? -1 });
      // The end that the server announced, or did not, is seen before the next request.
      if (step.ends) await script.settled();
    } catch (error) {
      taken.push((error as Error).message || 'failed');
    }
  }
  return taken;
}

function withoutConnection(one: Taken | string): unknown {
  return typeof one === 'string' ? one : { status: one.status, body: one.body };
}

/** What undici takes as it is meant: it refuses 100 Continue to what sent no Expect, and blanks behind a chunk size. */
function proper(model: AnswerModel): AnswerModel {
  const extension = model.extension.startsWith(';') ? model.extension : '';
  return { ...model, interims: model.interims.filter((status) => status !== 100), extension };
}

const anyStep: fc.Arbitrary<Step> = fc
  .record({
    method: fc.constantFrom('GET' as const, 'HEAD' as const, 'PUT' as const),
    bodyBytes: fc.constantFrom(1, 5_000, 100_000),
    model: anyAnswer,
    cuts: fc.array(fc.nat(2_000), { maxLength: 8 }),
    closing: fc.constantFrom('no', 'no', 'said', 'unsaid', 'only-said'),
  })
  .map(({ method, bodyBytes, model, cuts, closing }) => {
    const saysClose = closing === 'said' || closing === 'only-said';
    const connection: [string, string][] = saysClose ? [['connection', 'close']] : [];
    const encoded = encodeAnswer(proper({ ...model, headers: [...model.headers, ...connection] }));
    const isBare = method === 'HEAD';
    // The answer to HEAD has the head of a GET's and no body.
    const raw = isBare ? encoded.slice(0, headEnd(encoded, model)) : encoded;
    const ends = closing === 'said' || closing === 'unsaid' || (model.framing === 'close' && !isBare);
    return { method, bodyBytes: method === 'PUT' ? bodyBytes : 0, raw, cuts, ends, saysClose };
  });

function headEnd(encoded: string, model: AnswerModel): number {
  let end = 0;
  for (let heads = 0; heads <= proper(model).interims.length; heads += 1) {
    end = encoded.indexOf('\r\n\r\n', end) + 4;
  }
  return end;
}

for (const { scheme, runs } of [
  { scheme: 'http', runs: 120 },
  { scheme: 'https', runs: 40 },
]) {
  const isTls = scheme === 'https';

  describe(`HttpPool beside undici, request after request over ${scheme}`, () => {
    it('takes the same answers from as many connections, which are used again behind a whole answer only', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 6 }), async (steps) => {
          const [we, they] = await Promise.all([ours(steps, isTls), theirs(steps, isTls)]);
          assert.deepEqual(we.map(withoutConnection), they.map(withoutConnection));
          // undici uses no connection again that answered a HEAD.
          if (steps.every(({ method }) => method !== 'HEAD')) assert.deepEqual(we, they);
          let connection = 0;
          for (const [index, step] of steps.entries()) {
            const one = we[index];
            assert.ok(typeof one === 'object', String(one));
            assert.equal(one.connection, connection);
            if (step.ends || step.saysClose) connection += 1;
          }
        }),
        { numRuns: runs },
      );
    });

    it('does not take what comes behind a body that filled its destination for the next answer', async (t) => {
      const server = await startRaw(
        {
          onRequest: async (peer, { head }) => {
            if (head.startsWith('GET /next ')) {
              await peer.send(answer('right'));
              return;
            }
            // The head by itself, so that the body is read into its destination, to the last byte and no further.
            await peer.send(answer('0123456789').slice(0, -10));
            for (let turns = 0; turns < 3; turns += 1) await turn();
            await peer.send(`0123456789${answer('wrong')}`);
          },
        },
        isTls ? HERE : undefined,
      );
      const tls = { verifies: true, ca: [HERE.cert] };
      const pool = new HttpPool({ isTls, host: '127.0.0.1', port: server.port }, tls);
      t.after(async () => {
        pool.close();
        await server.close();
      });
      for (let round = 0; round < 20; round += 1) {
        await pool.request(makeRequest({ into: Buffer.alloc(10) }));
        const next = () => pool.request(makeRequest({ target: '/next' }));
        const { body } = await next().catch((error: unknown) => {
          assert.ok(error instanceof WireError && error.fault === 'stale', String(error));
          return next();
        });
        assert.equal(body.toString(), 'right');
      }
    });

    it('takes heads of up to 32 KiB, in whatever pieces they come, and refuses what undici refuses', async () => {
      for (const bytes of [8_000, 16_500, 32_000, HEAD_BYTES_MAX, HEAD_BYTES_MAX + 1, 40_000]) {
        const raw = answer('body', '200 OK', paddingTo(bytes));
        for (const cuts of [[], [1], [bytes - 1], [bytes - 3, bytes - 2], [16_384, 32_768]]) {
          const step = { method: 'GET', bodyBytes: 0, raw, cuts, ends: false, saysClose: false } as const;
          const [we, they] = await Promise.all([ours([step], isTls), theirs([step], isTls)]);
          const isTaken = bytes <= HEAD_BYTES_MAX;
          assert.equal(
            typeof we[0] === 'object',
            isTaken,
            `${bytes} bytes, cut at ${cuts}: ${JSON.stringify(we)}`,
          );
          // It counts without line ends, so at the very border it is more lenient.
          if (bytes <= HEAD_BYTES_MAX || bytes >= 40_000) assert.equal(typeof they[0] === 'object', isTaken);
        }
      }
    });
  });
}

/** A header that makes the head of `answer('body')` so long. */
function paddingTo(bytes: number): string {
  const least = answer('', '200 OK', 'X-Padding: \r\n').replace('Content-Length: 0', 'Content-Length: 4');
  return `X-Padding: ${'x'.repeat(bytes - least.length)}\r\n`;
}

describe('HttpPool over TLS beside undici', () => {
  it('makes of every answer of the corpus what it makes of it without TLS, cut anywhere', async () => {
    for (const [number, one] of CORPUS.entries()) {
      const method = one.method ?? 'GET';
      const cuts = Array.from(
        { length: 5 },
        (_, index) => (number * 131 + index * index * 37) % one.raw.length,
      );
      const step = { method, bodyBytes: 0, raw: one.raw, cuts, ends: true, saysClose: false } as const;
      const [plain, secured] = await Promise.all([ours([step], false), ours([step], true)]);
      assert.deepEqual(secured, plain, one.name);
      assert.equal(typeof secured[0] === 'object', !('fault' in one.expected), one.name);
    }
  });
});

describe('HttpPool and answers that come before the body is there', () => {
  const body = Buffer.alloc(8 * 1024 ** 2, 7);
  for (const isTls of [false, true]) {
    const over = isTls ? 'https' : 'http';

    it(`gives a refusal on as undici does, over ${over}, and does not use the connection again`, async () => {
      for (const status of ['403 Forbidden', '503 Slow Down', '412 Precondition Failed']) {
        const { we, they, open } = await early(answer('<Error/>', status), body, isTls);
        assert.deepEqual(we, they);
        assert.deepEqual(we, { status: Number(status.slice(0, 3)), body: '<Error/>' });
        assert.equal(open, 0);
      }
    });

    it(`calls success before the body was there no success, over ${over}, which undici does`, async () => {
      const { we, they, open } = await early(answer('stored'), body, isTls);
      assert.match(String(we), /success before it had the whole body/);
      assert.deepEqual(they, { status: 200, body: 'stored' });
      assert.equal(open, 0);
    });

    it(`sends the body behind 100 Continue that nobody asked for, over ${over}`, async () => {
      const server = await startRaw(
        {
          onHead: (peer) => peer.socket.write('HTTP/1.1 100 Continue\r\n\r\n'),
          onRequest: (peer, request) => peer.send(answer(String(request.body.equals(body)))),
        },
        isTls ? HERE : undefined,
      );
      const origin = { isTls, host: '127.0.0.1', port: server.port };
      const pool = new HttpPool(origin, { verifies: true, ca: [HERE.cert] });
      try {
        const request = makeRequest({ method: 'PUT', body });
        assert.equal((await pool.request(request)).body.toString(), 'true');
        assert.equal((await pool.request(request)).body.toString(), 'true');
        assert.equal(server.peers.length, 1);
      } finally {
        pool.close();
        await server.close();
      }
    });
  }
});

type EarlyAnswer = { readonly status: number; readonly body: string } | string;

/** A server that answers on the head and takes nothing of the body until then. */
async function early(
  raw: string,
  body: Buffer,
  isTls: boolean,
): Promise<{ readonly we: EarlyAnswer; readonly they: EarlyAnswer; readonly open: number }> {
  const onHead = (peer: Peer): void => {
    peer.socket.pause();
    peer.socket.write(raw, () => peer.socket.resume());
  };
  const server = await startRaw({ onHead }, isTls ? HERE : undefined);
  const pool = new HttpPool(
    { isTls, host: '127.0.0.1', port: server.port },
    { verifies: true, ca: [HERE.cert] },
  );
  const client = new Client(`${isTls ? 'https' : 'http'}://127.0.0.1:${server.port}`, {
    ...(isTls ? { connect: { ca: HERE.cert } } : {}),
  });
  try {
    const we = await pool.request(makeRequest({ method: 'PUT', body })).then(
      (response) => ({ status: response.status, body: response.body.toString() }),
      (error: Error) => error.message,
    );
    const open = pool.openConnections;
    const they = await client.request({ method: 'PUT', path: '/object', body }).then(
      async (response) => ({ status: response.statusCode, body: await response.body.text() }),
      (error: Error) => error.message,
    );
    return { we, they, open };
  } finally {
    pool.close();
    await client.destroy();
    await server.close();
  }
}
