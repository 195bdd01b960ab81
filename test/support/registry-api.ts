/** The few calls of the registry's HTTP API that tests make by hand. */
import { sha256Hex } from './seeded.ts';

/** Its driver for Swift alone may wait 15 s within one call. */
const CALL_MS = 180_000;

export async function listRepositories(host: string): Promise<readonly string[]> {
  const response = await call(`http://${host}/v2/_catalog?n=1000`, { method: 'GET' }, 200);
  const { repositories } = (await response.json()) as { readonly repositories: readonly string[] | null };
  return repositories ?? [];
}

/** Empty for a repository whose last tag is gone. */
export async function listTags(host: string, repository: string): Promise<readonly string[]> {
  const response = await call(`http://${host}/v2/${repository}/tags/list`, { method: 'GET' }, 200, 404);
  if (response.status === 404) return [];
  const { tags } = (await response.json()) as { readonly tags: readonly string[] | null };
  return tags ?? [];
}

export async function getBlob(host: string, repository: string, digest: string): Promise<Buffer> {
  const response = await call(`http://${host}/v2/${repository}/blobs/${digest}`, { method: 'GET' }, 200);
  return Buffer.from(await response.arrayBuffer());
}

/** Begins an upload, sends so many bytes and never finishes it. */
export async function startUpload(host: string, repository: string, sizeBytes: number): Promise<void> {
  const url = await beginUpload(host, repository);
  if (sizeBytes === 0) return;
  const headers = { 'content-type': 'application/octet-stream' };
  await call(url, { method: 'PATCH', headers, body: Buffer.alloc(sizeBytes, 7) }, 202);
}

export async function putBlob(host: string, repository: string, bytes: Buffer): Promise<void> {
  const url = await beginUpload(host, repository);
  url.searchParams.set('digest', `sha256:${sha256Hex(bytes)}`);
  const headers = { 'content-type': 'application/octet-stream' };
  await call(url, { method: 'PUT', headers, body: bytes }, 201);
}

/** `path`: `<repository>/manifests/<tag or digest>`. */
export async function putManifest(
  host: string,
  path: string,
  mediaType: string,
  bytes: Buffer,
): Promise<void> {
  const headers = { 'content-type': mediaType };
  await call(`http://${host}/v2/${path}`, { method: 'PUT', headers, body: bytes }, 201);
}

export async function deleteManifest(host: string, repository: string, digest: string): Promise<void> {
  await call(`http://${host}/v2/${repository}/manifests/${digest}`, { method: 'DELETE' }, 202);
}

async function beginUpload(host: string, repository: string): Promise<URL> {
  const response = await call(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST' }, 202);
  const location = response.headers.get('location');
  if (location === null) throw new Error('The registry did not say where to send the upload');
  return new URL(location, `http://${host}`);
}

async function call(url: string | URL, init: RequestInit, ...expected: readonly number[]): Promise<Response> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(CALL_MS) });
  if (expected.includes(response.status)) return response;
  const body = (await response.text()).slice(0, 300);
  throw new Error(
    `${init.method} ${String(url)}: ${response.status} instead of ${expected.join(', ')}: ${body}`,
  );
}
