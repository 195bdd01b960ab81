/**
 * An Azure account with a hierarchical namespace, over Azurite, which has none. A proxy in front of it keeps the folders
 * that such an account makes by itself, and changes what these change; everything else, signatures included, is
 * Azurite's own. Written from the service's reference, as no such server is to be had:
 * - Get Account Information says `x-ms-is-hns-enabled`
 *   (https://learn.microsoft.com/rest/api/storageservices/get-account-information);
 * - List Blobs goes from folder to folder, so that `a/x` comes before `a-b`, and lists folders too, with a ResourceType
 *   (https://learn.microsoft.com/rest/api/storageservices/list-blobs);
 * - a name is a file or a folder, and folders stay when they have become empty
 *   (https://learn.microsoft.com/azure/storage/blobs/data-lake-storage-namespace);
 * - a folder can be looked at as an empty blob with `x-ms-resource-type: directory`
 *   (https://learn.microsoft.com/rest/api/storageservices/get-blob-properties), and is deleted only when empty
 *   (https://learn.microsoft.com/rest/api/storageservices/delete-blob).
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compareUtf8 } from '../../src/core/byte-order.ts';
import { AzureContainer } from './azure-container.ts';
import { ACCOUNT, type Azurite } from './azurite.ts';
import { type HnsEntry, listingXml } from './hns-listing.ts';

/** Where the account is. */
export type AzureAccess = Pick<Azurite, 'endpoint'>;

export interface HnsAccount extends AzureAccess {
  stop(): Promise<void>;
}

export async function startHnsAccount(azurite: AzureAccess): Promise<HnsAccount> {
  const account = new Account(azurite);
  const server = createServer((asked, answer) => {
    // Whoever hangs up in the middle of a request has asked for nothing.
    account.answer(asked, answer).catch(() => answer.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/${ACCOUNT}`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

interface Namespace {
  readonly files: Set<string>;
  /** Without a slash at the end. */
  readonly folders: Set<string>;
}

class Account {
  readonly #azurite: AzureAccess;
  readonly #port: number;
  readonly #containers = new Map<string, Namespace>();

  constructor(azurite: AzureAccess) {
    this.#azurite = azurite;
    this.#port = Number(new URL(azurite.endpoint).port);
  }

  async answer(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const url = new URL(asked.url ?? '/', 'http://account');
    const [, , container = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const name = rest.join('/');
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    const call = { method: asked.method ?? '', query: url.searchParams, container, name };
    const refused = this.#refusal(call);
    const given = refused ?? (await this.#changed(call, await this.#ask(asked, Buffer.concat(chunks))));
    const headers = Object.entries(given.headers).filter(([field]) => !HOP_BY_HOP.has(field));
    answer.writeHead(given.status, Object.fromEntries(headers) as Record<string, string>);
    answer.end(given.body);
  }

  /** A name is a file or a folder. */
  #refusal({ method, container, name }: Call): Answer | undefined {
    if (method !== 'PUT' || name === '') return undefined;
    const { files, folders } = this.#namespace(container);
    const isInTheWay = foldersOf(name).some((folder) => files.has(folder)) || folders.has(name);
    const text =
      'The specified path, or an element of the path, exists and its resource type is invalid for this operation.';
    return isInTheWay ? refusal(409, 'ResourceTypeMismatch', text) : undefined;
  }

  async #changed(call: Call, answer: Answer): Promise<Answer> {
    const { method, query, container, name } = call;
    if (query.get('restype') === 'account')
      return { ...answer, headers: { ...answer.headers, 'x-ms-is-hns-enabled': 'true' } };
    if (name === '') {
      if (query.get('comp') !== 'list' || answer.status !== 200) return answer;
      const xml = listingXml(await this.#entries(container), query);
      return { ...answer, headers: { 'content-type': 'application/xml' }, body: Buffer.from(xml) };
    }
    const { files, folders } = this.#namespace(container);
    const isBlobMade = method === 'PUT' && answer.status === 201 && query.get('comp') !== 'block';
    if (isBlobMade) {
      files.add(name);
      for (const folder of foldersOf(name)) folders.add(folder);
    }
    if (method === 'DELETE' && answer.status === 202) files.delete(name);
    return answer.status === 404 && folders.has(name) ? this.#folderAnswer(call) : answer;
  }

  #folderAnswer({ method, container, name }: Call): Answer {
    if (method !== 'DELETE') return { status: 200, headers: FOLDER_FIELDS, body: Buffer.alloc(0) };
    const { files, folders } = this.#namespace(container);
    if ([...files, ...folders].some((one) => one.startsWith(`${name}/`)))
      return refusal(409, 'DirectoryIsNotEmpty', 'This operation is not permitted on a non-empty directory.');
    folders.delete(name);
    return { status: 202, headers: {}, body: Buffer.alloc(0) };
  }

  /** In the order of the namespace: by the names of each folder. */
  async #entries(container: string): Promise<readonly HnsEntry[]> {
    const entries: HnsEntry[] = [];
    for await (const blob of new AzureContainer(this.#azurite, container).client.listBlobsFlat())
      entries.push({ name: blob.name, properties: blob.properties });
    for (const name of this.#namespace(container).folders) entries.push({ name });
    return entries.sort((left, right) => compareAsPaths(left.name, right.name));
  }

  #namespace(container: string): Namespace {
    const known = this.#containers.get(container) ?? { files: new Set(), folders: new Set() };
    this.#containers.set(container, known);
    return known;
  }

  async #ask({ method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const target = { host: '127.0.0.1', port: this.#port, method, path: url, headers };
    request(target, resolve).once('error', reject).end(body);
    const response = await promise;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
  }
}

interface Call {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly container: string;
  /** Empty where the container itself is meant. */
  readonly name: string;
}

const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding']);
const FOLDER_FIELDS = {
  'content-length': '0',
  etag: '"0x8D0000000000000"',
  'x-ms-blob-type': 'BlockBlob',
  'x-ms-meta-hdi_isfolder': 'true',
  'x-ms-resource-type': 'directory',
} as const;

function refusal(status: number, code: string, message: string): Answer {
  const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  const headers = { 'content-type': 'application/xml', 'x-ms-error-code': code };
  return { status, headers, body: Buffer.from(body) };
}

/** `a/b/c` lies in `a` and `a/b`. */
function foldersOf(name: string): readonly string[] {
  const parts = name.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

function compareAsPaths(left: string, right: string): number {
  const [ours, theirs] = [left.split('/'), right.split('/')];
  for (const [index, one] of ours.entries()) {
    const other = theirs[index];
    if (other === undefined) return 1;
    const order = compareUtf8(one, other);
    if (order !== 0) return order;
  }
  return ours.length - theirs.length;
}
