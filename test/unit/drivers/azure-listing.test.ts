import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { isStorageError } from '../../../src/core/errors.ts';
import { azureListingOf, narrowedPrefix } from '../../../src/drivers/azure/azure-listing.ts';
import { ByteOrder, isSurelyBehind } from '../../../src/drivers/azure/byte-order.ts';

const CALL = { backend: 'azure://account/container', operation: 'list' };

function page(entries: string, end = '<NextMarker />'): Buffer {
  // Azure begins its answers with a byte order mark, and has attributes at the root.
  return Buffer.from(
    `\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://account.blob.core.windows.net/" ContainerName="container"><Prefix>a</Prefix><Blobs>${entries}</Blobs>${end}</EnumerationResults>`,
  );
}

function blob(name: string, more = '<BlobType>BlockBlob</BlobType>'): string {
  return `<Blob>${name}<Properties><Etag>0x8D1</Etag><Content-Length>3</Content-Length><Content-MD5>kAFQmDzST7DWlj99KOF/cg==</Content-MD5>${more}</Properties><OrMetadata /></Blob>`;
}

describe('a page of a listing', () => {
  it('gives names, sizes, versions as headers have them, and the MD5 of block blobs alone', () => {
    const listed = azureListingOf(
      CALL,
      page(
        `${blob('<Name>a&amp;b/ x</Name>')}\n<BlobPrefix><Name>f/</Name></BlobPrefix>${blob('<Name>app</Name>', '<BlobType>AppendBlob</BlobType>')}`,
        '<NextMarker>2!92!x</NextMarker>',
      ),
    );
    assert.deepEqual(listed, {
      objects: [
        { key: 'a&b/ x', sizeBytes: 3, version: '"0x8D1"', md5: '900150983cd24fb0d6963f7d28e17f72' },
        { key: 'app', sizeBytes: 3, version: '"0x8D1"' },
      ],
      prefixes: ['f/'],
      next: '2!92!x',
    });
  });

  it('takes names that say they are encoded, and leaves out folders of hierarchical accounts', () => {
    const folder = blob(
      '<Name>d</Name>',
      '<ResourceType>directory</ResourceType><BlobType>BlockBlob</BlobType>',
    );
    const { objects } = azureListingOf(
      CALL,
      page(folder + blob('<Name Encoded="true">a%EF%BF%BF%25</Name>')),
    );
    assert.deepEqual(
      objects.map(({ key }) => key),
      ['a\uffff%'],
    );
  });

  it('may be empty and still not be the last one', () => {
    const listed = azureListingOf(CALL, page('', '<NextMarker>m</NextMarker>'));
    assert.deepEqual(listed, { objects: [], prefixes: [], next: 'm' });
  });

  const whole = page(blob('<Name>a</Name>') + blob('<Name>b</Name>')).toString();
  for (const [what, text] of [
    ['no XML', 'hello'],
    ['another document', '<html></html>'],
    ['a page that is cut', whole.slice(0, -30)],
    ['a page without its end', whole.replace('<NextMarker />', '')],
    ['a blob without a size', whole.replace('<Content-Length>3</Content-Length>', '')],
    ['a blob without a name', whole.replace('<Name>a</Name>', '')],
    ['an entry of another kind', whole.replace('<Blob>', '<Thing></Thing><Blob>')],
    ['a name that is not encoded as it says', whole.replace('<Name>a', '<Name Encoded="true">%F')],
    ['a blob with two sizes', whole.replace('<Etag>', '<Content-Length>4</Content-Length><Etag>')],
  ] as const) {
    it(`is refused where it is ${what}`, () => {
      assert.throws(
        () => azureListingOf(CALL, Buffer.from(text)),
        (error) => isStorageError(error, 'corrupt') && error.details.isTransient,
      );
    });
  }
});

const KEY = fc
  .array(fc.constantFrom('a', 'b', '/', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{1f600}'), {
    maxLength: 5,
  })
  .map((parts) => parts.join(''));
const byUtf8 = (keys: readonly string[]) => [...new Set(keys)].sort(compareUtf8);
/** JavaScript compares by UTF-16. */
const byUtf16 = (keys: readonly string[]) => [...new Set(keys)].sort();

describe('the order of a listing', () => {
  for (const [name, sort] of [
    ['UTF-16', byUtf16],
    ['UTF-8', byUtf8],
  ] as const) {
    it(`is that of UTF-8 where the service lists by ${name}, whatever its pages`, () => {
      fc.assert(
        fc.property(fc.array(KEY, { maxLength: 30 }), fc.integer({ min: 1, max: 4 }), (keys, pageSize) => {
          const listed = sort(keys);
          const order = new ByteOrder<string>((key) => key);
          const given: string[] = [];
          for (let at = 0; at < listed.length; at += pageSize)
            given.push(...order.take(listed.slice(at, at + pageSize), at + pageSize >= listed.length));
          assert.deepEqual(given, byUtf8(keys));
        }),
      );
    });

    it(`lets nothing that is wanted follow a key that is surely behind, by ${name}`, () => {
      fc.assert(
        fc.property(fc.array(KEY, { maxLength: 30 }), KEY, (keys, upTo) => {
          const listed = sort(keys);
          const end = listed.findIndex((key) => isSurelyBehind(key, upTo));
          if (end < 0) return;
          assert.ok(listed.slice(end).every((key) => compareUtf8(key, upTo) > 0));
        }),
      );
    });
  }
});

describe('the prefix that is asked for', () => {
  it('is what the keys at both ends begin with, and every key between them', () => {
    const range = { after: 'd/r/blobs/3f/x', upTo: 'd/r/blobs/7f/y' };
    assert.equal(narrowedPrefix({ prefix: 'd/', ...range }), 'd/r/blobs/');
    const halves = { after: 'd/\u{1f600}', upTo: 'd/\u{1f601}' };
    assert.equal(narrowedPrefix({ prefix: '', ...halves }), 'd/', 'half a character is no prefix');
    fc.assert(
      fc.property(KEY, KEY, KEY, KEY, (prefix, after, upTo, key) => {
        const narrow = narrowedPrefix({ prefix, after, upTo });
        assert.ok(narrow.isWellFormed());
        const isAsked = key.startsWith(prefix) && compareUtf8(key, after) > 0 && compareUtf8(key, upTo) <= 0;
        assert.ok(!isAsked || key.startsWith(narrow), JSON.stringify({ prefix, after, upTo, key, narrow }));
      }),
      { numRuns: 2_000 },
    );
  });

  it('stays as it is where an end is open, or where names are grouped behind it', () => {
    assert.equal(narrowedPrefix({ prefix: 'd/', after: 'd/r/x' }), 'd/');
    assert.equal(narrowedPrefix({ prefix: 'd/', upTo: 'd/r/x' }), 'd/');
    assert.equal(narrowedPrefix({ prefix: 'd/', after: 'd/r/x', upTo: 'd/r/y', delimiter: '/' }), 'd/');
  });
});
