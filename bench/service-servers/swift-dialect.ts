/** As much of OpenStack Swift as the driver asks (https://docs.openstack.org/api-ref/object-store/), with tempauth. */
import { createHash } from 'node:crypto';
import { type Answer, type Dialect, type Exchange, one, readAnswer, stored, wrongSum } from './exchange.ts';
import { TOKEN } from './gcs-dialect.ts';
import type { Container, StoredObject } from './object-store.ts';

const MD5_OF_NOTHING = createHash('md5').digest('hex');

export const SWIFT_DIALECT: Dialect = {
  outside: (path, headers, _body, port) => {
    if (path !== '/auth/v1.0') return undefined;
    if (headers['x-auth-user'] !== 'test:tester') return { operation: 'Token', status: 401 };
    const storageUrl = `http://127.0.0.1:${port}/v1/AUTH_test`;
    const given = { 'x-auth-token': TOKEN, 'x-storage-url': storageUrl, 'x-auth-token-expires': '86400' };
    return { operation: 'Token', status: 200, headers: given };
  },
  placeOf: (path) => {
    const [, container, rawKey] = /^\/v1\/AUTH_test\/([^/]+)(?:\/(.+))?$/.exec(path) ?? [];
    return container === undefined ? undefined : { container, rawKey };
  },
  isAllowed: (headers) => headers['x-auth-token'] === TOKEN,
  answer: (exchange) => {
    const { method, key, container } = exchange;
    if (key === undefined) return list(exchange);
    if (method === 'PUT') return put(exchange, key);
    if (method === 'DELETE') return { operation: 'Delete', status: container.delete(key) ? 204 : 404 };
    const object = container.objects.get(key);
    if (!object) return { operation: 'Get', status: 404 };
    return readAnswer(exchange, wholeOf(container, object), headersOf(container, object));
  },
};

function put(exchange: Exchange, key: string): Answer {
  const { headers, container } = exchange;
  const md5 = one(headers.etag);
  const manifest = one(headers['x-object-manifest']);
  const operation =
    manifest === undefined ? (key.startsWith('segments/') ? 'PutPart' : 'Put') : 'PutManifest';
  if (wrongSum(exchange, { md5 })) return { operation, status: 422, code: 'Unprocessable' };
  const object = stored(exchange, { md5 });
  container.put(key, manifest === undefined ? object : { ...object, manifest: prefixIn(manifest) });
  return { operation, status: 201, headers: { etag: object.md5 } };
}

/** Behind the container's name. */
function prefixIn(manifest: string): string {
  return decodeURIComponent(manifest.slice(manifest.indexOf('/') + 1));
}

function partsOf(container: Container, manifest: string): readonly StoredObject[] {
  const max = Number.POSITIVE_INFINITY;
  const { names } = container.list({ prefix: manifest, after: undefined, delimiter: undefined, max });
  return names.flatMap((name) => container.objects.get(name) ?? []);
}

/** The bytes of a large object are those of its parts. */
export function wholeOf(
  container: Container,
  object: StoredObject,
): Pick<StoredObject, 'pieces' | 'sizeBytes'> {
  if (object.manifest === undefined) return object;
  const parts = partsOf(container, object.manifest);
  return {
    pieces: parts.flatMap(({ pieces }) => pieces),
    sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

function headersOf(container: Container, { md5, manifest }: StoredObject): Readonly<Record<string, string>> {
  if (manifest === undefined) return { etag: md5 };
  const parts = partsOf(container, manifest).map((part) => part.md5);
  const etag = createHash('md5').update(parts.join('')).digest('hex');
  // The driver asks for the container by the name that stands in front; it is the one that the object is in.
  return { etag: `"${etag}"`, 'x-object-manifest': `${nameOf(container)}/${encodeURI(manifest)}` };
}

const names = new WeakMap<Container, string>();

/** Told by whoever makes containers. */
export function rememberName(container: Container, name: string): void {
  names.set(container, name);
}

function nameOf(container: Container): string {
  return names.get(container) ?? '';
}

function list({ query, container }: Exchange): Answer {
  const { names: found, prefixes } = container.list({
    prefix: query.get('prefix') ?? '',
    after: query.get('marker') ?? undefined,
    delimiter: query.get('delimiter') ?? undefined,
    max: Number(query.get('limit') ?? 10_000),
  });
  const entries = [
    ...found.map((name) => {
      const { sizeBytes = 0, md5 = MD5_OF_NOTHING } = container.objects.get(name) ?? {};
      return { name, bytes: sizeBytes, hash: md5 };
    }),
    ...prefixes.map((subdir) => ({ subdir })),
  ];
  const headers = { 'content-type': 'application/json' };
  return { operation: 'List', status: 200, headers, body: JSON.stringify(entries) };
}
