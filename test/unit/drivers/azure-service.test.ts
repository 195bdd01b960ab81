/**
 * What Azurite does not answer: a small server that gives what the REST reference says Azure does
 * (https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api), one answer per request.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { isStorageError, type StorageError } from '../../../src/core/errors.ts';
import type { TokenSource } from '../../../src/drivers/access-token.ts';
import { blockNameIn } from '../../../src/drivers/azure/azure-block-ids.ts';
import { openAzureDriver } from '../../../src/drivers/azure/azure-driver.ts';
import { entraTokens } from '../../../src/drivers/azure/azure-token.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { AzureAccess, AzureSpec } from '../../../src/drivers/spec.ts';

const CTX = { signal: new AbortController().signal };
const KEY = Buffer.from('a key for tests alone').toString('base64');
const SIGNATURE = 'c2VjcmV0+signature/=';
const SAS = `sv=2021-12-02&sr=c&sp=rwdl&sig=${encodeURIComponent(SIGNATURE)}`;
const BLOB = { 'x-ms-blob-type': 'BlockBlob', etag: '"0x1"', 'content-length': '0' };
const FLAT = { headers: { 'x-ms-is-hns-enabled': 'false' } };

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}
type Script = (request: IncomingMessage, count: number) => Answer;

/** @param script asked for each request but that for the kind of account, which comes first. */
async function serve(t: TestContext, script: Script, account: Answer = FLAT): Promise<string> {
  let count = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const isAccount = request.url?.includes('restype=account') === true;
      const { status = 200, headers = {}, body = '' } = isAccount ? account : script(request, count++);
      response.writeHead(status, { 'x-ms-request-id': '1', ...headers }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`;
}

function specOf(endpoint: string, access: AzureAccess): AzureSpec {
  return {
    kind: 'azure',
    accountName: 'account',
    container: 'container',
    endpoint,
    rootDirectory: '',
    hasSlashRoot: false,
    access,
    skipsTlsVerify: false,
  };
}

interface Opened {
  readonly tokens?: TokenSource;
  readonly onNotice?: (sentence: string) => void;
  readonly pageNamesMax?: number;
}

async function open(t: TestContext, endpoint: string, access: AzureAccess, options: Opened = {}) {
  const driver = await openAzureDriver({ storage: specOf(endpoint, access), engine: 'direct' }, options);
  t.after(() => driver.close());
  return driver;
}

async function refusal(call: Promise<unknown>): Promise<StorageError> {
  const error = await call.then(
    () => assert.fail('it succeeded'),
    (one: unknown) => one,
  );
  if (!isStorageError(error)) throw error;
  return error;
}

const BY_KEY: AzureAccess = { type: 'shared-key', accountKey: KEY };

describe('an account', () => {
  for (const [what, answer, order, hasFolders] of [
    ['is flat', FLAT, 'bytes', false],
    ['is hierarchical', { headers: { 'x-ms-is-hns-enabled': 'true' } }, 'unsorted', true],
    ['says nothing of hierarchies', {}, 'bytes', false],
    ['may not be asked', { status: 403 }, 'unsorted', false],
  ] as const) {
    it(`that ${what} lists ${order === 'bytes' ? 'by bytes' : 'in no order that is known'}`, async (t) => {
      const driver = await open(t, await serve(t, () => ({}), answer), BY_KEY);
      assert.deepEqual([driver.facts.listOrder, driver.facts.hasFolders], [order, hasFolders]);
    });
  }
});

function listing(names: readonly string[], next: string): Answer {
  const blobs = names.map(
    (name) =>
      `<Blob><Name>${name}</Name><Properties><Content-Length>1</Content-Length><Etag>0x1</Etag><BlobType>BlockBlob</BlobType></Properties></Blob>`,
  );
  return {
    body: `<?xml version="1.0"?><EnumerationResults><Blobs>${blobs.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`,
  };
}

describe('a listing', () => {
  it('goes on behind short and empty pages until there is no marker', async (t) => {
    const pages = [listing(['a'], 'm1'), listing([], 'm2'), listing(['b', 'c'], 'm3'), listing([], '')];
    const markers: (string | null)[] = [];
    const endpoint = await serve(t, ({ url }, count) => {
      markers.push(new URL(url ?? '', 'http://x').searchParams.get('marker'));
      return pages[count] ?? {};
    });
    const keys: string[] = [];
    const driver = await open(t, endpoint, BY_KEY);
    for await (const { objects } of driver.list(CTX, { prefix: '' }))
      keys.push(...objects.map(({ key }) => key));
    assert.deepEqual(
      [keys, markers],
      [
        ['a', 'b', 'c'],
        [null, 'm1', 'm2', 'm3'],
      ],
    );
  });

  it('of a hierarchical account gives all that is behind a key, in whatever order, to its very end', async (t) => {
    const pages = [listing(['a/x', 'a-b', 'd'], 'm1'), listing(['b', 'a0'], '')];
    const hierarchical = { headers: { 'x-ms-is-hns-enabled': 'true' } };
    const endpoint = await serve(t, (_, count) => pages[count] ?? {}, hierarchical);
    const driver = await open(t, endpoint, BY_KEY);
    const keys: string[] = [];
    for await (const { objects } of driver.list(CTX, { prefix: '', after: 'a/a', upTo: 'b' }))
      keys.push(...objects.map(({ key }) => key));
    assert.deepEqual(keys, ['a/x', 'd', 'b', 'a0']);
  });
});

/** As the service lists: by prefix, delimiter and marker, which here is the last name that was given. */
function container(keys: readonly string[], asked: URLSearchParams[]): Script {
  return ({ url }) => {
    const query = new URL(url ?? '', 'http://x').searchParams;
    asked.push(query);
    const prefix = query.get('prefix') ?? '';
    const marker = query.get('marker') ?? '';
    const most = Number(query.get('maxresults'));
    const names = keys
      .filter((key) => key.startsWith(prefix))
      .map((key) => {
        const slash = query.has('delimiter') ? key.indexOf('/', prefix.length) : -1;
        return slash < 0 ? key : key.slice(0, slash + 1);
      });
    const behind = [...new Set(names)].sort(compareUtf8).filter((name) => name > marker);
    const given = behind.slice(0, most);
    const next = behind.length > most ? (given.at(-1) ?? '') : '';
    const objects = given.filter((name) => keys.includes(name));
    const folders = given.filter((name) => !keys.includes(name));
    const page = listing(objects, next).body ?? '';
    const xml = folders.map((name) => `<BlobPrefix><Name>${name}</Name></BlobPrefix>`).join('');
    return { body: page.replace('</Blobs>', `${xml}</Blobs>`) };
  };
}

describe('a listing behind a key', () => {
  const parts = fc.constantFrom('a', 'b', 'c-', 'c', 'd.', '0', '/');
  const text = fc.array(parts, { maxLength: 6 }).map((some) => some.join(''));

  it('gives all that is wanted and in order, whatever lies in front and in folders', async (t) => {
    let keys: readonly string[] = [];
    let walked = 0;
    const endpoint = await serve(t, (request, count) => {
      if (request.url?.includes('delimiter=')) walked += 1;
      return container(keys, [])(request, count);
    });
    const driver = await open(t, endpoint, BY_KEY, { pageNamesMax: 2 });
    const property = fc.asyncProperty(
      fc.array(text, { minLength: 8, maxLength: 30 }),
      text,
      text,
      fc.option(text),
      async (some, prefix, after, upTo) => {
        keys = [...new Set(some)].filter((key) => key !== '' && !key.endsWith('/'));
        const listed: string[] = [];
        const query = { prefix, ...(after === '' ? {} : { after }), ...(upTo === null ? {} : { upTo }) };
        for await (const { objects } of driver.list(CTX, query))
          listed.push(...objects.map(({ key }) => key));
        const isWanted = (key: string) => key.startsWith(prefix) && key > after;
        const isNear = (key: string) => upTo === null || key <= upTo;
        assert.deepEqual(
          listed.filter(isNear),
          keys.filter((key) => isWanted(key) && isNear(key)).sort(),
          JSON.stringify(query),
        );
        assert.deepEqual(listed, listed.filter(isWanted).toSorted(), 'nothing else, and in order');
      },
    );
    await fc.assert(property, { numRuns: 300 });
    assert.ok(walked > 20, `folders were looked at ${walked} times`);
  });

  it('passes through a folder of more entries than are worth a request each', async (t) => {
    const keys = Array.from({ length: 100 }, (_, number) => `f/${String(number).padStart(3, '0')}`);
    const asked: URLSearchParams[] = [];
    const driver = await open(t, await serve(t, container(keys, asked)), BY_KEY, { pageNamesMax: 2 });
    const listed: string[] = [];
    for await (const { objects } of driver.list(CTX, { prefix: 'f/', after: 'f/090' }))
      listed.push(...objects.map(({ key }) => key));
    assert.deepEqual(listed, keys.slice(91));
    assert.ok(
      asked.some((query) => query.has('delimiter')),
      'its entries were counted',
    );
  });

  it('does not read a container from its beginning', async (t) => {
    const hex = Array.from({ length: 256 }, (_, number) => number.toString(16).padStart(2, '0'));
    const keys = hex.flatMap((folder) => hex.slice(0, 16).map((name) => `d/sha256/${folder}/${name}/data`));
    const asked: URLSearchParams[] = [];
    const driver = await open(t, await serve(t, container(keys, asked)), BY_KEY, { pageNamesMax: 10 });
    for await (const { objects } of driver.list(CTX, { prefix: 'd/', after: 'd/sha256/f0/07/x' })) {
      assert.equal(objects[0]?.key, 'd/sha256/f0/08/data');
      break;
    }
    assert.ok(asked.length < 50, `${asked.length} requests for a page that 384 are in front of`);
  });
});

describe('a key of the account', () => {
  it('signs by the clock of the server once that refused ours, and says so', async (t) => {
    const ahead = 60 * 60_000;
    const dates: string[] = [];
    const endpoint = await serve(t, ({ headers }) => {
      const date = String(headers['x-ms-date']);
      dates.push(date);
      const serverMs = Date.now() + ahead;
      if (Math.abs(Date.parse(date) - serverMs) < 15 * 60_000) return { headers: BLOB };
      const said = { 'x-ms-error-code': 'AuthenticationFailed', date: new Date(serverMs).toUTCString() };
      return { status: 403, headers: said };
    });
    const notices: string[] = [];
    const driver = await open(t, endpoint, BY_KEY, { onNotice: (sentence) => notices.push(sentence) });
    assert.equal((await driver.stat(CTX, 'a')).sizeBytes, 0);
    assert.equal((await driver.stat(CTX, 'b')).sizeBytes, 0);
    assert.equal(dates.length, 3, 'only the first one was refused');
    assert.equal(notices.length, 1);
    assert.match(notices[0] ?? '', /60 minutes behind/);
  });

  it('that is wrong is refused at once, as there is nothing to mend', async (t) => {
    let count = 0;
    const endpoint = await serve(t, () => {
      count += 1;
      return { status: 403, headers: { 'x-ms-error-code': 'AuthenticationFailed' } };
    });
    const error = await refusal((await open(t, endpoint, BY_KEY)).stat(CTX, 'a'));
    assert.deepEqual([error.kind, error.details.scope, count], ['denied', 'backend', 1]);
  });

  it('signs the very request that is sent: path, query, length and sums', async (t) => {
    const endpoint = await serve(t, ({ method, url = '', headers }) => {
      const names = [
        'content-encoding',
        'content-language',
        'content-length',
        'content-md5',
        'content-type',
        'date',
      ];
      names.push('if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range');
      const places = names.map((name) => headers[name] ?? '').map((value) => (value === '0' ? '' : value));
      const own = Object.keys(headers).filter((name) => name.startsWith('x-ms-'));
      const lines = own.sort().map((name) => `${name}:${headers[name]}`);
      const { pathname, searchParams } = new URL(url, 'http://x');
      const query = [...searchParams].sort().map(([name, value]) => `${name}:${value}`);
      const text = [method, ...places, ...lines, `/account${pathname}`, ...query].join('\n');
      const signature = createHmac('sha256', Buffer.from(KEY, 'base64')).update(text).digest('base64');
      const isRight = headers.authorization === `SharedKey account:${signature}`;
      if (!isRight) return { status: 403 };
      return { status: method === 'DELETE' ? 202 : 201, headers: { etag: '"0x1"' } };
    });
    const driver = await open(t, endpoint, BY_KEY);
    await driver.write(CTX, '/docker/a b+é', bodyOfBytes(Buffer.from('bytes')), {});
    await driver.remove(CTX, 'x');
  });
});

describe('a shared access signature', () => {
  it('stands in the query of each request, and in no error', async (t) => {
    const asked: string[] = [];
    const endpoint = await serve(t, ({ url = '' }) => {
      asked.push(url);
      const body = `<Error><Code>AuthenticationFailed</Code><Message>Not ${url.replaceAll('&', '&amp;')} nor ${SIGNATURE}</Message></Error>`;
      return { status: 403, headers: { 'x-ms-error-code': 'AuthenticationFailed' }, body };
    });
    const driver = await open(t, endpoint, { type: 'sas', token: SAS });
    const error = await refusal(driver.read(CTX, 'a', new Uint8Array(3), {}));
    assert.deepEqual(asked, [`/account/container/a?${SAS}`], 'asked once: it cannot be renewed');
    assert.match(error.hint ?? '', /SAS/);
    const shown = JSON.stringify([
      error.message,
      error.hint,
      error.details,
      driver.name,
      String(error.cause),
    ]);
    for (const secret of [SIGNATURE, encodeURIComponent(SIGNATURE), 'c2VjcmV0'])
      assert.ok(!shown.includes(secret), shown);
    const driverOfList = await open(t, endpoint, { type: 'sas', token: SAS });
    await refusal(driverOfList.list(CTX, { prefix: '' })[Symbol.asyncIterator]().next());
    assert.match(asked[1] ?? '', /\?restype=container&.*&sv=2021-12-02&/);
  });
});

describe('a token of Entra ID', () => {
  const access: AzureAccess = {
    type: 'client-secret',
    tenantId: 't',
    clientId: 'c',
    secret: 's3cr3t-of-app',
  };

  for (const [status, code] of [
    [401, 'InvalidAuthenticationInfo'],
    [403, 'AuthenticationFailed'],
  ] as const) {
    it(`is asked for once, sent as it is, and renewed when it is refused with ${status}`, async (t) => {
      let given = 0;
      const tokens = async () => ({ token: `token-${++given}`, expiresAtMs: Date.now() + 3_600_000 });
      const sent: (string | undefined)[] = [];
      const endpoint = await serve(t, ({ headers: { authorization } }, count) => {
        sent.push(authorization);
        return count === 0 ? { status, headers: { 'x-ms-error-code': code } } : { headers: BLOB };
      });
      const driver = await open(t, endpoint, access, { tokens });
      await driver.stat(CTX, 'a');
      await Promise.all([driver.stat(CTX, 'b'), driver.stat(CTX, 'c')]);
      assert.deepEqual(sent, ['Bearer token-1', 'Bearer token-2', 'Bearer token-2', 'Bearer token-2']);
      assert.equal(given, 2);
    });
  }

  it('that is not given out is an error of the backend without the secret', async () => {
    const failing = (statusCode: number | undefined) =>
      entraTokens(
        'azure://a/c',
        { type: 'client-secret', tenantId: 't', clientId: 'c', secret: 's3cr3t-of-app' },
        async () => ({
          getToken: async () => {
            throw Object.assign(new Error('AADSTS7000215: s3cr3t-of-app is not it'), { statusCode });
          },
        }),
      );
    const denied = await refusal(failing(401)());
    assert.deepEqual(
      [denied.kind, denied.details.scope, denied.details.isTransient, denied.details.status],
      ['denied', 'backend', false, 401],
    );
    assert.ok(!denied.message.includes('s3cr3t-of-app') && denied.cause === undefined, denied.message);
    assert.match(denied.hint ?? '', /tenantid, clientid and secret/);
    const away = await refusal(failing(undefined)());
    assert.deepEqual(
      [away.kind, away.details.isTransient, away.details.scope],
      ['unavailable', true, 'object'],
    );
  });

  it("comes from Azure's own library, which is opened once", async () => {
    let opened = 0;
    const scopes: unknown[] = [];
    const tokens = entraTokens('azure://a/c', { type: 'default' }, async () => {
      opened += 1;
      return {
        getToken: async (scope) => {
          scopes.push(scope);
          return { token: 'abc', expiresOnTimestamp: 5 };
        },
      };
    });
    assert.deepEqual(
      await Promise.all([tokens(), tokens()]),
      Array(2).fill({ token: 'abc', expiresAtMs: 5 }),
    );
    assert.deepEqual([opened, scopes], [1, Array(2).fill('https://storage.azure.com/.default')]);
  });
});

describe('what is written', () => {
  it('brings no MD5 where the service was seen to ignore it, and no part says that it was compared', async (t) => {
    const sent: IncomingMessage['headers'][] = [];
    const endpoint = await serve(t, (request) => {
      sent.push(request.headers);
      return { status: 201, headers: { etag: '"0x1"' } };
    });
    const binding = {
      payloadSha256: false,
      contentMd5: false,
      partCrc32: false,
      objectCrc32: false,
      storesSha256: false,
    };
    const storage = specOf(endpoint, BY_KEY);
    const driver = await openAzureDriver({ storage, engine: 'direct', binding });
    t.after(() => driver.close());
    const body = bodyOfBytes(Buffer.from('abc'));
    await driver.write(CTX, 'a', body, {});
    const upload = await driver.multipart.begin(CTX, 'b');
    const receipt = await driver.multipart.putPart(CTX, upload, { number: 1, offset: 0, body });
    assert.equal(receipt.md5, undefined);
    assert.deepEqual(blockNameIn(upload.id, receipt.tag), { number: 1 });
    assert.deepEqual([sent[0]?.['content-md5'], sent[2]?.['content-md5']], [undefined, undefined]);
  });

  it('has the attributes of the configuration, in one piece and in blocks', async (t) => {
    const sent: { readonly what: string; readonly headers: IncomingMessage['headers'] }[] = [];
    let mark = '';
    const endpoint = await serve(t, (request) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
      const isMark = pathname.includes('blobferry-uploads');
      const what = `${request.method} ${isMark ? 'mark' : (searchParams.get('comp') ?? 'blob')}`;
      sent.push({ what, headers: request.headers });
      if (what === 'PUT mark') mark = 'b';
      if (what === 'GET mark') return { status: 200, headers: { etag: '"0x1"' }, body: mark };
      return { status: 201, headers: { etag: '"0x1"' } };
    });
    const storage = { ...specOf(endpoint, BY_KEY), accessTier: 'Cool', encryptionScope: 'scope' };
    const driver = await openAzureDriver({ storage, engine: 'direct' });
    t.after(() => driver.close());
    const body = bodyOfBytes(Buffer.from('abc'));
    await driver.write(CTX, 'a', body, {});
    const upload = await driver.multipart.begin(CTX, 'b');
    const receipt = await driver.multipart.putPart(CTX, upload, { number: 1, offset: 0, body });
    await driver.multipart.complete(CTX, upload, [receipt], { sizeBytes: 3 });
    const attributes = (wanted: string): readonly unknown[] => {
      const found = sent.find(({ what }) => what === wanted)?.headers;
      assert.ok(found, `${wanted} among ${sent.map(({ what }) => what).join()}`);
      return [found['x-ms-access-tier'], found['x-ms-encryption-scope'], found['x-ms-blob-content-type']];
    };
    const whole = ['Cool', 'scope', 'application/octet-stream'];
    assert.deepEqual(attributes('PUT blob'), whole);
    assert.deepEqual(attributes('PUT blocklist'), whole);
    // https://learn.microsoft.com/rest/api/storageservices/put-block: a scope, and no tier or type.
    assert.deepEqual(attributes('PUT block'), [undefined, 'scope', undefined]);
    assert.deepEqual(attributes('PUT mark'), [undefined, 'scope', undefined]);
    const first = sent.find(({ what }) => what === 'PUT blob')?.headers;
    assert.equal(first?.['content-md5'], 'kAFQmDzST7DWlj99KOF/cg==');
  });
});
