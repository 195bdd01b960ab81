/** Answers of real servers with bytes changed, lost, doubled and moved: an error or all that is in them, in little time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isStorageError } from '../../../src/core/errors.ts';
import { saidSafely } from '../../../src/drivers/http/said.ts';
import { parsePartsPage, parseUploadsPage } from '../../../src/drivers/http/upload-listing.ts';
import { utf8Of } from '../../../src/drivers/http/xml.ts';
import { errorOfResponse } from '../../../src/drivers/s3/s3-errors.ts';
import { listingOf } from '../../../src/drivers/s3/s3-listing.ts';
import { ok, scriptedS3 } from './scripted-s3.ts';

const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
const HEAD = '<?xml version="1.0" encoding="UTF-8"?>';
const OWNER = '<Owner><ID>7f4e</ID><DisplayName>registry</DisplayName></Owner>';
const KEYS = ['docker/registry/v2/blobs/sha256/00/00ab/data', 'docker/a%2Bb', 'docker/z'];
const entryOf = (key: string, tail: string) =>
  `<Contents><Key>${key}</Key><LastModified>2026-11-23T06:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>1234</Size>${tail}</Contents>`;

const LISTINGS: Readonly<Record<string, string>> = {
  AWS: `${HEAD}\n<ListBucketResult ${NAMESPACE}><Name>b</Name><Prefix>docker/</Prefix><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken><KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>${KEYS.map((key) => entryOf(key, '<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><StorageClass>STANDARD</StorageClass>')).join('')}</ListBucketResult>`,
  Ceph: `${HEAD}<ListBucketResult ${NAMESPACE}><Name>b</Name><Prefix>docker/</Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>${KEYS.map((key) => entryOf(key, `<StorageClass>STANDARD</StorageClass>${OWNER}<Type>Normal</Type>`)).join('')}<KeyCount>3</KeyCount></ListBucketResult>`,
};
const PARTS = `${HEAD}<ListPartsResult ${NAMESPACE}><Bucket>b</Bucket><Key>k</Key><UploadId>2~x</UploadId><StorageClass>STANDARD</StorageClass><PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated>${OWNER}${[1, 2].map((number) => `<Part><LastModified>2026-11-23T06:00:00.000Z</LastModified><PartNumber>${number}</PartNumber><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>5242880</Size></Part>`).join('')}</ListPartsResult>`;
const UPLOADS = `${HEAD}<ListMultipartUploadsResult ${NAMESPACE}><Bucket>b</Bucket><KeyMarker></KeyMarker><NextKeyMarker>k2</NextKeyMarker><NextUploadIdMarker>2~b</NextUploadIdMarker><MaxUploads>1000</MaxUploads><IsTruncated>true</IsTruncated>${['k1', 'k2'].map((key) => `<Upload><Key>${key}</Key><UploadId>2~${key}</UploadId><Initiator><ID>x</ID></Initiator>${OWNER}</Upload>`).join('')}</ListMultipartUploadsResult>`;

type Change = (bytes: Buffer) => Buffer;

/** One change; places are parts of the length, so that they fit any text. */
const place = fc.double({ min: 0, max: 1, noNaN: true });
const change: fc.Arbitrary<Change> = fc.oneof(
  place.map(
    (at): Change =>
      (bytes) =>
        bytes.subarray(0, Math.floor(at * bytes.length)),
  ),
  fc.tuple(place, fc.integer({ min: 1, max: 400 })).map(
    ([at, count]): Change =>
      (bytes) => {
        const from = Math.floor(at * bytes.length);
        return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + count)]);
      },
  ),
  fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 8 })).map(
    ([at, more]): Change =>
      (bytes) => {
        const from = Math.floor(at * bytes.length);
        return Buffer.concat([bytes.subarray(0, from), more, bytes.subarray(from)]);
      },
  ),
  fc.tuple(place, place).map(
    ([at, end]): Change =>
      (bytes) => {
        const [from, to] = [at, end].map((part) => Math.floor(part * bytes.length)).sort((a, b) => a - b);
        return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
      },
  ),
  fc.tuple(place, fc.integer({ min: 0, max: 7 })).map(
    ([at, bit]): Change =>
      (bytes) => {
        const changed = Buffer.from(bytes);
        const index = Math.min(changed.length - 1, Math.floor(at * changed.length));
        if (index >= 0) changed[index] = (changed[index] ?? 0) ^ (1 << bit);
        return changed;
      },
  ),
  fc
    .tuple(
      place,
      fc.constantFrom(
        '<',
        '>',
        '&',
        '&lt;',
        '</Contents>',
        '<Contents>',
        '<![CDATA[',
        '<!--',
        '\0',
        '\ud800',
      ),
    )
    .map(
      ([at, text]): Change =>
        (bytes) => {
          const from = Math.floor(at * bytes.length);
          return Buffer.concat([bytes.subarray(0, from), Buffer.from(text), bytes.subarray(from)]);
        },
    ),
);

const CALL = { backend: 's3://b', operation: 'list' };
const RUNS = { numRuns: 3_000 };

describe('a listing of which one thing is changed', () => {
  for (const [server, text] of Object.entries(LISTINGS)) {
    it(`of ${server} is refused, or holds as many entries as before`, () => {
      assert.equal(listingOf(CALL, Buffer.from(text), {}).objects.length, KEYS.length);
      fc.assert(
        fc.property(change, (changes) => {
          const changed = changes(Buffer.from(text));
          try {
            const page = listingOf(CALL, changed, {});
            // Whole elements that are gone together with the count of them leave no trace.
            if (changed.includes('<KeyCount>3</KeyCount>'))
              assert.ok(page.objects.length >= KEYS.length, `${page.objects.length} entries`);
            for (const { sizeBytes } of page.objects)
              assert.ok(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0);
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error;
            assert.ok(isStorageError(error, 'corrupt'), String(error));
            assert.ok(error.message.length < 500);
          }
        }),
        RUNS,
      );
    });
  }

  it('is refused with a count that is none, or too high', () => {
    const text = LISTINGS['AWS'] ?? '';
    for (const count of ['4', '-1', 'NaN', '', '1e9', '9'.repeat(50), '3</KeyCount><KeyCount>3'])
      assert.throws(
        () => listingOf(CALL, Buffer.from(text.replace('>3</KeyCount>', `>${count}</KeyCount>`)), {}),
        (error) => isStorageError(error, 'corrupt'),
        count,
      );
  });
});

describe('lists of parts and uploads of which some things are changed', () => {
  it('are refused, or say what can be true', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = (text: string) =>
          utf8Of(changes.reduce<Buffer>((bytes, one) => one(bytes), Buffer.from(text)));
        try {
          const { parts, next } = parsePartsPage(changed(PARTS), '');
          let past = 0;
          for (const { number, sizeBytes, tag } of parts) {
            assert.ok(number > past && number <= 10_000 && Number.isSafeInteger(sizeBytes) && tag !== '');
            past = number;
          }
          assert.ok(next === undefined || Number(next) >= past);
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
        try {
          const { uploads, next } = parseUploadsPage(changed(UPLOADS), { key: 'k1', id: '2~a' });
          for (const { id } of uploads) assert.notEqual(id, '');
          assert.ok(next === undefined || next.key >= 'k1');
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      }),
      RUNS,
    );
  });

  it('never take so many parts that there would be no end', () => {
    const part = (number: number) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>"x"</ETag><Size>1</Size></Part>`;
    const page = (numbers: readonly number[], rest = '<IsTruncated>false</IsTruncated>') =>
      `<ListPartsResult>${rest}${numbers.map(part).join('')}</ListPartsResult>`;
    const more = (next: string) =>
      `<IsTruncated>true</IsTruncated><NextPartNumberMarker>${next}</NextPartNumberMarker>`;
    assert.equal(parsePartsPage(page([1, 2, 10_000]), '').parts.length, 3);
    for (const numbers of [[2, 1], [1, 1], [0], [10_001], Array<number>(200_000).fill(1)])
      assert.throws(() => parsePartsPage(page(numbers), ''), RangeError);
    for (const next of ['1', '10000', '1e3', 'Infinity', '-5', ''])
      assert.throws(() => parsePartsPage(page([5], more(next)), '3'), RangeError, next);
  });
});

describe('a refusal', () => {
  it('becomes one short line, whatever is in it', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '<Code>',
        '</Code>',
        '<Message>',
        '</Message>',
        'SlowDown',
        '__proto__',
        'constructor',
        '\u001b[2J',
      ),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }),
        fc.integer({ min: 300, max: 599 }),
        (pieces, status) => {
          const body = Buffer.from(pieces.join(''));
          const answer = {
            status,
            headers: new Map<string, string>(),
            body,
            intoBytes: 0,
            isOverflow: false,
          };
          const { message, details } = errorOfResponse(CALL, answer);
          assert.ok(message.length < 600, `${message.length} characters`);
          assert.doesNotMatch(message, /\p{Cc}/u);
          assert.match(details.backendCode ?? 'None', /^[\w.:-]{1,100}$/);
          assert.equal(typeof details.kind, 'string');
        },
      ),
      RUNS,
    );
  });

  it('takes time in proportion to its length', () => {
    const start = performance.now();
    for (const text of ['secret', 'a', '&lt;', '//', 'Basic ', 'sig= ', '%'])
      assert.ok(saidSafely(text.repeat(200_000), ['the key']).length < 400);
    assert.ok(performance.now() - start < 10_000);
  });
});

describe('answers to the beginning and the end of an upload', () => {
  it('that are any bytes give a right result or a StorageError', async (t) => {
    let body = '';
    const { driver } = await scriptedS3(t, () => ok(body));
    const { multipart } = driver;
    const ctx = { signal: t.signal };
    const begun = `${HEAD}<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>2~abc</UploadId></InitiateMultipartUploadResult>`;
    const ended = `${HEAD}<CompleteMultipartUploadResult><Location>x</Location><ETag>"a-1"</ETag></CompleteMultipartUploadResult>`;
    const upload = { key: 'k', id: 'u' };
    const receipt = { number: 1, sizeBytes: 1, tag: '"t"' };
    await fc.assert(
      fc.asyncProperty(change, async (changes) => {
        body = changes(Buffer.from(begun)).toString('latin1');
        await multipart.begin(ctx, 'k').then(
          ({ id }) => assert.ok(id.length > 0 && id.length <= 2048),
          (error) => assert.ok(isStorageError(error), String(error)),
        );
        body = changes(Buffer.from(ended)).toString('latin1');
        await multipart.complete(ctx, upload, [receipt], { sizeBytes: 1 }).then(
          () => assert.match(body, /<CompleteMultipartUploadResult[\s\S]*<\/CompleteMultipartUploadResult>/),
          (error) => assert.ok(isStorageError(error), String(error)),
        );
      }),
      { numRuns: 300 },
    );
  });
});
