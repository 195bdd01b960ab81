import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import type { ObjectInfo } from '../../../src/drivers/driver.ts';
import { md5OfETag } from '../../../src/drivers/http/etag.ts';
import { parsePartsPage, parseUploadsPage } from '../../../src/drivers/http/upload-listing.ts';
import { decodeEntities, eachElement, escapeXml, textOf } from '../../../src/drivers/http/xml.ts';
import { parseListing } from '../../../src/drivers/s3/s3-listing.ts';

const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
/** How servers write what XML gives a meaning to; S3 also refers to control characters, which XML 1.0 forbids. */
const escapes: readonly ((text: string) => string)[] = [
  escapeXml,
  (text) =>
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&apos;'),
  (text) => [...text].map((char) => `&#x${(char.codePointAt(0) ?? 0).toString(16)};`).join(''),
  (text) => [...text].map((char) => `&#${char.codePointAt(0)};`).join(''),
];

interface Encoding {
  readonly name: string;
  readonly element: string;
  readonly encode: (text: string) => string;
}

const urlEncoded = '<EncodingType>url</EncodingType>';
const encodings: readonly Encoding[] = [
  ...escapes.map((encode, index) => ({ name: `entities ${index}`, element: '', encode })),
  { name: 'percent signs, slashes too', element: urlEncoded, encode: encodeURIComponent },
  {
    name: 'percent signs without slashes',
    element: urlEncoded,
    encode: (text) => encodeURIComponent(text).replaceAll('%2F', '/'),
  },
  {
    name: 'percent signs and a plus for a space',
    element: urlEncoded,
    encode: (text) => encodeURIComponent(text).replaceAll('%20', '+'),
  },
];

function contents(object: ObjectInfo, encode: (text: string) => string): string {
  const etag = object.version === undefined ? '' : `<ETag>${escapeXml(object.version)}</ETag>`;
  return `<Contents><Key>${encode(object.key)}</Key><LastModified>2026-11-23T00:00:00.000Z</LastModified>${etag}<Size>${object.sizeBytes}</Size><Owner><ID>Key</ID></Owner></Contents>`;
}

interface Listing {
  readonly objects: readonly ObjectInfo[];
  readonly prefixes?: readonly string[];
  readonly token?: string;
}

function listing({ objects, prefixes = [], token }: Listing, { element, encode }: Encoding): string {
  const more = token === undefined ? 'false' : 'true';
  const next =
    token === undefined ? '' : `<NextContinuationToken>${escapeXml(token)}</NextContinuationToken>`;
  const groups = prefixes.map((one) => `<CommonPrefixes><Prefix>${encode(one)}</Prefix></CommonPrefixes>`);
  return `<?xml version="1.0"?>\n<ListBucketResult ${NAMESPACE}><Name>b</Name><Prefix>x</Prefix>${element}<IsTruncated>${more}</IsTruncated>${next}${objects.map((one) => contents(one, encode)).join('')}${groups.join('')}</ListBucketResult>\n`;
}

const [PLAIN] = encodings;
assert.ok(PLAIN);
const plain = PLAIN;

describe('decodeEntities() and escapeXml()', () => {
  it('give back any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...escapes), (text, written) => {
        assert.equal(decodeEntities(written(text)), text);
        assert.equal(textOf(`<A><B>${written(text)}</B></A>`, 'B'), text);
      }),
    );
  });

  it('leave alone what is no entity', () => {
    for (const text of ['&', '&;', '&nope;', '&#;', '&#x;', '&#x110000;', '&#9999999;', 'a & b;'])
      assert.equal(decodeEntities(text), text);
  });
});

describe('textOf() and eachElement()', () => {
  it('take no part of a longer name for the name', () => {
    assert.equal(textOf('<Keys>no</Keys><Key>yes</Key>', 'Key'), 'yes');
    assert.equal(textOf('<Keys>no</Keys>', 'Key'), undefined);
    assert.equal(textOf('<Key>', 'Key'), undefined);
  });

  it('stop where the caller has seen enough, and say which element has no end', () => {
    const seen: string[] = [];
    const xml = '<A>1</A><A>2</A><A>3';
    eachElement(xml, 'A', (from, to) => seen.push(xml.slice(from, to)) < 2);
    assert.deepEqual(seen, ['1', '2']);
    assert.throws(() => eachElement(xml, 'A', () => true), /Element A has no end/);
  });
});

describe('parseListing()', () => {
  const object = fc.record(
    {
      key,
      sizeBytes: fc.oneof(fc.nat(), fc.constantFrom(0, 5 * 1024 ** 4, Number.MAX_SAFE_INTEGER)),
      version: fc.oneof(
        fc.stringMatching(/^"[0-9a-f]{32}"$/),
        fc.stringMatching(/^"[0-9a-f]{32}-[1-9][0-9]{0,3}"$/),
        fc.constantFrom('""', 'opaque', '"<&>"'),
      ),
    },
    { requiredKeys: ['key', 'sizeBytes'] },
  );

  for (const encoding of encodings) {
    it(`reads any keys, sizes and ETags, written with ${encoding.name}`, () => {
      fc.assert(
        fc.property(
          fc.array(object, { maxLength: 8 }),
          fc.array(key, { maxLength: 4 }),
          fc.option(fc.string({ unit: 'binary', minLength: 1 }), { nil: undefined }),
          (objects, prefixes, token) => {
            const page = parseListing(
              listing({ objects, prefixes, ...(token === undefined ? {} : { token }) }, encoding),
            );
            assert.deepEqual(
              page.objects,
              objects.map((one) => {
                const md5 = md5OfETag(one.version);
                return md5 === undefined ? { ...one } : { ...one, md5 };
              }),
            );
            assert.deepEqual(page.prefixes, prefixes);
            assert.equal(page.nextToken, token);
          },
        ),
      );
    });
  }

  const wrong: Readonly<Record<string, string>> = {
    'another document': '<Error><Code>NoSuchBucket</Code></Error>',
    nothing: '',
    'a listing cut between two entries': listing({ objects: [{ key: 'a', sizeBytes: 1 }] }, plain).split(
      '</ListBucketResult>',
    )[0] as string,
    'an entry without a name': listing({ objects: [{ key: 'a', sizeBytes: 1 }] }, plain).replaceAll(
      'Key>',
      'K>',
    ),
    'an entry without a size': listing({ objects: [{ key: 'a', sizeBytes: 1 }] }, plain).replace(
      '<Size>1</Size>',
      '',
    ),
    'an empty size': listing({ objects: [{ key: 'a', sizeBytes: 1 }] }, plain).replace('>1<', '><'),
    'a negative size': listing({ objects: [{ key: 'a', sizeBytes: -1 }] }, plain),
    'a size with a fraction': listing({ objects: [{ key: 'a', sizeBytes: 1.5 }] }, plain),
    'a size in hexadecimal': listing({ objects: [{ key: 'a', sizeBytes: 1 }] }, plain).replace(
      '>1<',
      '>0x1<',
    ),
    'a size with an exponent': listing({ objects: [{ key: 'a', sizeBytes: 1 }] }, plain).replace(
      '>1<',
      '>1e3<',
    ),
    'a size above 2^53': listing({ objects: [{ key: 'a', sizeBytes: 1 }] }, plain).replace(
      '>1<',
      '>9007199254740993<',
    ),
    'half an entry': listing({ objects: [{ key: 'a', sizeBytes: 1 }] }, plain).replace('</Contents>', ''),
    'a name that is not UTF-8': listing(
      { objects: [{ key: 'a%FFb', sizeBytes: 1 }] },
      { ...plain, element: urlEncoded },
    ),
    'a next page without a token': listing({ objects: [], token: 't' }, plain).replace(/<Next.*Token>/, ''),
    'a next page with an empty token': listing({ objects: [], token: '' }, plain),
  };
  for (const [what, xml] of Object.entries(wrong)) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseListing(xml), RangeError);
    });
  }

  it('fails with a RangeError or not at all, whatever the bytes', () => {
    const edit = fc.tuple(fc.nat(5_000), fc.constantFrom('cut', 'drop', 'flip'), fc.nat(255), fc.nat(60));
    fc.assert(
      fc.property(
        fc.array(object, { maxLength: 5 }),
        fc.constantFrom(...encodings),
        fc.array(edit, { minLength: 1, maxLength: 5 }),
        (objects, encoding, edits) => {
          let text = listing({ objects, prefixes: ['p/'], token: 't' }, encoding);
          for (const [place, what, value, span] of edits) {
            const at = place % (text.length + 1);
            const rest =
              what === 'flip' ? String.fromCharCode(value) + text.slice(at + 1) : text.slice(at + span);
            text = text.slice(0, at) + (what === 'cut' ? '' : rest);
          }
          try {
            for (const one of parseListing(text).objects) assert.ok(Number.isSafeInteger(one.sizeBytes));
          } catch (error) {
            assert.ok(error instanceof RangeError, String(error));
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('takes time in proportion to the largest answer it can get, whatever is missing in it', () => {
    const entry = '<Contents><Key>k</Key><Size>1</Size></Contents>';
    const xml = `<ListBucketResult><IsTruncated>false</IsTruncated>${entry.repeat(340_000)}</ListBucketResult>`;
    const start = performance.now();
    assert.equal(parseListing(xml).objects.length, 340_000);
    assert.ok(performance.now() - start < 20_000);
  });

  it('ends at the range it was asked for, and shows a page out of order whole', () => {
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 12 }), key, fc.boolean(), (keys, upTo, isSorted) => {
        const order = isSorted ? [...keys].sort(compareUtf8) : keys;
        const objects = order.map((one) => ({ key: one, sizeBytes: 1 }));
        const page = parseListing(listing({ objects, token: 't' }, plain), { upTo });
        const given = page.objects.map((one) => one.key);
        const wanted = order.filter((one) => compareUtf8(one, upTo) <= 0);
        const isPast = wanted.length < order.length;
        if (given.length === order.length && !isPast) {
          assert.deepEqual(given, order);
          assert.equal(page.nextToken, 't');
        } else if (given.length === order.length) {
          // Only disorder is a reason to give what was not wanted.
          assert.notDeepEqual(order, [...order].sort(compareUtf8));
          assert.equal(page.nextToken, 't');
        } else {
          assert.deepEqual(given, wanted);
          assert.equal(page.nextToken, undefined);
          assert.equal(
            page.behind,
            order.find((one) => compareUtf8(one, upTo) > 0),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  it('does not end a listing whose first page lies behind the range in descending order', () => {
    const objects = ['z', 'y', 'x'].map((one) => ({ key: one, sizeBytes: 1 }));
    const page = parseListing(listing({ objects, token: 't' }, plain), { upTo: 'm' });
    assert.equal(page.nextToken, 't');
    assert.equal(page.objects.length, 3);
  });
});

describe('md5OfETag()', () => {
  it('takes 32 hexadecimal digits in quotes or not, and nothing else', () => {
    const md5 = '0123456789abcdef0123456789abcdef';
    for (const etag of [md5, `"${md5}"`, `"${md5.toUpperCase()}"`]) assert.equal(md5OfETag(etag), md5);
    for (const etag of [undefined, '', '""', `"${md5}-2"`, `${md5}0`, md5.slice(1), `W/"${md5}"`])
      assert.equal(md5OfETag(etag), undefined);
  });
});

describe('parsePartsPage()', () => {
  const part = (number: string, size = '5', tag = '"x"', crc = '') =>
    `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(tag)}</ETag><Size>${size}</Size>${crc}</Part>`;
  const page = (parts: string, next = '<IsTruncated>false</IsTruncated>') =>
    `<ListPartsResult ${NAMESPACE}><PartNumberMarker>0</PartNumberMarker>${next}${parts}</ListPartsResult>`;

  it('reads parts with what is known of them', () => {
    const md5 = '0123456789abcdef0123456789abcdef';
    const crc = '<ChecksumCRC32>AAAAAQ==</ChecksumCRC32>';
    const { parts, next } = parsePartsPage(page(part('1', '7', `"${md5}"`, crc) + part('10000')), '');
    assert.deepEqual(parts, [
      { number: 1, sizeBytes: 7, tag: `"${md5}"`, md5, crc32: 1 },
      { number: 10_000, sizeBytes: 5, tag: '"x"' },
    ]);
    assert.equal(next, undefined);
  });

  it('leaves out a checksum that is none', () => {
    for (const crc of ['', '<ChecksumCRC32></ChecksumCRC32>', '<ChecksumCRC32>AAAA</ChecksumCRC32>'])
      assert.equal(parsePartsPage(page(part('1', '5', '"x"', crc)), '').parts[0]?.crc32, undefined);
  });

  it('goes on only forwards', () => {
    const more = (marker: string) =>
      page(
        part('3'),
        `<IsTruncated>true</IsTruncated><NextPartNumberMarker>${marker}</NextPartNumberMarker>`,
      );
    assert.equal(parsePartsPage(more('3'), '2').next, '3');
    for (const marker of ['', '2', '1', 'x'])
      assert.throws(() => parsePartsPage(more(marker), '2'), RangeError);
    assert.throws(() => parsePartsPage(page('', '<IsTruncated>true</IsTruncated>'), ''), RangeError);
  });

  it('refuses parts that miss something, and other documents', () => {
    for (const parts of [
      part('', '5'),
      part('1', ''),
      part('1', '5', ''),
      part('x'),
      part('1', '-5'),
      '<Part>',
    ])
      assert.throws(() => parsePartsPage(page(parts), ''), RangeError);
    assert.throws(() => parsePartsPage('<Error/>', ''), RangeError);
  });
});

describe('parseUploadsPage()', () => {
  const upload = (name: string, id: string) =>
    `<Upload><Key>${escapeXml(name)}</Key><UploadId>${escapeXml(id)}</UploadId></Upload>`;
  const page = (uploads: string, next = '<IsTruncated>false</IsTruncated>') =>
    `<ListMultipartUploadsResult ${NAMESPACE}>${next}${uploads}</ListMultipartUploadsResult>`;
  const more = (name: string, id: string) =>
    `<IsTruncated>true</IsTruncated><NextKeyMarker>${escapeXml(name)}</NextKeyMarker><NextUploadIdMarker>${escapeXml(id)}</NextUploadIdMarker>`;

  it('reads any keys and ids', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.stringMatching(/^[!-~]+$/)), { maxLength: 5 }), (uploads) => {
        const xml = page(uploads.map(([name, id]) => upload(name, id)).join(''));
        assert.deepEqual(parseUploadsPage(xml, undefined), {
          uploads: uploads.map(([name, id]) => ({ key: name, id })),
        });
      }),
    );
  });

  it('goes on at the markers it is given, but not at those it came from', () => {
    const xml = page(upload('a', '1'), more('a', '1'));
    assert.deepEqual(parseUploadsPage(xml, undefined).next, { key: 'a', id: '1' });
    assert.deepEqual(parseUploadsPage(xml, { key: 'a', id: '0' }).next, { key: 'a', id: '1' });
    assert.throws(() => parseUploadsPage(xml, { key: 'a', id: '1' }), RangeError);
    assert.throws(() => parseUploadsPage(page('', more('', '')), undefined), RangeError);
  });

  it('refuses uploads that miss something, and other documents', () => {
    for (const one of [upload('a', ''), '<Upload><UploadId>1</UploadId></Upload>', '<Upload>'])
      assert.throws(() => parseUploadsPage(page(one), undefined), RangeError);
    assert.throws(() => parseUploadsPage('<Error/>', undefined), RangeError);
  });
});
