import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { sha256Hex, signRequest, TEST_SIGNER } from '../../../bench/s3-server/client/sign-request.ts';
import { withServer } from './with-server.ts';

/** A socket whose bytes a test decides one by one. */
class Wire {
  readonly #socket: Socket;
  #received = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
    });
    // Resets are what some of these tests wait for; 'close' follows.
    socket.on('error', () => undefined);
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new Wire(socket);
  }

  send(text: string | Uint8Array): void {
    this.#socket.write(text);
  }

  /** Waits until the answers so far match. */
  async expect(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#received)) {
      if (this.#socket.closed) assert.fail(`Closed after: ${this.#received}`);
      await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'close')]);
    }
    return this.#received;
  }

  async closed(): Promise<string> {
    if (!this.#socket.closed) await once(this.#socket, 'close');
    return this.#received;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

interface Head {
  readonly method: string;
  readonly target: string;
  readonly body?: string | Uint8Array;
  /** Written instead of what fits. */
  readonly fields?: readonly string[];
  readonly payloadHash?: string;
}

function head(port: number, request: Head): string {
  const { body = '', method, target, payloadHash = sha256Hex(body) } = request;
  const { headers } = signRequest(TEST_SIGNER, { method, target, host: `127.0.0.1:${port}`, payloadHash });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const fields = request.fields ?? (body.length > 0 ? [`content-length: ${body.length}`] : []);
  return [`${method} ${target} HTTP/1.1`, ...lines, ...fields, '', ''].join('\r\n');
}

function withWire(run: (wire: Wire, port: number) => Promise<void>): () => Promise<void> {
  return () =>
    withServer({}, async ({ server }) => {
      await server.put('box', [{ key: 'a', body: Buffer.from('hello') }]);
      const wire = await Wire.open(server.port);
      try {
        await run(wire, server.port);
      } finally {
        wire.destroy();
      }
    });
}

const GET = { method: 'GET', target: '/box/a' };

describe('connections', () => {
  it(
    'take a request byte by byte',
    withWire(async (wire, port) => {
      const request = `\r\n${head(port, { method: 'PUT', target: '/box/b', body: 'hello' })}hello`;
      for (const byte of Buffer.from(request)) {
        wire.send(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await wire.expect(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n$/s);
    }),
  );

  it(
    'answer requests that are sent ahead, in their order',
    withWire(async (wire, port) => {
      const put = head(port, { method: 'PUT', target: '/box/b', body: 'hi' });
      wire.send(
        `${head(port, GET)}${put}hi${head(port, { method: 'GET', target: '/box/b' })}${head(port, { method: 'GET', target: '/box/none' })}`,
      );
      const text = await wire.expect(/404 Not Found.*<\/Error>$/s);
      assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), [
        'HTTP/1.1 200',
        'HTTP/1.1 200',
        'HTTP/1.1 200',
        'HTTP/1.1 404',
      ]);
      assert.match(text, /hello.*hi/s);
    }),
  );

  it(
    'close when the client wants it',
    withWire(async (wire, port) => {
      wire.send(head(port, { ...GET, fields: ['Connection: close'] }));
      const text = await wire.closed();
      assert.match(text, /Connection: close\r\n\r\nhello$/);
    }),
  );

  it(
    'say continue before a body, and then take it',
    withWire(async (wire, port) => {
      const fields = ['content-length: 5', 'expect: 100-continue'];
      wire.send(head(port, { method: 'PUT', target: '/box/b', body: 'hello', fields }));
      assert.equal(await wire.expect(/Continue\r\n\r\n$/), 'HTTP/1.1 100 Continue\r\n\r\n');
      wire.send('hello');
      await wire.expect(/HTTP\/1\.1 200 OK/);
    }),
  );

  it(
    'say continue before nothing as well',
    withWire(async (wire, port) => {
      wire.send(
        head(port, {
          method: 'PUT',
          target: '/box/b',
          fields: ['content-length: 0', 'expect: 100-continue'],
        }),
      );
      await wire.expect(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    }),
  );

  it(
    'refuse instead of saying continue, and close',
    withWire(async (wire, port) => {
      const fields = ['content-length: 5', 'expect: 100-continue'];
      wire.send(head(port, { method: 'PUT', target: '/nowhere/b', body: 'hello', fields }));
      const text = await wire.closed();
      assert.match(text, /^HTTP\/1\.1 404 .*Connection: close.*NoSuchBucket/s);
      assert.ok(!text.includes('100 Continue'));
    }),
  );

  it(
    'refuse while a body is still being sent, read it to its end, and go on',
    withWire(async (wire, port) => {
      const body = Buffer.alloc(500_000);
      wire.send(head(port, { method: 'PUT', target: '/nowhere/b', body }));
      wire.send(body.subarray(0, 1000));
      await wire.expect(/^HTTP\/1\.1 404 .*NoSuchBucket.*<\/Error>$/s);
      wire.send(body.subarray(1000));
      wire.send(head(port, GET));
      await wire.expect(/hello$/);
    }),
  );

  it(
    'read chunked bodies that have no other meaning, to their end',
    withWire(async (wire, port) => {
      const fields = ['transfer-encoding: chunked'];
      wire.send(head(port, { method: 'PUT', target: '/box/b', fields }));
      await wire.expect(/411 Length Required/);
      wire.send(`5\r\nhello\r\n0\r\n\r\n${head(port, GET)}`);
      await wire.expect(/hello$/);
    }),
  );

  it(
    'end at a chunked body that is malformed',
    withWire(async (wire, port) => {
      wire.send(head(port, { method: 'PUT', target: '/box/b', fields: ['transfer-encoding: chunked'] }));
      wire.send('zz\r\n');
      await wire.closed();
    }),
  );

  it(
    'take what follows a body for the next request, and close where it is none',
    withWire(async (wire, port) => {
      wire.send(`${head(port, { method: 'PUT', target: '/box/b', body: 'hello' })}hello too much\r\n\r\n`);
      assert.match(
        await wire.closed(),
        /^HTTP\/1\.1 200 OK.*HTTP\/1\.1 400 Bad Request.*Connection: close.*BadRequest/s,
      );
    }),
  );

  it('refuse heads that are too large, malformed or ambiguous, and close', async () => {
    const heads: readonly (readonly [string, string])[] = [
      [`GET / HTTP/1.1\r\nhost: h\r\nlong: ${'x'.repeat(20_000)}\r\n\r\n`, 'RequestHeaderSectionTooLarge'],
      [`GET /${'x'.repeat(20_000)}`, 'RequestHeaderSectionTooLarge'],
      ['GET / HTTP/1.1\r\n\r\n', 'BadRequest'],
      ['nonsense\r\n\r\n', 'BadRequest'],
      ['PUT /box/a HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 'BadRequest'],
      [
        'PUT /box/a HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
        'BadRequest',
      ],
      ['PUT /box/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip\r\n\r\n', 'BadRequest'],
    ];
    for (const [text, code] of heads) {
      await withWire(async (wire) => {
        wire.send(text);
        assert.match(
          await wire.closed(),
          new RegExp(`^HTTP/1\\.1 400 .*Connection: close.*<Code>${code}<`, 's'),
        );
      })();
    }
  });

  it(
    'give a client that is refused time to read why, though it goes on sending',
    withWire(async (wire) => {
      wire.send(`GET / HTTP/1.1\r\nhost: h\r\nlong: ${'x'.repeat(20_000)}`);
      for (let n = 0; n < 20; n += 1) wire.send('x'.repeat(10_000));
      assert.match(await wire.closed(), /RequestHeaderSectionTooLarge/);
    }),
  );

  it(
    'forget a request that ends in its middle',
    withWire(async (wire, port) => {
      wire.send(head(port, { method: 'PUT', target: '/box/b', body: 'hello' }));
      wire.send('he');
      wire.destroy();
      await withServer({}, async () => undefined);
      const other = await Wire.open(port);
      other.send(head(port, { method: 'GET', target: '/box/b' }));
      await other.expect(/404 Not Found/);
      other.destroy();
    }),
  );

  it(
    'send nothing behind the head of a HEAD, a 204 and a 304',
    withWire(async (wire, port) => {
      wire.send(head(port, { method: 'HEAD', target: '/box/a' }));
      const first = await wire.expect(/\r\n\r\n$/);
      assert.match(first, /Content-Length: 5\r\n/);
      wire.send(head(port, { method: 'HEAD', target: '/box/none' }));
      wire.send(head(port, { method: 'DELETE', target: '/box/none' }));
      wire.send(head(port, { ...GET, fields: ['if-none-match: *'] }));
      const text = await wire.expect(/304 Not Modified.*\r\n\r\n$/s);
      for (const response of text.split(/(?=HTTP\/1\.1 )/)) assert.match(response, /^[^<]*\r\n\r\n$/);
    }),
  );
});
