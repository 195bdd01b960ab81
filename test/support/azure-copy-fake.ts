/**
 * Azurite with the copies that it lacks: it answers Put Blob From URL with 501, and Put Block From URL of another host
 * with 404. Here both fetch whatever address they are given and hand the bytes to Azurite; every other request goes
 * through as it is. Written from the public reference; each answer has its source beside it.
 */
import { hash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ContainerClient } from '@azure/storage-blob';
import { SharedKeySigner } from '../../src/drivers/azure/shared-key.ts';
import { credentialOf } from './azure-container.ts';
import { ACCOUNT, ACCOUNT_KEY, type Azurite, azuriteSpec } from './azurite.ts';

const MIB = 1024 ** 2;

interface SeenCopy {
  readonly kind: 'blob' | 'block';
  readonly name: string;
  readonly source: string;
  /** 201, or what it was refused with. */
  readonly status: number;
}

interface FakeRequest {
  readonly method: string;
  /** Of the blob, decoded. */
  readonly name: string;
  readonly query: URLSearchParams;
}

export interface AzureCopyFake extends Pick<Azurite, 'endpoint'> {
  readonly copies: readonly SeenCopy[];
  /** Bytes that clients have sent in bodies. */
  readonly bytesSent: number;
  /** Are addresses of this host reached? Default: all are. */
  reaches: (source: URL) => boolean;
  /** What it takes for the condition of the source's version. */
  condition: (given: string) => string;
  /** What becomes of the bytes of this blob on the way from the source. */
  alter: (name: string, bytes: Buffer) => Buffer;
  /** Awaited before a request is looked at. */
  hold: (request: FakeRequest) => Promise<void> | undefined;
  close(): Promise<void>;
}

class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export async function startAzureCopyFake(azurite: Azurite): Promise<AzureCopyFake> {
  const fake = new Fake(azurite);
  await fake.listen();
  return fake;
}

class Fake implements AzureCopyFake {
  readonly copies: SeenCopy[] = [];
  bytesSent = 0;
  reaches: AzureCopyFake['reaches'] = () => true;
  condition: AzureCopyFake['condition'] = (given) => given;
  alter: AzureCopyFake['alter'] = (_, bytes) => bytes;
  hold: AzureCopyFake['hold'] = () => undefined;
  readonly #azurite: Azurite;
  readonly #server = createServer((incoming, answer) => void this.#serve(incoming, answer));

  constructor(azurite: Azurite) {
    this.#azurite = azurite;
  }

  get endpoint(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/${ACCOUNT}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', this.endpoint);
    const [, , container = '', ...rest] = url.pathname.split('/');
    const name = decodeURIComponent(rest.join('/'));
    const { method = 'GET' } = incoming;
    try {
      await this.hold({ method, name, query: url.searchParams });
      const source = incoming.headers['x-ms-copy-source'];
      if (typeof source === 'string') await this.#copy(incoming, answer, { url, container, name, source });
      else this.#forward(incoming, answer);
    } catch (error) {
      if (error instanceof Refused) refuse(answer, error);
      else answer.destroy();
    }
  }

  /** As it came: signatures do not cover the host. */
  #forward(incoming: IncomingMessage, answer: ServerResponse): void {
    const { port } = new URL(this.#azurite.endpoint);
    const { method, url: path, rawHeaders: headers } = incoming;
    const onward = request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.rawHeaders);
      response.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    incoming.on('data', (piece: Buffer) => {
      this.bytesSent += piece.length;
    });
    incoming.pipe(onward);
  }

  async #copy(
    incoming: IncomingMessage,
    answer: ServerResponse,
    to: { readonly url: URL; readonly container: string; readonly name: string; readonly source: string },
  ): Promise<void> {
    const { url, container, name, source } = to;
    const kind = url.searchParams.get('comp') === 'block' ? 'block' : 'blob';
    let status = 201;
    try {
      checkAuthorization(incoming, url);
      checkHeaders(incoming, url, kind);
      const bytes = this.alter(name, await this.#fetch(incoming, source, kind));
      const client = new ContainerClient(
        `${this.#azurite.endpoint}/${container}`,
        credentialOf(azuriteSpec(this.#azurite, container)),
      ).getBlockBlobClient(name);
      const blobContentType = headerOf(incoming, 'x-ms-blob-content-type') ?? '';
      const headers: Record<string, string> = { ...BASE, 'x-ms-request-id': randomUUID() };
      if (kind === 'block') {
        await client.stageBlock(url.searchParams.get('blockid') ?? '', bytes, bytes.length);
      } else {
        const options = { blobHTTPHeaders: { blobContentType } };
        headers['etag'] = (await client.upload(bytes, bytes.length, options)).etag ?? '';
      }
      // put-blob-from-url and put-block-from-url, "Response headers".
      answer.writeHead(201, headers);
      answer.end();
    } catch (error) {
      if (error instanceof Refused) ({ status } = error);
      throw error;
    } finally {
      this.copies.push({ kind, name, source, status });
    }
  }

  async #fetch(incoming: IncomingMessage, source: string, kind: 'blob' | 'block'): Promise<Buffer> {
    const range = headerOf(incoming, 'x-ms-source-range');
    const condition = headerOf(incoming, 'x-ms-source-if-match');
    const authorization = headerOf(incoming, 'x-ms-copy-source-authorization');
    // blob-service-error-codes: CannotVerifyCopySource.
    const late = new Refused(
      500,
      NOT_VERIFIED,
      'Could not verify the copy source within the specified time.',
    );
    if (!this.reaches(new URL(source))) throw late;
    const response = await fetch(source, {
      headers: {
        ...(range === undefined ? {} : { range }),
        ...(condition === undefined ? {} : { 'if-match': this.condition(condition) }),
        ...(authorization === undefined ? {} : { authorization }),
      },
    }).catch(() => {
      throw late;
    });
    // specifying-conditional-headers-for-blob-service-operations: for conditions of the source.
    if (response.status === 412 || response.status === 304)
      throw new Refused(412, 'SourceConditionNotMet', 'The source condition specified is not met.');
    // The status of the source is handed on, as reports of users show it.
    if (!response.ok) throw new Refused(response.status, NOT_VERIFIED, `The source said ${source}`);
    const bytes = Buffer.from(await response.arrayBuffer());
    // "Remarks": 5,000 MiB of a blob, 4,000 MiB of a block, since version 2019-12-12.
    if (bytes.length > (kind === 'blob' ? 5_000 : 4_000) * MIB)
      throw new Refused(413, 'RequestBodyTooLarge', 'The source is too large.');
    const md5 = headerOf(incoming, 'x-ms-source-content-md5');
    // put-blob-from-url, "x-ms-source-content-md5": 400 where the hashes do not match.
    if (md5 !== undefined && md5 !== hash('md5', bytes, 'base64'))
      throw new Refused(400, 'Md5Mismatch', 'The MD5 value specified in the request did not match.');
    return bytes;
  }
}

const NOT_VERIFIED = 'CannotVerifyCopySource';
const BASE = { 'content-length': '0', 'x-ms-version': '2021-12-02' };

function headerOf(incoming: IncomingMessage, name: string): string | undefined {
  const value = incoming.headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** authorize-with-shared-key: all `x-ms-` headers are signed, the source's address among them. */
function checkAuthorization({ method = '', headers }: IncomingMessage, url: URL): void {
  const fields = Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  );
  const wanted = new SharedKeySigner(ACCOUNT, ACCOUNT_KEY).authorize({
    method,
    path: url.pathname,
    query: [...url.searchParams],
    headers: fields.filter(([name]) => name.startsWith('x-ms-')),
    bodyBytes: 0,
  });
  if (headers.authorization !== wanted)
    throw new Refused(403, 'AuthenticationFailed', 'Server failed to authenticate the request.');
}

function checkHeaders(incoming: IncomingMessage, url: URL, kind: SeenCopy['kind']): void {
  const refuse = (what: string): never => {
    throw new Refused(
      400,
      'InvalidHeaderValue',
      `The value for one of the HTTP headers is not right: ${what}`,
    );
  };
  // "Content-Length: Required. … must be 0."
  if (headerOf(incoming, 'content-length') !== '0') refuse('content-length');
  // Put Blob From URL is there from version 2020-04-08 on, and so is authorization of the source from 2020-10-02 on.
  if ((headerOf(incoming, 'x-ms-version') ?? '') < '2020-10-02') refuse('x-ms-version');
  if (kind === 'blob') {
    // "x-ms-blob-type: Required. … must be BlockBlob."
    if (headerOf(incoming, 'x-ms-blob-type') !== 'BlockBlob') refuse('x-ms-blob-type');
    // It takes the whole of the source: a range is of Put Block From URL.
    if (headerOf(incoming, 'x-ms-source-range') !== undefined) refuse('x-ms-source-range');
    return;
  }
  // "blockid: Required. A valid Base64 string value … less than or equal to 64 bytes in size."
  const id = Buffer.from(url.searchParams.get('blockid') ?? '', 'base64');
  if (id.length === 0 || id.length > 64) refuse('blockid');
}

function refuse(answer: ServerResponse, { status, code, message }: Refused): void {
  const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${escaped(message)}</Message></Error>`;
  // common-rest-api-error-codes: every refusal names its code in a header.
  answer.writeHead(status, {
    'content-type': 'application/xml',
    'content-length': Buffer.byteLength(body),
    'x-ms-error-code': code,
    'x-ms-request-id': randomUUID(),
  });
  answer.end(body);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
