/** Objects of the fake: generations, checksums, and what the two APIs answer of them. */
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { type Answer, crc32cBase64, md5Base64, Refused } from './gcs-fake-answers.ts';

export interface FakeObject {
  readonly bytes: Buffer;
  readonly generation: string;
  readonly etag: string;
  readonly crc32c: string;
  /** Objects made of parts have none. */
  readonly md5?: string;
  /** The headers it was written with. */
  readonly headers: IncomingHttpHeaders;
}

export class Bucket {
  readonly objects = new Map<string, FakeObject>();
  /** Microseconds, as the service numbers them; never given twice. */
  #generation = 1_700_000_000_000_000;

  /** @param crc32c where it is known already. */
  put(
    key: string,
    bytes: Buffer,
    headers: IncomingHttpHeaders,
    isOfParts: boolean,
    crc32c = crc32cBase64(bytes),
  ): FakeObject {
    this.#generation += 1;
    const generation = String(this.#generation);
    const etag = isOfParts ? `"-${hash('sha1', generation, 'base64url')}"` : `"${hash('md5', bytes, 'hex')}"`;
    const made: FakeObject = {
      bytes,
      generation,
      etag,
      crc32c,
      ...(isOfParts ? {} : { md5: md5Base64(bytes) }),
      headers,
    };
    this.objects.set(key, made);
    return made;
  }

  find(key: string): FakeObject {
    const found = this.objects.get(key);
    if (found) return found;
    throw new Refused(404, 'NoSuchKey', 'The specified key does not exist.');
  }

  /** https://cloud.google.com/storage/docs/xml-api/get-object-download and head-object. */
  read(key: string, headers: IncomingHttpHeaders): Answer {
    const found = this.find(key);
    demandGeneration(found, headers);
    const common = headersOf(found);
    // https://cloud.google.com/storage/docs/transcoding: unpacked unless the request takes gzip, ranges ignored.
    const isPacked = found.headers['content-encoding'] === 'gzip';
    if (isPacked && !/gzip/.test(String(headers['accept-encoding'] ?? ''))) {
      return { status: 200, headers: common, body: gunzipSync(found.bytes) };
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
    const total = found.bytes.length;
    if (!range)
      return { status: 200, headers: { ...common, 'content-length': String(total) }, body: found.bytes };
    const from = Number(range[1]);
    if (from >= total) {
      const said = { 'content-range': `bytes */${total}` };
      throw new Refused(416, 'InvalidRange', 'The requested range cannot be satisfied.', said);
    }
    const body = found.bytes.subarray(from, Number(range[2]) + 1);
    const said = { 'content-range': `bytes ${from}-${from + body.length - 1}/${total}` };
    return { status: 206, headers: { ...common, ...said, 'content-length': String(body.length) }, body };
  }

  /**
   * https://cloud.google.com/storage/docs/json_api/v1/objects/list: ascending by UTF-8 bytes, `startOffset` itself
   * included, at most 1,000 entries, prefixes counted as entries.
   */
  list(query: URLSearchParams, pageMax: number): Answer {
    const prefix = query.get('prefix') ?? '';
    const start = Buffer.from(query.get('startOffset') ?? '');
    const token = query.get('pageToken');
    const behind = token === null ? undefined : Buffer.from(token, 'base64url');
    const max = Math.min(Number(query.get('maxResults') ?? 1_000), 1_000, pageMax);
    const delimiter = query.get('delimiter');
    const items: unknown[] = [];
    const prefixes: string[] = [];
    const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix));
    let last: string | undefined;
    for (const name of names.sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))) {
      const cut = delimiter ? name.indexOf(delimiter, prefix.length) : -1;
      const entry = cut < 0 ? name : name.slice(0, cut + 1);
      const bytes = Buffer.from(entry);
      if (Buffer.compare(Buffer.from(name), start) < 0 || prefixes.includes(entry)) continue;
      if (behind && Buffer.compare(bytes, behind) <= 0) continue;
      if (items.length + prefixes.length === max) {
        const nextPageToken = Buffer.from(last ?? '').toString('base64url');
        return json({ items, prefixes, nextPageToken });
      }
      last = entry;
      if (cut < 0) items.push(itemOf(name, this.find(name)));
      else prefixes.push(entry);
    }
    // Lists without an entry are left out.
    return json({ ...(items.length > 0 ? { items } : {}), ...(prefixes.length > 0 ? { prefixes } : {}) });
  }
}

/** https://cloud.google.com/storage/docs/xml-api/reference-headers#xgoogifgenerationmatch */
export function demandGeneration({ generation }: FakeObject, headers: IncomingHttpHeaders): void {
  const wanted = headers['x-goog-if-generation-match'];
  if (wanted === undefined || wanted === generation) return;
  throw new Refused(
    412,
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold.',
  );
}

/** https://cloud.google.com/storage/docs/xml-api/reference-headers, response headers; a field for each checksum. */
export function headersOf(object: FakeObject): Record<string, string | readonly string[]> {
  const { bytes, generation, etag, crc32c, md5, headers } = object;
  const encoding = headers['content-encoding'];
  return {
    etag,
    'x-goog-generation': generation,
    'x-goog-metageneration': '1',
    'x-goog-hash': [`crc32c=${crc32c}`, ...(md5 === undefined ? [] : [`md5=${md5}`])],
    'x-goog-stored-content-length': String(bytes.length),
    'x-goog-stored-content-encoding': encoding ?? 'identity',
    'x-goog-storage-class': String(headers['x-goog-storage-class'] ?? 'STANDARD'),
    'content-type': headers['content-type'] ?? 'application/octet-stream',
  };
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects#resource: numbers as texts. */
function itemOf(name: string, { bytes, generation, md5, crc32c, headers }: FakeObject): unknown {
  return {
    name,
    size: String(bytes.length),
    generation,
    contentType: headers['content-type'] ?? 'application/octet-stream',
    crc32c,
    ...(md5 === undefined ? {} : { md5Hash: md5 }),
  };
}

function json(value: unknown): Answer {
  return { status: 200, body: JSON.stringify(value), headers: { 'content-type': 'application/json' } };
}
