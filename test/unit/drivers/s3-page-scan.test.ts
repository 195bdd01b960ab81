/** The quick reader of listings and the careful one: the same answer wherever the quick one gives one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { parseListing, readListing, readUsualListing } from '../../../src/drivers/s3/s3-listing.ts';

const MD5 = '0123456789abcdef0123456789abcdef';
const OWNER = '<Owner><ID>id</ID><DisplayName></DisplayName></Owner>';

interface Entry {
  readonly name: string;
  readonly size: string;
  /** With its quotes, as written. */
  readonly etag: string;
  readonly storageClass: string;
}

interface Service {
  readonly name: string;
  readonly nameOf: (text: string) => string;
  readonly entry: (entry: Entry) => string;
  readonly page: (entries: string, more: string) => string;
}

const START =
  '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">';
const END = '</ListBucketResult>';
const DATE = '<LastModified>2026-11-23T00:00:00.000Z</LastModified>';
const keepingSlashes = (text: string): string => encodeURIComponent(text).replaceAll('%2F', '/');

/** As these services write a page, so far as it matters here. */
const SERVICES: readonly Service[] = [
  {
    name: 'AWS',
    nameOf: keepingSlashes,
    entry: ({ name, size, etag, storageClass }) =>
      `<Contents><Key>${name}</Key>${DATE}<ETag>${etag}</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>${size}</Size><StorageClass>${storageClass}</StorageClass></Contents>`,
    page: (entries, more) =>
      `${START}<Name>b</Name><Prefix>p</Prefix>${more}<EncodingType>url</EncodingType>${entries}${END}`,
  },
  {
    name: 'MinIO',
    nameOf: (text) => keepingSlashes(text).replaceAll('%20', '+'),
    entry: ({ name, size, etag, storageClass }) =>
      `<Contents><Key>${name}</Key>${DATE}<ETag>${etag}</ETag><Size>${size}</Size>${OWNER}<StorageClass>${storageClass}</StorageClass></Contents>`,
    page: (entries, more) =>
      `${START}<Name>b</Name>${more}${entries}<EncodingType>url</EncodingType>${END}\n`,
  },
  {
    name: 'Ceph',
    nameOf: encodeURIComponent,
    entry: ({ name, size, etag, storageClass }) =>
      `<Contents><Key>${name}</Key>${DATE}<ETag>${etag}</ETag><Size>${size}</Size><StorageClass>${storageClass}</StorageClass>${OWNER}<Type>Normal</Type></Contents>`,
    page: (entries, more) => `${START}<EncodingType>url</EncodingType>${more}${entries}${END}`,
  },
  {
    name: 'a service that does not encode names, with line ends',
    nameOf: (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;'),
    entry: ({ name, size, etag }) =>
      `\n  <Contents>\n<Key>${name}</Key>\n<Size>${size}</Size>\r\n<ETag>${etag}</ETag>\t</Contents>`,
    page: (entries, more) => `${START}\n${more}${entries}\n${END}\n`,
  },
];

const key = fc.oneof(
  fc.stringMatching(/^[a-z0-9/._-]{1,30}$/),
  fc.string({
    unit: fc.constantFrom('a', '/', '%', '+', ' ', 'é', '\u{fffd}', '😀', '~', '&'),
    minLength: 1,
  }),
);
const usualETag = fc.constantFrom(`"${MD5}"`, `&quot;${MD5}&quot;`, `&#34;${MD5}-2&#34;`);
const oddETags = [
  ...['""', '&quot;opaque&quot;', '"AB"', MD5, `&quot;${MD5}"`, '"a&amp;b"'],
  ...[`"${MD5.toUpperCase()}"`, `"${'f'.repeat(200)}"`],
];
const etag = fc.oneof({ arbitrary: usualETag, weight: 20 }, fc.constantFrom(...oddETags));
const size = fc.oneof(fc.nat().map(String), fc.constantFrom('007', '999999999999999', '9007199254740991'));
const storageClass = fc.constantFrom(
  ...['STANDARD', 'GLACIER', 'DEEP_ARCHIVE', 'INTELLIGENT_TIERING', 'a&amp;b', '', 'x'.repeat(80)],
);
const entry = fc.record({ name: key, size, etag, storageClass });

const MORE = '<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>';

function written(service: Service, entries: readonly Entry[], isSorted: boolean): string {
  const all = isSorted ? entries.toSorted((a, b) => compareUtf8(a.name, b.name)) : entries;
  const text = all.map((one) => service.entry({ ...one, name: service.nameOf(one.name) })).join('');
  return service.page(text, `<KeyCount>${all.length}</KeyCount>${MORE}`);
}

/** What came of it, errors as well. */
function told(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    assert.ok(error instanceof RangeError, String(error));
    return error.message;
  }
}

/** @returns whether the quick reader took it. */
function assertSame(text: string, upTo: string | undefined, tellsTier?: true): boolean {
  const options = { ...(upTo === undefined ? {} : { upTo }), ...(tellsTier ? { tellsTier } : {}) };
  const bytes = Buffer.from(text);
  let isUsual = false;
  const quick = told(() => {
    const page = readUsualListing(bytes, options);
    isUsual = page !== undefined;
    return page;
  });
  if (quick === undefined) return false;
  const page = typeof quick === 'object' ? { ...quick, isAscending: undefined } : quick;
  const careful = told(() => ({ ...parseListing(text, options), isAscending: undefined }));
  assert.deepEqual(page, careful);
  return isUsual;
}

describe('readUsualListing()', () => {
  for (const service of SERVICES) {
    it(`reads what ${service.name} writes as the careful reader does, whatever the keys, sizes and ETags`, () => {
      fc.assert(
        fc.property(
          fc.uniqueArray(entry, { maxLength: 8, selector: ({ name }) => name }),
          fc.option(key, { nil: undefined }),
          fc.boolean(),
          (entries, upTo, isSorted) => {
            assertSame(written(service, entries, isSorted), upTo);
            assertSame(written(service, entries, isSorted), upTo, true);
          },
        ),
        { numRuns: 500 },
      );
    });

    it(`takes the pages of a registry from ${service.name}, and reads no name behind the range`, () => {
      const names = ['11', '12', 'ab', 'ff'].map(
        (two) => `docker/registry/v2/blobs/sha256/${two}/${two}0/data`,
      );
      const entries = names.map((name, index) => ({
        name,
        size: '12',
        etag: `&quot;${MD5}&quot;`,
        storageClass: index === 1 ? 'GLACIER' : 'STANDARD',
      }));
      const text = written(service, entries, true);
      assert.ok(assertSame(text, undefined));
      assert.ok(assertSame(text, undefined, true));
      assert.ok(assertSame(text, 'docker/registry/v2/blobs/sha256/ab/'));
      const page = readUsualListing(Buffer.from(text), {
        upTo: 'docker/registry/v2/blobs/sha256/ab/',
      });
      assert.deepEqual(
        page?.objects.map((one) => one.key),
        names.slice(0, 2),
      );
      assert.equal(page?.nextToken, undefined);
      assert.equal(page?.isAscending, true);
    });
  }

  it('answers as the careful reader or not at all, whatever is cut, dropped, doubled or changed', () => {
    const edit = fc.tuple(
      fc.nat(3_000),
      fc.constantFrom('cut', 'drop', 'double', 'flip', 'insert'),
      fc.nat(255),
      fc.integer({ min: 1, max: 80 }),
      fc.constantFrom('<Key>x</Key>', '<Contents>', '</Contents>', '<Size>1</Size>', '<!--', MORE, '&', ' '),
    );
    let usual = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...SERVICES),
        fc.uniqueArray(entry, { minLength: 1, maxLength: 4, selector: ({ name }) => name }),
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        fc.option(key, { nil: undefined }),
        (service, entries, edits, upTo) => {
          let text = written(service, entries, true);
          for (const [place, what, value, span, piece] of edits) {
            const at = place % text.length;
            const [before, after] = [text.slice(0, at), text.slice(at)];
            if (what === 'cut') text = before;
            else if (what === 'drop') text = before + after.slice(span);
            else if (what === 'double') text = before + after.slice(0, span) + after;
            else if (what === 'flip') text = before + String.fromCharCode(value) + after.slice(1);
            else text = before + piece + after;
            if (text === '') return;
          }
          if (assertSame(text, upTo)) usual += 1;
        },
      ),
      { numRuns: 5_000 },
    );
    assert.ok(usual > 100, `only ${usual} of the pages were still usual ones`);
  });

  const one = { name: 'a', size: '1', etag: `"${MD5}"`, storageClass: 'STANDARD' };
  const [AWS] = SERVICES;
  assert.ok(AWS);
  const page = written(AWS, [one, { ...one, name: 'b' }], true);
  const odd: Readonly<Record<string, string>> = {
    'an entry in another element': page
      .replace('<Contents>', '<Name><Contents>')
      .replace('</Contents>', '</Contents></Name>'),
    'an entry in the middle of a word': page
      .replace('<IsTruncated>true</IsTruncated>', '')
      .replace('<Contents>', '<IsTruncated>tr<Contents>')
      .replace('</Contents>', '</Contents>ue</IsTruncated>'),
    'a name twice': page.replace('<Key>', '<Key>b</Key><Key>'),
    'a size twice': page.replace('<Size>', '<Size>2</Size><Size>'),
    'a name in the owner': page.replace('</Contents>', '<Owner><Key>b</Key></Owner></Contents>'),
    'an element nobody knows': page.replace('</Contents>', '<More><Key>b</Key></More></Contents>'),
    'an entry in an entry': page.replace('<Size>', '<Contents><Key>c</Key></Contents><Size>'),
    'an entry with attributes behind it': page.replace(
      '</Contents>',
      '</Contents><Contents x="y"></Contents>',
    ),
    'text between its entries': page.replace('</Contents>', '</Contents>x'),
    'a comment between its entries': page.replace('</Contents>', '</Contents><!-- -->'),
    'a name that is not UTF-8': page.replace('<Key>a', '<Key>%FF'),
    'half a percent sign': page.replace('<Key>a', '<Key>a%2'),
    'a surrogate as bytes': page.replace('<Key>a', '<Key>%ED%A0%80'),
    'a name longer than any': page.replace('<Key>a', `<Key>${'a'.repeat(20_000)}`),
    'no name': page.replace('<Key>a</Key>', ''),
    'a size with a sign': page.replace('<Size>1', '<Size>+1'),
    'no ETag': page.replace(/<ETag>.*<\/ETag>/, ''),
    'the same name twice': page.replace(/<Contents>.*<\/Contents>/, '$&$&'),
  };
  for (const [what, text] of Object.entries(odd)) {
    it(`says of a page with ${what} what the careful reader says`, () => {
      assert.notEqual(text, page);
      const read = (): object => ({ ...readListing(Buffer.from(text)), isAscending: undefined });
      assert.deepEqual(
        told(read),
        told(() => ({ ...parseListing(text), isAscending: undefined })),
      );
    });
  }
});
