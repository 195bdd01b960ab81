import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { Client } from 'undici';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { WireError } from '../../../src/transport/http-types.ts';
import { type AnswerModel, anyAnswer, encodeAnswer } from './answers.ts';
import { CORPUS, type RawCase } from './corpus.ts';
import { makeRequest, type RawServer, startRaw } from './raw-server.ts';

interface Taken {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Script {
  readonly raw: string;
  readonly cuts: readonly number[];
}

/** One server for all scripts: both clients ask it for the present one, and it ends the connection behind it. */
class Judge {
  #script: Script = { raw: '', cuts: [] };
  readonly #server: RawServer;

  private constructor(server: RawServer) {
    this.#server = server;
  }

  static async start(): Promise<Judge> {
    let judge: Judge | undefined;
    const server = await startRaw({
      onRequest: async (peer) => {
        const { raw, cuts } = judge?.script ?? { raw: '', cuts: [] };
        await peer.send(raw, cuts);
        peer.end();
      },
    });
    judge = new Judge(server);
    return judge;
  }

  get script(): Script {
    return this.#script;
  }

  async both(
    script: Script,
    method: 'GET' | 'HEAD',
  ): Promise<{ ours: Taken | string; theirs: Taken | string }> {
    this.#script = script;
    return { ours: await this.#ours(method), theirs: await this.#theirs(method) };
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #ours(method: string): Promise<Taken | string> {
    const pool = new HttpPool(
      { isTls: false, host: '127.0.0.1', port: this.#server.port },
      { verifies: true },
    );
    try {
      const { status, headers, body } = await pool.request(makeRequest({ method }));
      return { status, headers: Object.fromEntries(headers), body: body.toString('latin1') };
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
      return error.message;
    } finally {
      pool.close();
    }
  }

  async #theirs(method: 'GET' | 'HEAD'): Promise<Taken | string> {
    const client = new Client(`http://127.0.0.1:${this.#server.port}`);
    try {
      const answer = await client.request({ method, path: '/object' });
      const body = Buffer.from(await answer.body.arrayBuffer()).toString('latin1');
      const headers = Object.entries(answer.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.at(-1) : value,
      ]);
      return { status: answer.statusCode, headers: Object.fromEntries(headers), body };
    } catch (error) {
      return (error as Error).message || 'failed';
    } finally {
      await client.destroy();
    }
  }
}

/** undici joins what is sent twice in other ways than we do; neither decides anything here. */
const NOT_COMPARED = ['connection', 'transfer-encoding', 'keep-alive', 'trailer'];

function assertSame(ours: Taken, theirs: Taken): void {
  assert.equal(ours.status, theirs.status);
  assert.equal(ours.body, theirs.body);
  for (const [name, value] of Object.entries(ours.headers)) {
    if (!NOT_COMPARED.includes(name)) assert.equal(value, withoutBlanks(theirs.headers[name] ?? ''), name);
  }
}

describe('HttpPool beside undici', () => {
  let judge: Judge;
  before(async () => {
    judge = await Judge.start();
  });
  after(() => judge.close());

  for (const one of CORPUS) {
    it(`takes ${one.name} as undici does${one.undici ? ', but for the difference that is known' : ''}`, async () => {
      const { ours, theirs } = await judge.both({ raw: one.raw, cuts: [] }, one.method ?? 'GET');
      compareCase(one, ours, theirs);
    });
  }

  it('gives the same status, headers and bytes for any proper answer, however it is cut', async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(anyAnswer, cuts, async (model, places) => {
        const { ours, theirs } = await judge.both({ raw: encodeAnswer(proper(model)), cuts: places }, 'GET');
        assert.ok(typeof ours !== 'string', `ours: ${String(ours)}`);
        assert.ok(typeof theirs !== 'string', `theirs: ${String(theirs)}`);
        assertSame(ours, theirs);
      }),
      { numRuns: 300 },
    );
  });

  it('never takes a damaged answer for another one than undici does', async () => {
    const edit = fc.tuple(fc.nat(1_000), fc.constantFrom('flip', 'drop', 'add', 'cut'), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(anyAnswer, fc.array(edit, { minLength: 1, maxLength: 3 }), async (model, edits) => {
        const raw = damaged(encodeAnswer(proper(model)), edits);
        // undici misreads blanks behind a length or a coding.
        fc.pre(!/^(content-length|transfer-encoding):.*[ \t]\r$/im.test(raw));
        const { ours, theirs } = await judge.both({ raw, cuts: [] }, 'GET');
        if (typeof ours === 'string') return;
        if (typeof theirs !== 'string') assertSame(ours, theirs);
        else assert.ok(isLeniency(raw, theirs), `undici: ${theirs}\n${JSON.stringify(raw)}`);
      }),
      { numRuns: 1_000 },
    );
  });
});

function compareCase(one: RawCase, ours: Taken | string, theirs: Taken | string): void {
  const isGood = !('fault' in one.expected);
  assert.equal(typeof ours !== 'string', isGood, `ours: ${JSON.stringify(ours)}`);
  if (one.undici === 'misreads') return;
  const theirsIsGood = one.undici === undefined ? isGood : one.undici === 'accepts';
  assert.equal(typeof theirs !== 'string', theirsIsGood, `theirs: ${JSON.stringify(theirs)}`);
  if (typeof ours !== 'string' && typeof theirs !== 'string') assertSame(ours, theirs);
}

/** undici refuses 100 Continue, which it never asked for, and blanks behind a chunk size. */
function proper(model: AnswerModel): AnswerModel {
  return {
    ...model,
    interims: model.interims.filter((status) => status !== 100),
    extension: model.extension.startsWith(';') ? model.extension : '',
  };
}

function damaged(raw: string, edits: readonly (readonly [number, string, number])[]): string {
  const bytes = [...Buffer.from(raw, 'latin1')];
  for (const [place, what, value] of edits) {
    const at = place % Math.max(1, bytes.length);
    if (what === 'flip') bytes[at] = value;
    else if (what === 'cut') bytes.length = at;
    else bytes.splice(at, what === 'drop' ? 1 : 0, ...(what === 'add' ? [value] : []));
  }
  return Buffer.from(bytes).toString('latin1');
}

/** Where we take what undici refuses: none of these changes what the status or the body is. */
function isLeniency(raw: string, theirs: string): boolean {
  // Extensions of chunks and trailers are read over, whatever they hold.
  if (/chunked/i.test(raw)) return true;
  // Control characters in a value that we do not look at, and 100 Continue, which undici never asked for.
  return /Invalid header value char|bad response/.test(theirs);
}

function withoutBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}
