/** What Azurite does not do to the SDK engine: refusals, answers that are none, proxies, tokens over TLS. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { makeCertificate } from '../../../bench/support/certificate.ts';
import { isStorageError, type StorageError } from '../../../src/core/errors.ts';
import {
  type AzureSdkDriver,
  type AzureSdkOptions,
  openAzureSdkDriver,
} from '../../../src/drivers/azure/azure-sdk-driver.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Binding } from '../../../src/drivers/driver.ts';
import type { AzureAccess, AzureSpec } from '../../../src/drivers/spec.ts';
import { TestProxy } from '../../support/proxy.ts';

const CTX = { signal: new AbortController().signal };
const KEY = Buffer.from('a key for tests alone').toString('base64');
const SIGNATURE = 'c2VjcmV0+signature/=';
const SAS = `sv=2021-12-02&sr=c&sp=rwdl&sig=${encodeURIComponent(SIGNATURE)}`;
const BY_KEY: AzureAccess = { type: 'shared-key', accountKey: KEY };
const BY_SAS: AzureAccess = { type: 'sas', token: SAS };
const ENTRA: AzureAccess = { type: 'client-secret', tenantId: 't', clientId: 'c', secret: 'hush' };
const MIB = 1024 ** 2;

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Asked {
  readonly request: IncomingMessage;
  /** Of the client. */
  readonly port: number | undefined;
  readonly body: Buffer;
}

interface Service {
  readonly port: number;
  /** Without what is asked of the account when a driver is opened. */
  readonly asked: readonly Asked[];
}

async function serve(
  t: TestContext,
  script: (asked: Asked) => Answer,
  listen = (listener: RequestListener) => createServer(listener),
): Promise<Service> {
  const asked: Asked[] = [];
  const server = listen((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const one = { request, port: request.socket.remotePort, body: Buffer.concat(pieces) };
      const isAccount = request.url?.includes('restype=account') === true;
      if (!isAccount) asked.push(one);
      const { status = 200, headers = {}, body = '' } = isAccount ? {} : script(one);
      response.writeHead(status, { 'x-ms-request-id': '1', ...headers }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked };
}

function specOf(endpoint: string, access: AzureAccess, more: Partial<AzureSpec> = {}): AzureSpec {
  return {
    kind: 'azure',
    accountName: 'account',
    container: 'container',
    endpoint,
    rootDirectory: '',
    hasSlashRoot: false,
    access,
    skipsTlsVerify: false,
    ...more,
  };
}

async function open(
  t: TestContext,
  storage: AzureSpec,
  options: AzureSdkOptions = {},
  binding?: Binding,
): Promise<AzureSdkDriver> {
  const spec = { storage, engine: 'sdk', ...(binding ? { binding } : {}) } as const;
  const driver = await openAzureSdkDriver(spec, options);
  t.after(() => driver.close());
  return driver;
}

function plain({ port }: Service): string {
  return `http://127.0.0.1:${port}/account`;
}

async function refusal(call: Promise<unknown>): Promise<StorageError> {
  const error = await call.then(
    () => assert.fail('it succeeded'),
    (one: unknown) => one,
  );
  assert.ok(isStorageError(error), String(error));
  return error;
}

function refused(status: number, code: string, message = 'no'): Answer {
  return {
    status,
    headers: { 'x-ms-error-code': code, 'content-type': 'application/xml' },
    body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  };
}

const CALLS: Readonly<Record<string, (driver: AzureSdkDriver) => Promise<unknown>>> = {
  list: async (driver) => {
    for await (const _ of driver.list(CTX, { prefix: '' }));
  },
  stat: (driver) => driver.stat(CTX, 'k'),
  read: (driver) => driver.read(CTX, 'k', Buffer.alloc(4), {}),
  write: (driver) => driver.write(CTX, 'k', bodyOfBytes(Buffer.from('x')), {}),
  remove: (driver) => driver.remove(CTX, 'k'),
};

describe('AzureSdkDriver', () => {
  for (const [operation, call] of Object.entries(CALLS)) {
    it(`asks once to ${operation}: whoever owns the retries tries again`, async (t) => {
      const service = await serve(t, () => ({
        ...refused(503, 'ServerBusy'),
        headers: { 'x-ms-error-code': 'ServerBusy', 'retry-after': '7' },
      }));
      const error = await refusal(call(await open(t, specOf(plain(service), BY_KEY))));
      const { kind, isTransient, retryAfterMs } = error.details;
      assert.deepEqual([kind, isTransient, retryAfterMs], ['throttled', true, 7_000]);
      assert.equal(service.asked.length, 1);
    });
  }

  it('lists the tiers of blobs where they are asked for, as an archived one is copied by neither engine', async (t) => {
    const blob =
      '<Blob><Name>k</Name><Properties><Etag>0x1</Etag><Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType><AccessTier>Archive</AccessTier></Properties></Blob>';
    const body = `<?xml version="1.0"?><EnumerationResults><Blobs>${blob}</Blobs><NextMarker/></EnumerationResults>`;
    const service = await serve(t, () => ({ headers: { 'content-type': 'application/xml' }, body }));
    const driver = await open(t, specOf(plain(service), BY_KEY));
    const tiers: unknown[] = [];
    for await (const { objects } of driver.list(CTX, { prefix: '', tellsTier: true }))
      tiers.push(...objects.map(({ tier, archived }) => [tier, archived]));
    assert.deepEqual(tiers, [['Archive', 'yes']]);
  });

  it('refuses a signature that cannot do what it is for, and says of one that has ended that it has', async (t) => {
    const service = await serve(t, () => refused(403, 'AuthenticationFailed'));
    const storage = (sas: string): AzureSpec =>
      specOf(plain(service), { type: 'sas', token: `sv=2021-12-02&sr=c&sig=c2ln&${sas}` });
    const lacking = await refusal(open(t, storage('sp=l'), { role: 'source' }));
    assert.match(lacking.message, /as a source: its SAS lacks read \(r\)$/);
    const notices: string[] = [];
    const onNotice = (sentence: string) => notices.push(sentence);
    const ended = storage('sp=rl&se=2020-01-01T00%3A00%3A00Z');
    const driver = await open(t, ended, { role: 'source', onNotice });
    assert.match(
      notices.join(),
      /^The SAS of .* ended at 2020-01-01 00:00 UTC, by the clock of this machine/,
    );
    const { hint } = await refusal(driver.stat(CTX, 'k'));
    assert.match(hint ?? '', /^The SAS ended at 2020-01-01 00:00 UTC: give a new one/);
  });

  it('says what the direct engine says of a refusal, with no signature in it', async (t) => {
    const said = `Signature not valid: sig=${encodeURIComponent(SIGNATURE)} or ${SIGNATURE}, ?${SAS}`;
    const service = await serve(t, () => refused(403, 'AuthenticationFailed', said.replaceAll('&', '&amp;')));
    const driver = await open(t, specOf(plain(service), BY_SAS));
    const error = await refusal(driver.stat(CTX, 'k'));
    assert.deepEqual([error.kind, error.details.scope], ['denied', 'backend']);
    assert.match(error.hint ?? '', /Check that the SAS is of this account and container/);
    const read = await refusal(driver.read(CTX, 'k', Buffer.alloc(1), {}));
    for (const one of [error, read])
      for (const secret of [SIGNATURE, encodeURIComponent(SIGNATURE)])
        assert.ok(!inspect(one, { depth: 9, showHidden: true }).includes(secret), 'the signature is in it');
  });

  it('sends the signature with every request, and follows nobody who sends it elsewhere', async (t) => {
    const other = await serve(t, () => ({}));
    for (const where of ['', plain(other)]) {
      const service = await serve(t, ({ request }) => ({
        status: 307,
        headers: { location: `${where}/elsewhere${request.url}` },
      }));
      const driver = await open(t, specOf(plain(service), BY_SAS));
      assert.equal((await refusal(driver.stat(CTX, 'k'))).details.status, 307);
      const [first, ...more] = service.asked.map(({ request }) => new URL(request.url ?? '', 'http://x'));
      assert.equal(first?.searchParams.get('sig'), SIGNATURE);
      assert.deepEqual(more, []);
    }
    assert.deepEqual(other.asked, []);
  });

  it('takes no page of somebody else for a blob or a listing', async (t) => {
    const html = { headers: { 'content-type': 'text/html', etag: '"x"' }, body: '<html>ok</html>' };
    const service = await serve(t, () => html);
    const driver = await open(t, specOf(plain(service), BY_KEY));
    assert.equal((await refusal(driver.read(CTX, 'k', Buffer.alloc(4), { isWhole: true }))).kind, 'corrupt');
    assert.equal((await refusal(CALLS['list']?.(driver) ?? assert.fail())).kind, 'corrupt');
  });

  it('never gives a short result for a body that ends early', async (t) => {
    const service = await serve(t, () => ({
      headers: { 'content-length': '10', etag: '"x"', 'x-ms-blob-type': 'BlockBlob', connection: 'close' },
      body: '0123',
    }));
    const driver = await open(t, specOf(plain(service), BY_KEY));
    const call = driver.read(CTX, 'k', Buffer.alloc(10), { isWhole: true });
    assert.equal((await refusal(call)).details.isTransient, true);
  });

  it('reads one object after the other over one connection', async (t) => {
    const body = '0123'.repeat(MIB / 4);
    const service = await serve(t, () => ({
      headers: { 'content-length': String(MIB), etag: '"x"', 'x-ms-blob-type': 'BlockBlob' },
      body,
    }));
    const driver = await open(t, specOf(plain(service), BY_KEY));
    for (let count = 0; count < 3; count += 1) {
      const into = Buffer.alloc(MIB);
      await driver.read(CTX, 'k', into, { isWhole: true });
      assert.ok(into.toString() === body);
    }
    assert.equal(new Set(service.asked.map(({ port }) => port)).size, 1);
  });

  it('binds each request by its MD5, unless the service was seen not to compare it', async (t) => {
    const ok = (): Answer => ({ status: 201, headers: { etag: '"x"' } });
    const service = await serve(t, ok);
    const storage = specOf(plain(service), BY_KEY, { accessTier: 'Cool', encryptionScope: 'mine' });
    const body = { sizeBytes: 9 * MIB, open: () => pieces(9) };
    await (await open(t, storage)).streamUpload.upload(CTX, 'k', body, {});
    const seen = service.asked.map(({ request: { headers }, body: sent }) => [
      headers['content-md5'] !== undefined,
      headers['x-ms-access-tier'],
      headers['x-ms-encryption-scope'],
      headers['x-ms-blob-content-type'],
      sent.length > 1_000 ? sent.length : 0,
    ]);
    assert.deepEqual(seen, [
      [true, undefined, 'mine', undefined, 8 * MIB],
      [true, undefined, 'mine', undefined, MIB],
      [false, 'Cool', 'mine', 'application/octet-stream', 0],
    ]);
    const unbound = { payloadSha256: false, contentMd5: false, partCrc32: false, objectCrc32: false };
    const blind = await open(t, storage, {}, { ...unbound, storesSha256: false });
    await blind.write(CTX, 'k', bodyOfBytes(Buffer.from('x')), {});
    assert.equal(service.asked.at(-1)?.request.headers['content-md5'], undefined);
  });

  it('gives plain requests to a proxy, and tells its refusals from those of the service', async (t) => {
    const service = await serve(t, () => ({ headers: { ...BLOB } }));
    const proxy = await TestProxy.start({});
    t.after(() => proxy.close());
    const { hostname: host, port } = new URL(proxy.url);
    const http = { host, port: Number(port), isTls: false, name: proxy.url };
    const through = (proxied: typeof http): AzureSpec =>
      specOf(plain(service), BY_KEY, { network: { proxies: { http: proxied, exceptions: '' } } });
    await (await open(t, through(http))).stat(CTX, 'k');
    assert.equal(service.asked.length, 1);
    assert.ok(
      proxy.forwarded.some((uri) => uri.startsWith(plain(service))),
      'through the proxy',
    );
    const gone = await refusal((await open(t, through({ ...http, port: 9 }))).stat(CTX, 'k'));
    assert.match(gone.message, /the proxy .* cannot be reached/);
  });

  it('shows tokens of Entra ID over TLS alone, which skipverify opens and nothing else', async (t) => {
    const { cert, key } = makeCertificate({ names: ['127.0.0.1'] });
    const service = await serve(
      t,
      () => ({ headers: BLOB }),
      (listener) => createTlsServer({ cert, key }, listener),
    );
    const endpoint = `https://127.0.0.1:${service.port}/account`;
    let count = 0;
    const tokens = async () => {
      count += 1;
      return { token: `token-${count}`, expiresAtMs: Date.now() + 3_600_000 };
    };
    const distrusting = await open(t, specOf(endpoint, ENTRA), { tokens });
    const { kind, scope } = (await refusal(distrusting.stat(CTX, 'k'))).details;
    assert.deepEqual([kind, scope, service.asked.length], ['unavailable', 'backend', 0]);
    const driver = await open(t, specOf(endpoint, ENTRA, { skipsTlsVerify: true }), { tokens });
    await driver.stat(CTX, 'k');
    await driver.stat(CTX, 'k');
    const shown = service.asked.map(({ request: { headers } }) => headers.authorization);
    assert.deepEqual(shown, [`Bearer token-${count}`, `Bearer token-${count}`]);
    await assert.rejects(open(t, specOf(endpoint.replace('https', 'http'), ENTRA), { tokens }), {
      name: 'ConfigError',
    });
  });
});

const BLOB = { etag: '"x"', 'x-ms-blob-type': 'BlockBlob', 'content-length': '0' };

async function* pieces(mebibytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < mebibytes; at += 1) yield Buffer.alloc(MIB, at);
}
