/** As much of Cloud Storage as the driver asks: objects and uploads by the XML API, listings by the JSON API. */
import { combineCrc32c } from '../../src/core/crc32c.ts';
import {
  type Answer,
  base64ToHex,
  type Dialect,
  type Exchange,
  hexToBase64,
  newVersion,
  one,
  readAnswer,
  type Sums,
  stored,
  wrongSum,
} from './exchange.ts';
import type { StoredObject } from './object-store.ts';

export const TOKEN = 'token-of-the-bench';

const uploads = new Map<string, Map<number, StoredObject>>();
const LISTING = /^\/storage\/v1\/b\/([^/]+)\/o$/;

export const GCS_DIALECT: Dialect = {
  // https://google.aip.dev/auth/4117: an external account exchanges a token of its own for one of Google's.
  outside: (path) =>
    path === '/token'
      ? {
          operation: 'Token',
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            access_token: TOKEN,
            token_type: 'Bearer',
            expires_in: 3_600,
            issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          }),
        }
      : undefined,
  placeOf: (path) => {
    const listed = LISTING.exec(path)?.[1];
    if (listed !== undefined) return { container: listed, rawKey: undefined };
    const [, container, rawKey] = /^\/([^/]+)(?:\/(.+))?$/.exec(path) ?? [];
    return container === undefined ? undefined : { container, rawKey };
  },
  isAllowed: ({ authorization }) => authorization === `Bearer ${TOKEN}`,
  answer: (exchange) => {
    const { method, key, query, container } = exchange;
    if (key === undefined) return query.has('uploads') ? listUploads() : list(exchange);
    if (method === 'POST' && query.has('uploads')) return begin();
    if (method === 'POST') return complete(exchange, key);
    if (method === 'PUT') return put(exchange, key);
    if (method === 'DELETE' && query.has('uploadId')) {
      uploads.delete(query.get('uploadId') ?? '');
      return { operation: 'AbortUpload', status: 204 };
    }
    if (method === 'DELETE') return { operation: 'Delete', status: container.delete(key) ? 204 : 404 };
    const object = container.objects.get(key);
    return object ? readAnswer(exchange, object, headersOf(object)) : refused('Get', 404, 'NoSuchKey');
  },
};

function headersOf({ version, sizeBytes, md5, hasTrueMd5, crc32c }: StoredObject): Record<string, string> {
  const sums = [
    ...(crc32c === undefined ? [] : [`crc32c=${base64Of(crc32c)}`]),
    ...(hasTrueMd5 ? [`md5=${hexToBase64(md5)}`] : []),
  ];
  return {
    etag: `"${version}"`,
    'x-goog-generation': version,
    'x-goog-stored-content-length': String(sizeBytes),
    ...(sums.length === 0 ? {} : { 'x-goog-hash': sums.join(',') }),
  };
}

function base64Of(crc32c: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32c);
  return bytes.toString('base64');
}

function refused(operation: string, status: number, code: string): Answer {
  return {
    operation,
    status,
    code,
    body: `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code></Error>`,
  };
}

function sumsIn({ headers }: Exchange): Sums {
  const text = one(headers['x-goog-hash']) ?? '';
  const crc = /crc32c=([^,]+)/.exec(text)?.[1];
  return {
    md5: base64ToHex(/md5=([^,]+)/.exec(text)?.[1]),
    crc32c: crc === undefined ? undefined : Buffer.from(crc, 'base64').readUInt32BE(),
  };
}

function put(exchange: Exchange, key: string): Answer {
  const id = exchange.query.get('uploadId');
  const operation = id === null ? 'PutObject' : 'PutPart';
  const sums = sumsIn(exchange);
  if (wrongSum(exchange, sums)) return refused(operation, 400, 'BadDigest');
  const object = stored(exchange, sums);
  if (id === null) exchange.container.put(key, object);
  else uploads.get(id)?.set(Number(exchange.query.get('partNumber')), object);
  return { operation, status: 200, headers: headersOf(object) };
}

function begin(): Answer {
  const id = newVersion();
  uploads.set(id, new Map());
  const xml = `<?xml version='1.0' encoding='UTF-8'?><InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`;
  return { operation: 'BeginUpload', status: 200, body: xml };
}

function complete({ query, container }: Exchange, key: string): Answer {
  const id = query.get('uploadId') ?? '';
  const parts = [...(uploads.get(id) ?? [])]
    .toSorted(([left], [right]) => left - right)
    .map(([, part]) => part);
  if (parts.length === 0) return refused('CompleteUpload', 404, 'NoSuchUpload');
  uploads.delete(id);
  const known = parts.map(({ crc32c }) => crc32c);
  container.put(key, {
    pieces: parts.flatMap(({ pieces }) => pieces),
    sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    md5: '',
    hasTrueMd5: false,
    // Of the whole, from those of the parts, as the service says it.
    crc32c: known.includes(undefined)
      ? undefined
      : parts.reduce((sum, { crc32c = 0, sizeBytes }) => combineCrc32c(sum, crc32c, sizeBytes), 0),
    version: newVersion(),
  });
  const xml = `<?xml version='1.0' encoding='UTF-8'?><CompleteMultipartUploadResult><ETag>"${id}"</ETag></CompleteMultipartUploadResult>`;
  return { operation: 'CompleteUpload', status: 200, body: xml };
}

function listUploads(): Answer {
  const xml = `<?xml version='1.0' encoding='UTF-8'?><ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`;
  return { operation: 'ListUploads', status: 200, body: xml };
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects/list: `startOffset` is itself part of what is listed. */
function list({ query, container }: Exchange): Answer {
  const start = query.get('startOffset');
  const { names, prefixes, next } = container.list({
    prefix: query.get('prefix') ?? '',
    after: query.get('pageToken') ?? (start === null ? undefined : before(start)),
    delimiter: query.get('delimiter') ?? undefined,
    max: Number(query.get('maxResults') ?? 1_000),
  });
  const items = names.flatMap((name) => {
    const object = container.objects.get(name);
    if (!object) return [];
    const sum = object.hasTrueMd5 ? { md5Hash: hexToBase64(object.md5) } : {};
    return [{ name, size: String(object.sizeBytes), generation: object.version, ...sum }];
  });
  const body = JSON.stringify({ items, prefixes, ...(next === undefined ? {} : { nextPageToken: next }) });
  return { operation: 'List', status: 200, headers: { 'content-type': 'application/json' }, body };
}

/** A text that all names sort behind which are not before this one. */
function before(name: string): string {
  const last = name.charCodeAt(name.length - 1);
  return name === '' ? '' : `${name.slice(0, -1)}${String.fromCharCode(last - 1)}\uffff`;
}
