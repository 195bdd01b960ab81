/** What Azurite does with what the conformance cases do not know: kinds of blobs, blocks of others, signatures. */
import assert from 'node:assert/strict';
import { hash, randomUUID } from 'node:crypto';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ContainerSASPermissions } from '@azure/storage-blob';
import { isStorageError, type StorageError } from '../../src/core/errors.ts';
import { blockNameOf } from '../../src/drivers/azure/azure-block-ids.ts';
import { type AzureDriver, openAzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { Binding, Body, MultipartFacet } from '../../src/drivers/driver.ts';
import type { AzureSpec } from '../../src/drivers/spec.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { type Azurite, azuriteSpec, missingAzurite, startAzurite } from '../support/azurite.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';

const CTX = { signal: new AbortController().signal };
const BINDING: Binding = {
  payloadSha256: false,
  contentMd5: true,
  partCrc32: false,
  objectCrc32: false,
  storesSha256: false,
};

describe('Azure driver over Azurite', { skip: missingAzurite() }, () => {
  let folder: TempFolder;
  let azurite: Azurite;

  before(async () => {
    folder = await makeTempFolder('azurite');
    azurite = await startAzurite({ directory: folder.path });
  });

  after(async () => {
    await azurite?.stop();
    await folder?.remove();
  });

  async function open(t: TestContext, more: Partial<AzureSpec> = {}, binding?: Binding) {
    const container = await new AzureContainer(azurite, `driver-${randomUUID()}`).create();
    const driver = await another(t, container, more, binding);
    return { container, driver };
  }

  async function another(
    t: TestContext,
    container: AzureContainer,
    more: Partial<AzureSpec> = {},
    binding?: Binding,
  ): Promise<AzureDriver> {
    const storage = { ...azuriteSpec(azurite, container.name), ...more };
    const spec = { storage, engine: 'direct', ...(binding ? { binding } : {}) } as const;
    const driver = await openAzureDriver(spec, { pageNamesMax: 3 });
    t.after(() => driver.close());
    return driver;
  }

  it('refuses a body that differs from its MD5 or its CRC-64, and computes an MD5 where none came', async (t) => {
    const { container, driver } = await open(t);
    const { contentMd5, contentCrc64, computesMd5 } = await driver.binding.probe(CTX, 'probe/');
    assert.deepEqual([contentMd5, contentCrc64, computesMd5], [true, true, true]);
    await container.assertEmpty();
  });

  for (const [name, binding, code] of [
    ['CRC-64', { contentCrc64: true, computesMd5: true }, 'Crc64Mismatch'],
    ['MD5', { contentCrc64: false, computesMd5: false }, 'Md5Mismatch'],
  ] as const) {
    it(`binds every body by its ${name} where that was seen to be checked`, async (t) => {
      const { driver } = await open(t, {}, { ...BINDING, ...binding });
      const { multipart } = driver;
      // Read twice: for the checksum, and to be sent.
      const changing = (): Body => {
        const bytes = [Buffer.from('as it was'), Buffer.from('as it is!')];
        return {
          sizeBytes: 9,
          open: async function* () {
            yield bytes.shift() ?? Buffer.from('and again');
          },
        };
      };
      const whole = await refusal(driver.write(CTX, 'whole', changing(), {}));
      assert.deepEqual([whole.kind, whole.details.backendCode], ['corrupt', code]);
      const upload = await multipart.begin(CTX, 'large');
      const part = await refusal(multipart.putPart(CTX, upload, { number: 1, offset: 0, body: changing() }));
      assert.deepEqual([part.kind, part.details.backendCode], ['corrupt', code]);
      await driver.write(CTX, 'whole', bodyOfBytes(Buffer.from('right')), {});
      await multipart.putPart(CTX, upload, partOf(1, 'right'));
      const [listed] = await multipart.listParts(CTX, upload);
      const kept = name === 'MD5' ? { md5: hash('md5', 'right') } : { crc64: '37ada9b58019aeba' };
      assert.deepEqual({ ...listed, tag: '' }, { number: 1, sizeBytes: 5, tag: '', ...kept });
      // Listings have an MD5 either way, so that what may change need not be read to be known as equal.
      assert.equal((await driver.stat(CTX, 'whole')).md5, hash('md5', 'right'));
    });
  }

  it('reads append blobs, as the registry makes of every layer, whole and in ranges', async (t) => {
    const { container, driver } = await open(t);
    const blob = container.client.getAppendBlobClient('layer');
    await blob.create({ blobHTTPHeaders: { blobContentMD5: Buffer.alloc(16) } });
    await blob.appendBlock('first ', 6);
    await blob.appendBlock('second', 6);
    const into = new Uint8Array(12);
    const whole = await driver.read(CTX, 'layer', into, { isWhole: true });
    assert.deepEqual(
      [Buffer.from(into).toString(), whole.totalBytes, whole.md5],
      ['first second', 12, undefined],
      'an MD5 that was stored before the bytes came is none',
    );
    const part = new Uint8Array(3);
    await driver.read(CTX, 'layer', part, {
      offset: 6,
      ...(whole.version ? { version: whole.version } : {}),
    });
    assert.equal(Buffer.from(part).toString(), 'sec');
    assert.equal((await driver.stat(CTX, 'layer')).md5, undefined);
    for await (const { objects } of driver.list(CTX, { prefix: '' }))
      assert.deepEqual(objects, [{ key: 'layer', sizeBytes: 12, version: whole.version }]);
  });

  it('names an append blob that stands in the way of parts, and leaves it', async (t) => {
    const { container, driver } = await open(t);
    await container.client.getAppendBlobClient('layer').create();
    const { multipart } = driver;
    const upload = await multipart.begin(CTX, 'layer');
    const error = await refusal(multipart.putPart(CTX, upload, partOf(1, 'bytes')));
    assert.deepEqual([error.kind, error.details.backendCode], ['unsupported', 'InvalidBlobType']);
    assert.match(error.hint ?? '', /append or page blob/);
    await multipart.abort(CTX, upload);
    assert.deepEqual(await container.names(), ['layer']);
  });

  it('keeps keys with the slash in front that distribution 2 gives them', async (t) => {
    const { container, driver } = await open(t, { hasSlashRoot: true });
    const keys = ['/docker/registry/v2/a', '/docker/registry/v2/b', '//x'];
    for (const key of keys) await driver.write(CTX, key, bodyOfBytes(Buffer.from(key)), {});
    assert.deepEqual([...(await container.names())].sort(), [...keys].sort());
    const listed: string[] = [];
    for await (const { objects } of driver.list(CTX, { prefix: '/docker/' }))
      listed.push(...objects.map(({ key }) => key));
    assert.deepEqual(listed, ['/docker/registry/v2/a', '/docker/registry/v2/b']);
    const into = new Uint8Array(3);
    await driver.read(CTX, '//x', into, { isWhole: true });
    assert.equal(Buffer.from(into).toString(), '//x');
    for (const key of keys) await driver.remove(CTX, key);
    await container.assertEmpty();
  });

  it('lists a range of keys completely, over pages of three', async (t) => {
    const { driver } = await open(t);
    const keys = Array.from({ length: 40 }, (_, number) => `r/${String(number).padStart(2, '0')}/x`);
    for (const key of keys) await driver.write(CTX, key, bodyOfBytes(Buffer.from(key)), {});
    for (const [after, upTo] of [
      ['r/05/x', 'r/21/x'],
      ['r/11', 'r/12'],
      ['r/39/x', 'r/40'],
    ] as const) {
      const listed: string[] = [];
      for await (const { objects } of driver.list(CTX, { prefix: 'r/', after, upTo }))
        listed.push(...objects.map(({ key }) => key));
      const wanted = keys.filter((key) => key > after && key <= upTo);
      assert.deepEqual(
        listed.filter((key) => key <= upTo),
        wanted,
        `from ${after} to ${upTo}`,
      );
    }
  });

  describe('an upload', () => {
    it('says by the names of its blocks which MD5 each part has, to another run too', async (t) => {
      const { container, driver } = await open(t);
      const upload = await driver.multipart.begin(CTX, 'large');
      await driver.multipart.putPart(CTX, upload, partOf(2, 'two'));
      await driver.multipart.putPart(CTX, upload, partOf(1, 'one'));
      const parts = await (await another(t, container)).multipart.listParts(CTX, upload);
      assert.deepEqual(
        parts.map(({ number, sizeBytes, md5 }) => [number, sizeBytes, md5]),
        [
          [1, 3, hash('md5', 'one')],
          [2, 3, hash('md5', 'two')],
        ],
      );
    });

    it('shows no object when it is aborted, and none of its parts gets into the next one', async (t) => {
      const { container, driver } = await open(t);
      const { multipart } = driver;
      const first = await multipart.begin(CTX, 'large');
      await multipart.putPart(CTX, first, partOf(1, 'old'));
      await multipart.abort(CTX, first);
      await container.assertEmpty();
      const second = await multipart.begin(CTX, 'large');
      assert.deepEqual(await multipart.listParts(CTX, second), []);
      const receipt = await multipart.putPart(CTX, second, partOf(1, 'new'));
      await multipart.complete(CTX, second, [receipt], { sizeBytes: 3 });
      assert.equal(await textOf(driver, 'large', 3), 'new');
    });

    it('that another process has aborted is not completed by this one, whose parts are all there', async (t) => {
      const { container, driver } = await open(t);
      const upload = await driver.multipart.begin(CTX, 'large');
      const receipt = await driver.multipart.putPart(CTX, upload, partOf(1, 'abc'));
      await (await another(t, container)).multipart.abort(CTX, upload);
      const error = await refusal(driver.multipart.complete(CTX, upload, [receipt], { sizeBytes: 3 }));
      assert.equal(error.kind, 'not-found');
      await container.assertEmpty();
    });

    it('whose completion went through without an answer is completed by the next attempt', async (t) => {
      const { container, driver } = await open(t);
      const upload = await driver.multipart.begin(CTX, 'large');
      const receipt = await driver.multipart.putPart(CTX, upload, partOf(1, 'abc'));
      await container.client.getBlockBlobClient('large').commitBlockList([receipt.tag]);
      await driver.multipart.complete(CTX, upload, [receipt], { sizeBytes: 3 });
      assert.equal(await textOf(driver, 'large', 3), 'abc');
      assert.deepEqual(await container.names(), ['large'], 'its mark is gone');
    });

    it('takes no part of another upload, none twice and none out of its place', async (t) => {
      const { container, driver } = await open(t);
      const { multipart } = driver;
      const upload = await multipart.begin(CTX, 'large');
      const other = await multipart.begin(CTX, 'large');
      const one = await multipart.putPart(CTX, upload, partOf(1, 'abc'));
      const two = await multipart.putPart(CTX, upload, partOf(2, 'def'));
      const strange = await multipart.putPart(CTX, other, partOf(2, 'xyz'));
      for (const given of [
        [one, strange],
        [one, one],
        [two, one],
        [one, { ...two, tag: 'bm9uc2Vuc2U=' }],
      ]) {
        const error = await refusal(multipart.complete(CTX, upload, given, { sizeBytes: 6 }));
        assert.equal(error.kind, 'unexpected');
      }
      assert.ok(!(await container.names()).includes('large'));
      await multipart.complete(CTX, upload, [one, two], { sizeBytes: 6 });
      assert.equal(await textOf(driver, 'large', 6), 'abcdef');
    });

    it('has parts that are refused when a bit of them is turned on the way', async (t) => {
      const { driver } = await open(t);
      const upload = await driver.multipart.begin(CTX, 'large');
      let opened = 0;
      // The MD5 is of the first reading, and what is sent of the second.
      const body = {
        sizeBytes: 3,
        async *open() {
          opened += 1;
          yield Buffer.from(opened === 1 ? 'abc' : 'abb');
        },
      };
      const error = await refusal(driver.multipart.putPart(CTX, upload, { number: 1, offset: 0, body }));
      assert.deepEqual([error.kind, error.details.isTransient], ['corrupt', true]);
      opened = 0;
      const whole = await refusal(driver.write(CTX, 'small', body, {}));
      assert.equal(whole.details.backendCode, 'Md5Mismatch');
    });
  });

  it('names blocks in one length, whatever they say', () => {
    const id = 'ab'.repeat(16);
    const lengths = [
      blockNameOf(id, { number: 1 }),
      blockNameOf(id, { number: 50_000, md5: hash('md5', 'x') }),
    ];
    assert.deepEqual(new Set(lengths.map((name) => name.length)), new Set([52]));
  });

  it('works with a signature of the container, and says when it has ended', async (t) => {
    const { container } = await open(t);
    const sasOf = async (endsInMs: number): Promise<string> => {
      const permissions = ContainerSASPermissions.parse('rwdl');
      const url = await container.client.generateSasUrl({
        permissions,
        expiresOn: new Date(Date.now() + endsInMs),
      });
      return new URL(url).search.slice(1);
    };
    const good = await another(t, container, { access: { type: 'sas', token: await sasOf(600_000) } });
    await good.write(CTX, 'a b', bodyOfBytes(Buffer.from('abc')), {});
    assert.equal(await textOf(good, 'a b', 3), 'abc');
    const token = await sasOf(-600_000);
    const ended = await another(t, container, { access: { type: 'sas', token } });
    const error = await refusal(ended.stat(CTX, 'a b'));
    assert.deepEqual([error.kind, error.details.scope], ['denied', 'backend']);
    assert.match(error.hint ?? '', /The SAS ended at .* UTC: give a new one/);
    assert.ok(!`${error.message}${JSON.stringify(error.details)}`.includes('sig='));
  });

  it('says of a wrong key and of a missing container what is wrong, for the whole backend', async (t) => {
    const { container } = await open(t);
    const accountKey = Buffer.alloc(64, 9).toString('base64');
    const wrong = await another(t, container, { access: { type: 'shared-key', accountKey } });
    const denied = await refusal(wrong.list(CTX, { prefix: '' })[Symbol.asyncIterator]().next());
    assert.deepEqual([denied.kind, denied.details.scope], ['denied', 'backend']);
    assert.ok(!denied.message.includes(accountKey));
    const missing = await another(t, container, { container: 'not-there' });
    for (const call of [
      () => missing.list(CTX, { prefix: '' })[Symbol.asyncIterator]().next(),
      () => missing.read(CTX, 'a', new Uint8Array(1), {}),
      () => missing.write(CTX, 'a', bodyOfBytes(Buffer.from('a')), {}),
      () => missing.remove(CTX, 'a'),
    ]) {
      const error = await refusal(call());
      assert.deepEqual([error.kind, error.details.scope], ['not-found', 'backend']);
    }
  });
});

function partOf(number: number, text: string): Parameters<MultipartFacet['putPart']>[2] {
  return { number, offset: (number - 1) * text.length, body: bodyOfBytes(Buffer.from(text)) };
}

async function textOf(driver: AzureDriver, key: string, bytes: number): Promise<string> {
  const into = new Uint8Array(bytes);
  const { totalBytes } = await driver.read(CTX, key, into, { isWhole: true });
  assert.equal(totalBytes, bytes);
  return Buffer.from(into).toString();
}

async function refusal(call: Promise<unknown>): Promise<StorageError> {
  const error = await call.then(
    () => assert.fail('it succeeded'),
    (one: unknown) => one,
  );
  if (!isStorageError(error)) throw error;
  return error;
}
