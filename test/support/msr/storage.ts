/**
 * Where the stand-in keeps its objects: a folder, S3 or Swift, spoken to by plain means of its own (`node:fs`, the AWS
 * SDK, `fetch`) and not by the drivers under test. Paths are logical ones, `docker/registry/v2/…`.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { S3Bucket } from '../s3-bucket.ts';
import { isRecord, type JsonRecord, textOf } from './json.ts';

export interface MsrStorage {
  /** Undefined where there is none. */
  read(path: string): Promise<Buffer | undefined>;
  write(path: string, bytes: Uint8Array): Promise<void>;
  remove(path: string): Promise<void>;
  /** Paths below a prefix. */
  list(prefix: string): Promise<readonly string[]>;
  close(): void;
}

/** What stands beside the driver's section in the registry's `storage`. */
export const NOT_DRIVERS = ['delete', 'redirect', 'cache', 'maintenance'];

/**
 * @param section `storage` of the registry's settings, with one driver in it.
 * @param mounted the folder that is mounted as `/storage`, for `filesystem`.
 * @throws Error with the words of the driver.
 */
export function openMsrStorage(section: JsonRecord, mounted: string | undefined): MsrStorage {
  const names = Object.keys(section).filter((name) => !NOT_DRIVERS.includes(name));
  const [name = ''] = names;
  if (names.length !== 1)
    throw new Error(`multiple storage drivers specified: ${names.join(', ') || 'none'}`);
  const parameters = isRecord(section[name]) ? section[name] : {};
  if (name === 's3') return new S3Storage(parameters);
  if (name === 'swift') return new SwiftStorage(parameters);
  if (name !== 'filesystem') throw new Error(`StorageDriver not registered: ${name}`);
  if (mounted === undefined) throw new Error('filesystem: nothing is mounted at /storage');
  return new FolderStorage(mounted);
}

class FolderStorage implements MsrStorage {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async read(path: string): Promise<Buffer | undefined> {
    try {
      return await readFile(join(this.#root, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    const file = join(this.#root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }

  async remove(path: string): Promise<void> {
    await rm(join(this.#root, path), { force: true });
  }

  async list(prefix: string): Promise<readonly string[]> {
    await mkdir(this.#root, { recursive: true });
    const entries = await readdir(this.#root, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(this.#root, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .filter((path) => path.startsWith(prefix));
  }

  close(): void {
    // Files are closed as soon as they are read or written.
  }
}

/** Keys as distribution 2.8's driver `s3` makes them. */
class S3Storage implements MsrStorage {
  readonly #bucket: S3Bucket;
  readonly #root: string;

  constructor(parameters: JsonRecord) {
    const bucket = textOf(parameters['bucket']);
    if (bucket === '') throw new Error('s3aws: no bucket parameter provided');
    const access = {
      endpoint: textOf(parameters['regionendpoint']),
      accessKeyId: textOf(parameters['accesskey']),
      secretAccessKey: textOf(parameters['secretkey']),
      region: textOf(parameters['region']) || 'us-east-1',
    };
    this.#bucket = new S3Bucket(access, bucket);
    this.#root = textOf(parameters['rootdirectory']).replace(/\/+$/, '');
  }

  #key(path: string): string {
    return `${this.#root}/${path}`.replace(/^\/+/, '');
  }

  async read(path: string): Promise<Buffer | undefined> {
    try {
      return await this.#bucket.get(this.#key(path));
    } catch (error) {
      if ((error as Error).name === 'NoSuchKey') return undefined;
      throw error;
    }
  }

  write(path: string, bytes: Uint8Array): Promise<void> {
    return this.#bucket.put(this.#key(path), bytes);
  }

  remove(path: string): Promise<void> {
    return this.#bucket.remove(this.#key(path));
  }

  async list(prefix: string): Promise<readonly string[]> {
    const skip = this.#key('').length;
    return [...(await this.#bucket.list(this.#key(prefix))).keys()].map((key) => key.slice(skip));
  }

  close(): void {
    this.#bucket.close();
  }
}

/** Names as distribution 2.8's driver `swift` makes them: everything below `files/`. Tempauth v1; small objects are written whole. */
class SwiftStorage implements MsrStorage {
  readonly #parameters: JsonRecord;
  readonly #root: string;
  #access: Promise<{ readonly address: string; readonly token: string }> | undefined;

  constructor(parameters: JsonRecord) {
    this.#parameters = parameters;
    this.#root = `${textOf(parameters['prefix'])}/files/`.replace(/^\/+/, '');
  }

  async read(path: string): Promise<Buffer | undefined> {
    const response = await this.#request('GET', `/${encode(this.#root + path)}`);
    if (response.status === 404) return undefined;
    return Buffer.from(await succeeded(response).arrayBuffer());
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await succeeded(await this.#request('PUT', `/${encode(this.#root + path)}`, bytes)).text();
  }

  async remove(path: string): Promise<void> {
    const response = await this.#request('DELETE', `/${encode(this.#root + path)}`);
    if (response.status !== 404) succeeded(response);
    await response.text();
  }

  async list(prefix: string): Promise<readonly string[]> {
    const found: string[] = [];
    for (let marker = ''; ; ) {
      const query = new URLSearchParams({ prefix: this.#root + prefix, marker, format: 'json' });
      const response = succeeded(await this.#request('GET', `?${query}`));
      const page = (await response.json()) as readonly { readonly name: string }[];
      if (page.length === 0) return found;
      for (const { name } of page) found.push(name.slice(this.#root.length));
      marker = page.at(-1)?.name ?? '';
    }
  }

  close(): void {
    this.#access = undefined;
  }

  async #request(method: string, path: string, body?: Uint8Array): Promise<Response> {
    this.#access ??= this.#logIn();
    const { address, token } = await this.#access;
    return fetch(`${address}${path}`, {
      method,
      headers: { 'x-auth-token': token },
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    });
  }

  async #logIn(): Promise<{ readonly address: string; readonly token: string }> {
    const { authurl, username, password, container } = this.#parameters;
    const headers = { 'x-auth-user': textOf(username), 'x-auth-key': textOf(password) };
    const answer = succeeded(await fetch(textOf(authurl), { headers }));
    await answer.text();
    const address = `${answer.headers.get('x-storage-url')}/${encodeURIComponent(textOf(container))}`;
    return { address, token: answer.headers.get('x-auth-token') ?? '' };
  }
}

function encode(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

function succeeded(response: Response): Response {
  if (!response.ok) throw new Error(`swift: HTTP ${response.status}`);
  return response;
}
