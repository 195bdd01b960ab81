/** Multipart uploads of the fake: https://cloud.google.com/storage/docs/multipart-uploads and the pages it links to. */
import { hash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import {
  type Answer,
  base64OfCrc,
  checkHashes,
  crc32cBase64,
  escapeXml,
  fakeCrc32c,
  md5Base64,
  Refused,
} from './gcs-fake-answers.ts';
import type { Bucket } from './gcs-fake-bucket.ts';

/** https://cloud.google.com/storage/quotas#requests: "Minimum part size 5 MiB, no minimum for the last part". */
const PART_BYTES_MIN = 5 * 1024 ** 2;

interface Part {
  readonly bytes: Buffer;
  readonly etag: string;
}

interface Upload {
  readonly key: string;
  readonly headers: IncomingMessage['headers'];
  readonly parts: Map<number, Part>;
  /** The checksum of parts 1 to `upTo`, kept up as they come: that of gigabytes at once would take too long to answer. */
  begun: { upTo: number; crc: number };
}

export class FakeUploads {
  readonly #bucket: Bucket;
  readonly #pageMax: number;
  readonly #checks: boolean;
  readonly #uploads = new Map<string, Upload>();

  constructor(bucket: Bucket, options: { readonly pageMax: number; readonly checks: boolean }) {
    this.#bucket = bucket;
    this.#pageMax = options.pageMax;
    this.#checks = options.checks;
  }

  get count(): number {
    return this.#uploads.size;
  }

  /** https://cloud.google.com/storage/docs/xml-api/post-object-multipart: metadata of the object is given here. */
  begin(request: IncomingMessage, key: string): Answer {
    const id = randomBytes(40).toString('base64url');
    this.#uploads.set(id, {
      key,
      headers: request.headers,
      parts: new Map(),
      begun: { upTo: 0, crc: 0 },
    });
    return xml(
      `<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bucket</Bucket><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    );
  }

  /** https://cloud.google.com/storage/docs/xml-api/put-object-multipart: number 1 to 10,000, replaces an older part. */
  put(request: IncomingMessage, key: string, query: URLSearchParams, bytes: Buffer): Answer {
    const upload = this.#find(key, query);
    const number = Number(query.get('partNumber'));
    if (!Number.isInteger(number) || number < 1 || number > 10_000)
      throw new Refused(400, 'InvalidArgument', 'Part number must be an integer between 1 and 10000.');
    if (this.#checks) checkHashes(request, bytes);
    const etag = `"${hash('md5', bytes, 'hex')}"`;
    // Of equal parts one is kept: a sparse object has hundreds of them.
    const same = [...upload.parts.values()].find((part) => part.etag === etag);
    upload.parts.set(number, { bytes: same?.bytes ?? bytes, etag });
    if (number <= upload.begun.upTo) upload.begun = { upTo: 0, crc: 0 };
    goOn(upload);
    const hashes = [`crc32c=${crc32cBase64(bytes)}`, `md5=${md5Base64(bytes)}`];
    return { status: 200, headers: { etag, 'x-goog-hash': hashes } };
  }

  /** https://cloud.google.com/storage/docs/xml-api/post-object-complete: no MD5, and an ETag that is not based on one. */
  complete(key: string, query: URLSearchParams, body: Buffer): Answer {
    const upload = this.#find(key, query);
    const parts = partsIn(body.toString('utf8')).map(({ number, etag }) => {
      const part = upload.parts.get(number);
      if (!part || part.etag !== etag)
        throw new Refused(400, 'InvalidPart', 'One or more of the specified parts could not be found.');
      return part;
    });
    if (parts.slice(0, -1).some(({ bytes }) => bytes.length < PART_BYTES_MIN))
      throw new Refused(400, 'EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed.');
    const whole = Buffer.concat(parts.map(({ bytes }) => bytes));
    const isBegun = upload.begun.upTo === parts.length && upload.parts.size === parts.length;
    const crc = isBegun ? base64OfCrc(upload.begun.crc) : crc32cBase64(whole);
    const kept = this.#bucket.put(key, whole, upload.headers, true, crc);
    this.#uploads.delete(query.get('uploadId') ?? '');
    return xml(
      `<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Location>x</Location><Bucket>bucket</Bucket><Key>${escapeXml(key)}</Key><ETag>${escapeXml(kept.etag)}</ETag></CompleteMultipartUploadResult>`,
    );
  }

  /** https://cloud.google.com/storage/docs/xml-api/delete-multipart */
  abort(key: string, query: URLSearchParams): Answer {
    this.#find(key, query);
    this.#uploads.delete(query.get('uploadId') ?? '');
    return { status: 204 };
  }

  /** https://cloud.google.com/storage/docs/xml-api/get-object-multipart: ascending numbers, pages by part-number-marker. */
  listParts(key: string, query: URLSearchParams): Answer {
    const upload = this.#find(key, query);
    const marker = Number(query.get('part-number-marker') ?? 0);
    const all = [...upload.parts]
      .filter(([number]) => number > marker)
      .sort(([left], [right]) => left - right);
    const page = all.slice(0, this.#pageMax);
    const parts = page.map(
      ([number, { bytes, etag }]) =>
        `<Part><PartNumber>${number}</PartNumber><LastModified>2026-11-23T00:00:00.000Z</LastModified><ETag>${escapeXml(etag)}</ETag><Size>${bytes.length}</Size></Part>`,
    );
    const isTruncated = page.length < all.length;
    const next = isTruncated ? `<NextPartNumberMarker>${page.at(-1)?.[0]}</NextPartNumberMarker>` : '';
    return xml(
      `<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Key>${escapeXml(key)}</Key>${next}<IsTruncated>${isTruncated}</IsTruncated>${parts.join('')}</ListPartsResult>`,
    );
  }

  /** https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads: by name, then by id; pages by both markers. */
  list(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? '';
    const marker = [query.get('key-marker') ?? '', query.get('upload-id-marker') ?? ''] as const;
    const all = [...this.#uploads]
      .map(([id, { key }]) => [key, id] as const)
      .filter((one) => one[0].startsWith(prefix) && compare(one, marker) > 0)
      .sort(compare);
    const page = all.slice(0, this.#pageMax);
    const uploads = page.map(
      ([key, id]) => `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId></Upload>`,
    );
    const isTruncated = page.length < all.length;
    const [key = '', id = ''] = page.at(-1) ?? [];
    const next = isTruncated
      ? `<NextKeyMarker>${escapeXml(key)}</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>`
      : '';
    return xml(
      `<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bucket</Bucket>${next}<IsTruncated>${isTruncated}</IsTruncated>${uploads.join('')}</ListMultipartUploadsResult>`,
    );
  }

  #find(key: string, query: URLSearchParams): Upload {
    const upload = this.#uploads.get(query.get('uploadId') ?? '');
    if (upload?.key === key) return upload;
    throw new Refused(404, 'NoSuchUpload', 'The requested upload was not found.');
  }
}

function goOn(upload: Upload): void {
  for (;;) {
    const { upTo, crc } = upload.begun;
    const next = upload.parts.get(upTo + 1);
    if (!next) return;
    upload.begun = { upTo: upTo + 1, crc: fakeCrc32c(next.bytes, crc) };
  }
}

function xml(body: string): Answer {
  return {
    status: 200,
    body: `<?xml version='1.0' encoding='UTF-8'?>${body}`,
    headers: { 'content-type': 'application/xml' },
  };
}

function partsIn(text: string): readonly { readonly number: number; readonly etag: string }[] {
  const found = [...text.matchAll(/<Part><PartNumber>(\d+)<\/PartNumber><ETag>([^<]*)<\/ETag><\/Part>/g)];
  if (found.length === 0 || !text.startsWith('<CompleteMultipartUpload>'))
    throw new Refused(400, 'MalformedXML', 'The XML you provided was not well-formed.');
  const parts = found.map(([, number, etag = '']) => ({
    number: Number(number),
    etag: etag.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))),
  }));
  if (parts.some(({ number }, at) => at > 0 && number <= (parts[at - 1]?.number ?? 0)))
    throw new Refused(400, 'InvalidPartOrder', 'The list of parts was not in ascending order.');
  return parts;
}

function compare(left: readonly [string, string], right: readonly [string, string]): number {
  return (
    Buffer.compare(Buffer.from(left[0]), Buffer.from(right[0])) ||
    Buffer.compare(Buffer.from(left[1]), Buffer.from(right[1]))
  );
}
