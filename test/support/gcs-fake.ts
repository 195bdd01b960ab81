/**
 * A small strict Cloud Storage: the XML API for objects and multipart uploads, and the JSON API's listing. Written from
 * the public reference, as no server to be had checks tokens, checksums and preconditions. What it answers has its
 * source beside it.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Answer, checkHashes, jsonRefusal, Refused, send, xmlRefusal } from './gcs-fake-answers.ts';
import { Bucket, demandGeneration, headersOf } from './gcs-fake-bucket.ts';
import { FakeUploads } from './gcs-fake-uploads.ts';

export interface GcsFakeOptions {
  /** Default `bucket`. */
  readonly bucket?: string;
  /** Default: every checksum is compared. */
  readonly checks?: boolean;
  /** Entries of a page, and parts and uploads of one; default 1,000. */
  readonly pageMax?: number;
}

interface SeenRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
}

export interface GcsFake {
  readonly endpoint: string;
  readonly bucket: Bucket;
  readonly uploads: FakeUploads;
  /** Tokens that are good now. */
  readonly tokens: Set<string>;
  readonly seen: readonly SeenRequest[];
  /** Another bucket of the same service; the one that is there already when its name is known. */
  addBucket(name: string): Bucket;
  /** Asked before anything else: an answer given here is what the client gets. */
  intercept: ((request: SeenRequest) => Answer | undefined) | undefined;
  /** Asked with what would be answered; `lose` carries the request out and closes the connection. */
  alter: ((request: SeenRequest, answer: Answer) => Answer | 'lose') | undefined;
  close(): Promise<void>;
}

export async function startGcsFake(options: GcsFakeOptions = {}): Promise<GcsFake> {
  const { bucket: name = 'bucket', checks = true, pageMax = 1_000 } = options;
  const contents = new Map<string, Contents>();
  const add = (one: string): Contents => {
    const bucket = new Bucket();
    const made = { bucket, uploads: new FakeUploads(bucket, { pageMax, checks }) };
    contents.set(one, made);
    return made;
  };
  const { bucket, uploads } = add(name);
  const seen: SeenRequest[] = [];
  const world = { contents, checks, pageMax, tokens: new Set(['token']) };
  const server = createServer((request, response) => {
    void (async () => {
      const { method = 'GET', url: target = '/', headers } = request;
      const one = { method, target, headers };
      const isJson = target.startsWith('/storage/v1/');
      let answer: Answer;
      try {
        const body = await bodyOf(request);
        seen.push(one);
        answer = fake.intercept?.(one) ?? answerTo(world, request, one, body);
      } catch (error) {
        // A body that broke off has nobody left to answer to.
        if (!(error instanceof Refused)) return void response.destroy();
        answer = (isJson ? jsonRefusal : xmlRefusal)(error);
      }
      const altered = fake.alter?.(one, answer) ?? answer;
      if (altered === 'lose') response.destroy();
      else send(request, response, altered);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const fake: GcsFake = {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    uploads,
    tokens: world.tokens,
    seen,
    addBucket: (one) => (contents.get(one) ?? add(one)).bucket,
    intercept: undefined,
    alter: undefined,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

interface Contents {
  readonly bucket: Bucket;
  readonly uploads: FakeUploads;
}

interface World {
  /** By the names of the buckets. */
  readonly contents: ReadonlyMap<string, Contents>;
  readonly checks: boolean;
  readonly pageMax: number;
  readonly tokens: ReadonlySet<string>;
}

function answerTo(world: World, request: IncomingMessage, { target }: SeenRequest, body: Buffer): Answer {
  const [path = '', search = ''] = target.split(/\?(.*)/s);
  const query = new URLSearchParams(search.replaceAll('+', '%2B'));
  const isJson = path.startsWith('/storage/v1/');
  const [, token = ''] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
  // 401: "authError" of the JSON API, "AuthenticationRequired" of the XML API.
  if (!world.tokens.has(token))
    throw new Refused(401, isJson ? 'authError' : 'AuthenticationRequired', 'Invalid Credentials');
  if (isJson) {
    const listed = world.contents.get(/^\/storage\/v1\/b\/([^/]+)\/o$/.exec(path)?.[1] ?? '');
    if (!listed || request.method !== 'GET')
      throw new Refused(404, 'notFound', 'The specified bucket does not exist.');
    return listed.bucket.list(query, world.pageMax);
  }
  const [, bucketName, rawKey] = /^\/([^/]+)(?:\/(.*))?$/s.exec(path) ?? [];
  const found = world.contents.get(bucketName ?? '');
  if (!found) throw new Refused(404, 'NoSuchBucket', 'The specified bucket does not exist.');
  if (rawKey === undefined) return ofBucket(found, request, query);
  return ofObject({ ...found, checks: world.checks }, request, {
    key: decodeURIComponent(rawKey),
    query,
    body,
  });
}

function ofBucket({ uploads }: Contents, { method }: IncomingMessage, query: URLSearchParams): Answer {
  if (method === 'GET' && query.has('uploads')) return uploads.list(query);
  throw new Refused(405, 'MethodNotAllowed', 'The specified method is not allowed against this resource.');
}

interface OfObject {
  readonly key: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

function ofObject(
  { bucket, uploads, checks }: Contents & Pick<World, 'checks'>,
  request: IncomingMessage,
  { key, query, body }: OfObject,
): Answer {
  const { method, headers } = request;
  // https://cloud.google.com/storage/docs/objects#naming
  const bytes = Buffer.byteLength(key);
  if (bytes === 0 || bytes > 1_024 || /[\r\n]/.test(key))
    throw new Refused(400, 'InvalidArgument', 'The name of the object is not valid.');
  // https://cloud.google.com/storage/docs/multipart-uploads: "preconditions are not supported in the requests".
  const isOfUpload = query.has('uploads') || query.has('uploadId');
  if (isOfUpload && Object.keys(headers).some((name) => name.startsWith('x-goog-if-')))
    throw new Refused(400, 'InvalidArgument', 'Preconditions are not supported.');
  if (method === 'POST' && query.has('uploads')) return uploads.begin(request, key);
  if (method === 'POST' && query.has('uploadId')) return uploads.complete(key, query, body);
  if (method === 'PUT' && query.has('uploadId')) return uploads.put(request, key, query, body);
  if (method === 'DELETE' && query.has('uploadId')) return uploads.abort(key, query);
  if (method === 'GET' && query.has('uploadId')) return uploads.listParts(key, query);
  if (method === 'GET' || method === 'HEAD') return bucket.read(key, headers);
  if (method === 'DELETE') {
    demandGeneration(bucket.find(key), headers);
    bucket.objects.delete(key);
    return { status: 204 };
  }
  if (method !== 'PUT')
    throw new Refused(405, 'MethodNotAllowed', 'The specified method is not allowed against this resource.');
  // https://cloud.google.com/storage/docs/xml-api/put-object-upload: required unless the transfer is chunked.
  if (headers['content-length'] === undefined)
    throw new Refused(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
  if (checks) checkHashes(request, body);
  const { 'content-type': _, ...said } = headersOf(bucket.put(key, body, headers, false));
  return { status: 200, headers: said };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  if (!request.complete) throw new Error('the body broke off');
  return Buffer.concat(pieces);
}
