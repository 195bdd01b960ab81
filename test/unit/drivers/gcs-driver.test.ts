import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { crc32c } from '../../../src/core/crc32c.ts';
import { isStorageError, type StorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Body, StorageDriver } from '../../../src/drivers/driver.ts';
import { allOf, CTX, gcsWorldFor } from '../../support/gcs-world.ts';

const BYTES = Buffer.from('bytes of an object');
const BODY = bodyOfBytes(BYTES);

async function errorOf(call: Promise<unknown>): Promise<StorageError> {
  const error = await call.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(isStorageError(error), String(error));
  return error;
}

/** A body that is read for its checksum first, and is another one when it is sent. */
function turnedOnTheWay(): Body {
  let opened = 0;
  return {
    sizeBytes: BYTES.length,
    async *open() {
      opened += 1;
      yield opened === 1 ? BYTES : Buffer.from('Bytes of an object');
    },
  };
}

async function uploaded(driver: StorageDriver, key: string, body: Body = BODY) {
  const { multipart } = driver;
  assert.ok(multipart);
  const upload = await multipart.begin(CTX, key);
  const part = await multipart.putPart(CTX, upload, { number: 1, offset: 0, body });
  const complete = () => multipart.complete(CTX, upload, [part], { sizeBytes: body.sizeBytes });
  return { upload, part, complete };
}

describe('the driver for Cloud Storage', () => {
  it('binds every body and part by its CRC-32C: what was turned on the way is refused', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    const refused = await errorOf(driver.write(CTX, 'a', turnedOnTheWay(), {}));
    assert.deepEqual([refused.kind, refused.details.backendCode], ['corrupt', 'BadDigest']);
    assert.equal((await errorOf(uploaded(driver, 'a', turnedOnTheWay()))).details.backendCode, 'BadDigest');
    assert.equal(fake.bucket.objects.size, 0);
  });

  it('binds by MD5 where only that was seen to be compared, and by nothing where nothing is', async (t) => {
    const { fake, open } = await gcsWorldFor(t);
    const none = { payloadSha256: false, partCrc32: false, objectCrc32: false, storesSha256: false };
    for (const [contentMd5, expected] of [
      [true, `md5=${hash('md5', BYTES, 'base64')}`],
      [false, undefined],
    ] as const) {
      await open({}, { ...none, contentMd5, crc32c: false }).write(CTX, 'a', BODY, {});
      assert.equal(fake.seen.at(-1)?.headers['x-goog-hash'], expected);
    }
  });

  it('refuses an answer that names other bytes than were sent, or no generation', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    // A field for each, as the service sends them.
    const hashes = ['crc32c=AAAAAA==', `md5=${hash('md5', BYTES, 'base64')}`];
    fake.alter = (_, answer) => ({ ...answer, headers: { ...answer.headers, 'x-goog-hash': hashes } });
    assert.match((await errorOf(driver.write(CTX, 'a', BODY, {}))).message, /holds other bytes/);
    assert.equal(fake.bucket.objects.size, 0, 'what holds other bytes is taken away again');
    fake.alter = () => ({ status: 200, body: 'Welcome to the guest network' });
    assert.match((await errorOf(driver.write(CTX, 'a', BODY, {}))).message, /no generation/);
    const into = new Uint8Array(28);
    assert.equal((await errorOf(driver.read(CTX, 'a', into, { isWhole: true }))).kind, 'corrupt');
  });

  it('reads only the generation it was told, and gives the MD5 that is kept', async (t) => {
    const { driver } = await gcsWorldFor(t);
    const { version } = await driver.write(CTX, 'a', BODY, {});
    const read = await driver.read(CTX, 'a', new Uint8Array(5), { offset: 6, version: version ?? '' });
    assert.deepEqual([read.version, read.md5], [version, hash('md5', BYTES, 'hex')]);
    await driver.write(CTX, 'a', BODY, {});
    const other = await errorOf(driver.read(CTX, 'a', new Uint8Array(5), { version: version ?? '' }));
    assert.equal(other.kind, 'precondition');
  });

  it('lists the same version and MD5 as it reads, and no MD5 of an object made of parts', async (t) => {
    const { driver } = await gcsWorldFor(t);
    await driver.write(CTX, 'a', BODY, {});
    await (await uploaded(driver, 'b')).complete();
    const whole = await driver.read(CTX, 'b', new Uint8Array(BYTES.length), { isWhole: true });
    const sum = crc32c(BYTES).toString(16).padStart(8, '0');
    assert.deepEqual([whole.md5, whole.checksums], [undefined, { crc32c: sum }]);
    const pages = await allOf(driver.list(CTX, { prefix: '' }));
    const listed = pages.flatMap(({ objects }) => objects);
    assert.deepEqual(listed, [await driver.stat(CTX, 'a'), await driver.stat(CTX, 'b')]);
    assert.deepEqual(
      listed.map(({ md5 }) => md5),
      [hash('md5', BYTES, 'hex'), undefined],
    );
  });

  it('reads objects that are kept packed as they are stored', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    const packed = gzipSync(Buffer.alloc(1_000, 'x'));
    fake.bucket.put('packed', packed, { 'content-encoding': 'gzip' }, false);
    assert.equal((await driver.stat(CTX, 'packed')).sizeBytes, packed.length);
    const into = new Uint8Array(packed.length);
    await driver.read(CTX, 'packed', into, { isWhole: true });
    assert.deepEqual(Buffer.from(into), packed);
  });

  it('refuses bytes that someone unpacked on the way', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    fake.bucket.put('packed', gzipSync(Buffer.alloc(1_000, 'x')), { 'content-encoding': 'gzip' }, false);
    fake.alter = ({ headers }) => {
      const { 'accept-encoding': _, ...others } = headers;
      return fake.bucket.read('packed', others);
    };
    const error = await errorOf(driver.read(CTX, 'packed', new Uint8Array(1_000), { isWhole: true }));
    assert.match(error.message, /1000 bytes are offered of \d\d that are stored/);
  });

  it("gives written objects what the target's configuration asks for, in one piece and in parts", async (t) => {
    const asked = {
      kmsKeyName: 'projects/p/locations/eu/keyRings/r/cryptoKeys/k',
      storageClass: 'ARCHIVE',
      predefinedAcl: 'bucket-owner-full-control',
      contentType: 'application/vnd.x',
    };
    const { fake, driver } = await gcsWorldFor(t, asked);
    await driver.write(CTX, 'a', BODY, {});
    await (await uploaded(driver, 'b')).complete();
    for (const key of ['a', 'b']) {
      const { headers } = fake.bucket.find(key);
      assert.equal(headers['x-goog-encryption-kms-key-name'], asked.kmsKeyName);
      assert.equal(headers['x-goog-storage-class'], 'ARCHIVE');
      assert.equal(headers['x-goog-acl'], asked.predefinedAcl);
      assert.equal(headers['content-type'], asked.contentType);
    }
  });

  it('takes an object for complete whose answer was lost, by its size and CRC-32C', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    const { complete } = await uploaded(driver, 'a');
    fake.alter = ({ method }, answer) => (method === 'POST' ? 'lose' : answer);
    assert.equal((await errorOf(complete())).details.isTransient, true);
    fake.alter = undefined;
    assert.equal((await complete()).version, fake.bucket.find('a').generation);
    await driver.write(CTX, 'a', bodyOfBytes(Buffer.from('bytes of an Object')), {});
    assert.equal((await errorOf(complete())).kind, 'not-found');
  });

  it('refuses an object that was put together wrong', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    const { complete } = await uploaded(driver, 'a');
    fake.alter = ({ method }, answer) => {
      if (method === 'POST') fake.bucket.put('a', Buffer.from('bytes of an Object'), {}, true);
      return answer;
    };
    const error = await errorOf(complete());
    assert.equal(error.kind, 'corrupt');
    assert.match(error.message, /not what its parts are/);
  });

  it('takes an object away that it put together wrong, and leaves one that came in its place meanwhile', async (t) => {
    for (const isReplaced of [false, true]) {
      const { fake, driver } = await gcsWorldFor(t);
      const { complete } = await uploaded(driver, 'a');
      fake.alter = ({ method }, answer) => {
        if (method !== 'POST') return answer;
        const { etag } = fake.bucket.put('a', Buffer.from('bytes of an Object'), {}, true);
        if (isReplaced) fake.bucket.put('a', Buffer.from('of another'), {}, true);
        const body = `<CompleteMultipartUploadResult><ETag>${etag}</ETag></CompleteMultipartUploadResult>`;
        return { ...answer, body };
      };
      assert.match((await errorOf(complete())).message, /not what its parts are/);
      assert.equal(fake.bucket.objects.size, isReplaced ? 1 : 0);
    }
  });

  it('reads a refusal in a 200 to Complete', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    const { complete } = await uploaded(driver, 'a');
    fake.alter = ({ method }, answer) =>
      method === 'POST' ? { status: 200, body: '<Error><Code>SlowDown</Code></Error>' } : answer;
    assert.equal((await errorOf(complete())).kind, 'throttled');
  });

  it('gets one token for all that wait for it, and another when it is refused', async (t) => {
    const { fake, open } = await gcsWorldFor(t);
    let given = 0;
    const tokens = async () => {
      given += 1;
      return { token: `token-${given}` };
    };
    const driver = open({ tokens });
    fake.tokens.clear();
    fake.tokens.add('token-1');
    await Promise.all(['a', 'b', 'c'].map((key) => driver.write(CTX, key, BODY, {})));
    assert.equal(given, 1);
    fake.tokens.clear();
    fake.tokens.add('token-2');
    await driver.write(CTX, 'd', BODY, {});
    assert.equal(given, 2);
    fake.tokens.clear();
    const error = await errorOf(driver.stat(CTX, 'd'));
    assert.deepEqual([error.kind, error.details.scope], ['denied', 'backend']);
    assert.doesNotMatch(`${error.message} ${error.stack}`, /token-\d/);
  });

  it('finds out what is compared, and leaves nothing', async (t) => {
    for (const checks of [true, false]) {
      const { fake, driver } = await gcsWorldFor(t, {}, { checks });
      const binding = await driver.binding?.probe(CTX, 'probe/');
      assert.deepEqual([binding?.crc32c, binding?.contentMd5], [checks, checks]);
      assert.deepEqual([fake.bucket.objects.size, fake.uploads.count], [0, 0]);
    }
  });

  it('believes a check of bodies only where parts are checked as well', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    // Whoever answers for parts here takes everything.
    fake.intercept = ({ method, target }) =>
      method === 'PUT' && target.includes('uploadId') ? { status: 200, headers: { etag: '"x"' } } : undefined;
    const binding = await driver.binding?.probe(CTX, 'probe/');
    assert.deepEqual([binding?.crc32c, binding?.contentMd5], [false, false]);
  });

  it('passes on why a probe failed, and leaves nothing', async (t) => {
    const { fake, driver } = await gcsWorldFor(t);
    const forbidden = { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' };
    fake.intercept = ({ method }) => (method === 'PUT' || method === 'POST' ? forbidden : undefined);
    assert.equal((await errorOf(driver.binding?.probe(CTX, 'p/') ?? Promise.resolve())).kind, 'denied');
    assert.equal(fake.bucket.objects.size, 0);
  });
});

describe('listings of Cloud Storage', () => {
  for (const [what, body] of [
    ['no JSON', '<html>'],
    ['a list', '[]'],
    ['an error', '{"error":{"code":500}}'],
    ['an entry without a name', '{"items":[{"size":"1","generation":"1"}]}'],
    ['an entry without a size', '{"items":[{"name":"a","generation":"1"}]}'],
    ['an entry with an odd size', '{"items":[{"name":"a","size":"1e3","generation":"1"}]}'],
    ['an entry without a generation', '{"items":[{"name":"a","size":"1"}]}'],
    ['items that are no list', '{"items":{}}'],
    ['an odd token', '{"items":[],"nextPageToken":7}'],
    ['names not asked for', '{"items":[{"name":"b","size":"1","generation":"1"}]}'],
  ] as const) {
    it(`are refused with ${what}`, async (t) => {
      const { fake, driver } = await gcsWorldFor(t);
      fake.intercept = () => ({ status: 200, body });
      const error = await errorOf(allOf(driver.list(CTX, { prefix: 'a' })));
      assert.deepEqual([error.kind, error.details.isTransient], ['corrupt', true]);
    });
  }

  it('end behind the last key that is wanted, and name the first one behind it', async (t) => {
    const { fake, driver } = await gcsWorldFor(t, {}, { pageMax: 3 });
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await driver.write(CTX, key, BODY, {});
    const from = fake.seen.length;
    const pages = await allOf(driver.list(CTX, { prefix: '', after: 'd', upTo: 'e' }));
    assert.deepEqual(
      pages.flatMap(({ objects }) => objects.map(({ key }) => key)),
      ['e'],
    );
    assert.deepEqual([pages.at(-1)?.behind, fake.seen.length - from], ['f', 1]);
  });
});
