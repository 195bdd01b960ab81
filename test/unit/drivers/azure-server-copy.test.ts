/** Requests that make Azure fetch, and what its refusals of them mean; the answers are those of the public reference. */
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { isStorageError, type StorageError } from '../../../src/core/errors.ts';
import { type AzureDriver, openAzureDriver } from '../../../src/drivers/azure/azure-driver.ts';
import type { AzureSpec } from '../../../src/drivers/spec.ts';

const CTX = { signal: new AbortController().signal };
const MIB = 1024 ** 2;
const SIGNATURE = 'Zm9vYmFy+c2ln/=';
const URL_WITH_SECRET = `https://other.blob.core.windows.net/c/k?sv=1&sig=${encodeURIComponent(SIGNATURE)}`;
const SOURCE = {
  key: 'k',
  sizeBytes: 3 * MIB,
  version: '"0x8D"',
  addresses: { addressOf: async () => ({ url: URL_WITH_SECRET, authorization: 'Bearer t0ken-of-source' }) },
};

interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
}

type Answer = readonly [status: number, code?: string, message?: string];

async function open(
  t: TestContext,
  script: (asked: Asked) => Answer,
): Promise<{ driver: AzureDriver; asked: readonly Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const { method = '', headers, url = '' } = request;
      const one = { method, headers, url: new URL(url, 'http://x') };
      const isAccount = one.url.searchParams.has('restype');
      if (!isAccount) asked.push(one);
      const [status, code = '', message = ''] = isAccount ? [200] : script(one);
      const body = code === '' ? '' : `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
      response.writeHead(status, { 'x-ms-request-id': '1', etag: '"1"', 'x-ms-error-code': code }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const storage: AzureSpec = {
    kind: 'azure',
    accountName: 'account',
    container: 'container',
    endpoint: `http://127.0.0.1:${port}/account`,
    rootDirectory: '',
    hasSlashRoot: false,
    access: { type: 'shared-key', accountKey: 'a2V5' },
    skipsTlsVerify: false,
    accessTier: 'Cool',
    encryptionScope: 'mine',
  };
  const driver = await openAzureDriver({ storage, engine: 'direct' });
  t.after(async () => {
    await driver.close();
    server.closeAllConnections();
    server.close();
  });
  return { driver, asked };
}

async function refusal(call: Promise<unknown>): Promise<StorageError> {
  const error = await call.then(
    () => assert.fail('it succeeded'),
    (one: unknown) => one,
  );
  assert.ok(isStorageError(error), String(error));
  return error;
}

describe('AzureDriver.serverCopy', () => {
  it('asks for the bytes of one version, with attributes of its own', async (t) => {
    const { driver, asked } = await open(t, () => [201]);
    assert.deepEqual(await driver.serverCopy.copy(CTX, SOURCE, 'to'), { version: '"1"' });
    const headers = asked[0]?.headers ?? {};
    assert.deepEqual(
      [
        headers['x-ms-copy-source'],
        headers['x-ms-copy-source-authorization'],
        headers['x-ms-copy-source-blob-properties'],
        headers['x-ms-source-if-match'],
        headers['x-ms-blob-type'],
        headers['x-ms-blob-content-type'],
        headers['x-ms-access-tier'],
        headers['x-ms-encryption-scope'],
        headers['content-length'],
      ],
      [
        URL_WITH_SECRET,
        'Bearer t0ken-of-source',
        'false',
        '"0x8D"',
        'BlockBlob',
        'application/octet-stream',
        'Cool',
        'mine',
        '0',
      ],
    );
  });

  it('asks for ranges as blocks', async (t) => {
    const { driver, asked } = await open(t, () => [201]);
    const upload = await driver.serverCopy.begin(CTX, 'to');
    await driver.serverCopy.copyPart(CTX, upload, SOURCE, { number: 2, offset: MIB, sizeBytes: 2 * MIB });
    const { url, headers } = asked[1] ?? assert.fail();
    assert.equal(url.searchParams.get('comp'), 'block');
    assert.deepEqual(
      [headers['x-ms-source-range'], headers['x-ms-source-if-match'], headers['x-ms-access-tier']],
      [`bytes=${MIB}-${3 * MIB - 1}`, '"0x8D"', undefined],
    );
  });

  it('asks for one block and a list where it knows no other way, and then at once', async (t) => {
    const { driver, asked } = await open(t, ({ url }) =>
      url.searchParams.has('comp') ? [201] : [501, 'NotImplemented'],
    );
    for (let count = 0; count < 2; count += 1) await driver.serverCopy.copy(CTX, SOURCE, 'to');
    assert.deepEqual(
      asked.map(({ url }) => url.searchParams.get('comp')),
      [null, 'block', 'blocklist', 'block', 'blocklist'],
    );
  });

  for (const [status, code, kind] of [
    [403, 'CannotVerifyCopySource', 'unsupported'],
    [404, 'CannotVerifyCopySource', 'unsupported'],
    [409, 'CannotVerifyCopySource', 'unsupported'],
    [500, 'CannotVerifyCopySource', 'unsupported'],
    [403, 'AuthenticationFailed', 'unsupported'],
    [409, 'PublicAccessNotPermitted', 'unsupported'],
    [400, 'InvalidHeaderValue', 'unsupported'],
    [412, 'SourceConditionNotMet', 'precondition'],
  ] as const) {
    it(`takes ${code} with status ${status} for a refusal of this object, and repeats no secret`, async (t) => {
      const said = `${URL_WITH_SECRET} ${SIGNATURE} t0ken-of-source`.replaceAll('&', '&amp;');
      const { driver, asked } = await open(t, () => [status, code, said]);
      const error = await refusal(driver.serverCopy.copy(CTX, SOURCE, 'to'));
      const { scope, isTransient } = error.details;
      assert.deepEqual([error.kind, scope, isTransient], [kind, 'object', false]);
      assert.equal(asked.length, 1);
      const everything = inspect(error, { depth: 9, showHidden: true });
      for (const secret of [SIGNATURE, encodeURIComponent(SIGNATURE), 't0ken-of-source'])
        assert.ok(!everything.includes(secret), `${secret} is in ${everything}`);
    });
  }

  it('is tried again where the service is busy', async (t) => {
    const { driver } = await open(t, () => [503, 'ServerBusy']);
    const { details } = await refusal(driver.serverCopy.copy(CTX, SOURCE, 'to'));
    assert.deepEqual([details.kind, details.isTransient], ['throttled', true]);
  });
});
