/** As much of Azure Blob Storage as the driver asks (https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api). */
import {
  type Answer,
  base64ToHex,
  type Dialect,
  type Exchange,
  escaped,
  hexToBase64,
  newVersion,
  one,
  readAnswer,
  type Sums,
  stored,
  wrongSum,
} from './exchange.ts';
import type { Container, StoredObject } from './object-store.ts';

/** Blocks that wait, by container and key. */
const waiting = new WeakMap<Container, Map<string, Map<string, StoredObject>>>();

export const AZURE_DIALECT: Dialect = {
  outside: () => undefined,
  placeOf: (path) => {
    const [, container, rawKey] = /^\/testaccount\/([^/]+)(?:\/(.+))?$/.exec(path) ?? [];
    return container === undefined ? undefined : { container, rawKey };
  },
  isAllowed: ({ authorization = '' }) => authorization.startsWith('SharedKey testaccount:'),
  answer: (exchange) => {
    const { method, key, query } = exchange;
    if (key === undefined) return ofContainer(exchange);
    const comp = query.get('comp');
    if (method === 'PUT' && comp === 'block') return putBlock(exchange, key);
    if (method === 'PUT' && comp === 'blocklist') return putBlockList(exchange, key);
    if (method === 'PUT') return putBlob(exchange, key);
    if (method === 'DELETE')
      return { operation: 'DeleteBlob', status: exchange.container.delete(key) ? 202 : 404 };
    if (comp === 'blocklist') return listBlocks(exchange, key);
    const object = exchange.container.objects.get(key);
    if (!object) return refused('Get', 404, 'BlobNotFound');
    return readAnswer(exchange, object, headersOf(object));
  },
};

function headersOf({ version, md5, hasTrueMd5 }: StoredObject): Readonly<Record<string, string>> {
  const sum: Record<string, string> = hasTrueMd5 ? { 'content-md5': hexToBase64(md5) } : {};
  return { etag: `"0x${version}"`, 'x-ms-blob-type': 'BlockBlob', ...sum };
}

function refused(operation: string, status: number, code: string): Answer {
  return { operation, status, code, headers: { 'x-ms-error-code': code } };
}

function sumsIn({ headers }: Exchange): Sums {
  return { md5: base64ToHex(one(headers['content-md5'])), crc64: one(headers['x-ms-content-crc64']) };
}

const MISMATCH = { md5: 'Md5Mismatch', crc64: 'Crc64Mismatch', crc32c: 'InvalidHeaderValue' } as const;

function putBlob(exchange: Exchange, key: string): Answer {
  const sums = sumsIn(exchange);
  const wrong = wrongSum(exchange, sums);
  if (wrong) return refused('PutBlob', 400, MISMATCH[wrong]);
  const object = stored(exchange, sums);
  exchange.container.put(key, object);
  return { operation: 'PutBlob', status: 201, headers: headersOf(object) };
}

function blocksOf(container: Container, key: string): Map<string, StoredObject> {
  const keys = waiting.get(container) ?? new Map<string, Map<string, StoredObject>>();
  waiting.set(container, keys);
  const blocks = keys.get(key) ?? new Map<string, StoredObject>();
  keys.set(key, blocks);
  return blocks;
}

function putBlock(exchange: Exchange, key: string): Answer {
  const sums = sumsIn(exchange);
  const wrong = wrongSum(exchange, sums);
  if (wrong) return refused('PutBlock', 400, MISMATCH[wrong]);
  blocksOf(exchange.container, key).set(exchange.query.get('blockid') ?? '', stored(exchange, sums));
  return { operation: 'PutBlock', status: 201 };
}

function putBlockList(exchange: Exchange, key: string): Answer {
  const xml = Buffer.concat(exchange.body).toString('utf8');
  const blocks = blocksOf(exchange.container, key);
  const named = [...xml.matchAll(/<Latest>([^<]*)<\/Latest>/g)].map(([, id = '']) => blocks.get(id));
  if (named.some((block) => block === undefined)) return refused('PutBlockList', 400, 'InvalidBlockList');
  const pieces = named.flatMap((block) => block?.pieces ?? []);
  const sizeBytes = named.reduce((sum, block) => sum + (block?.sizeBytes ?? 0), 0);
  const whole = { pieces, sizeBytes, md5: '', hasTrueMd5: false, crc32c: undefined, version: newVersion() };
  exchange.container.put(key, whole);
  waiting.get(exchange.container)?.delete(key);
  return { operation: 'PutBlockList', status: 201, headers: { etag: `"0x${whole.version}"` } };
}

function listBlocks({ container }: Exchange, key: string): Answer {
  const blocks = [...(waiting.get(container)?.get(key) ?? [])].map(
    ([id, { sizeBytes }]) => `<Block><Name>${id}</Name><Size>${sizeBytes}</Size></Block>`,
  );
  const xml = `<?xml version="1.0" encoding="utf-8"?><BlockList><UncommittedBlocks>${blocks.join('')}</UncommittedBlocks></BlockList>`;
  return { operation: 'GetBlockList', status: 200, body: xml };
}

function ofContainer({ query, headers, container }: Exchange): Answer {
  if (query.get('restype') === 'account') return { operation: 'GetAccountInformation', status: 200 };
  const { names, prefixes, next } = container.list({
    prefix: query.get('prefix') ?? '',
    after: query.get('marker') ?? undefined,
    from: knowsStartFrom(headers) ? (query.get('startFrom') ?? undefined) : undefined,
    delimiter: query.get('delimiter') ?? undefined,
    max: Number(query.get('maxresults') ?? 5_000),
  });
  const blobs = names.map((name) => blobXml(name, container.objects.get(name)));
  const groups = prefixes.map((name) => `<BlobPrefix><Name>${escaped(name)}</Name></BlobPrefix>`);
  const marker = next === undefined ? '<NextMarker />' : `<NextMarker>${escaped(next)}</NextMarker>`;
  const xml = `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${blobs.join('')}${groups.join('')}</Blobs>${marker}</EnumerationResults>`;
  return { operation: 'ListBlobs', status: 200, body: xml };
}

function knowsStartFrom(headers: Exchange['headers']): boolean {
  return (one(headers['x-ms-version']) ?? '') >= '2026-02-06';
}

function blobXml(name: string, object: StoredObject | undefined): string {
  const { sizeBytes = 0, version = '', md5 = '', hasTrueMd5 = false } = object ?? {};
  const sum = hasTrueMd5 ? `<Content-MD5>${hexToBase64(md5)}</Content-MD5>` : '<Content-MD5 />';
  const properties = `<Etag>0x${version}</Etag><Content-Length>${sizeBytes}</Content-Length>${sum}<BlobType>BlockBlob</BlobType>`;
  return `<Blob><Name>${escaped(name)}</Name><Properties>${properties}</Properties></Blob>`;
}
