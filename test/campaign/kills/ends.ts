/** Source and target of a job, seen without the product: what they hold, what was left over, and how the source changes. */
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RawClient } from '../../../bench/s3-server/client/raw-client.ts';
import type { S3Server } from '../../../bench/s3-server/s3-server.ts';
import { sha256Hex } from '../../support/seeded.ts';
import { hashFile, type TreeFile } from '../../support/tree.ts';

export interface End {
  readonly url: string;
  put(path: string, content: Buffer): Promise<void>;
  remove(path: string): Promise<void>;
  /** Everything but what the copier keeps for itself. What did not change since the last call is not read again. */
  read(): Promise<ReadonlyMap<string, TreeFile>>;
  /** Temporary files, probes and open uploads. */
  leftovers(): Promise<readonly string[]>;
}

export class FolderEnd implements End {
  readonly url: string;
  readonly #root: string;
  readonly #seen = new Map<string, { readonly version: string; readonly file: TreeFile }>();

  constructor(root: string) {
    this.#root = root;
    this.url = `file://${root}`;
  }

  async put(path: string, content: Buffer): Promise<void> {
    await mkdir(dirname(join(this.#root, path)), { recursive: true });
    await writeFile(join(this.#root, path), content);
  }

  async remove(path: string): Promise<void> {
    await rm(join(this.#root, path));
  }

  async read(): Promise<ReadonlyMap<string, TreeFile>> {
    const files = new Map<string, TreeFile>();
    for (const path of await this.#paths()) {
      if (isOurs(path)) continue;
      const { ino, mtimeNs, size } = await stat(join(this.#root, path), { bigint: true });
      const version = `${ino}-${mtimeNs}-${size}`;
      const before = this.#seen.get(path);
      const file = before?.version === version ? before.file : await hashFile(join(this.#root, path));
      this.#seen.set(path, { version, file });
      files.set(path, file);
    }
    return files;
  }

  async leftovers(): Promise<readonly string[]> {
    return (await this.#paths()).filter(isOurs);
  }

  async #paths(): Promise<readonly string[]> {
    const entries = await readdir(this.#root, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.#root.length + 1));
  }
}

export class BucketEnd implements End {
  readonly url: string;
  readonly #server: S3Server;
  readonly #bucket: string;
  readonly #seen = new Map<string, { readonly etag: string; readonly file: TreeFile }>();

  constructor(server: S3Server, bucket: string) {
    this.#server = server;
    this.#bucket = bucket;
    this.url = `s3://${bucket}?endpoint=${server.endpoint}&region=us-east-1`;
  }

  put(path: string, content: Buffer): Promise<void> {
    return this.#server.put(this.#bucket, [{ key: path, body: content }]);
  }

  async remove(path: string): Promise<void> {
    await this.#ask('DELETE', `/${this.#bucket}/${path}`);
  }

  async read(): Promise<ReadonlyMap<string, TreeFile>> {
    const files = new Map<string, TreeFile>();
    for (const { key, sizeBytes, etag } of await this.#server.keys(this.#bucket)) {
      if (isOurs(key)) continue;
      const before = this.#seen.get(key);
      const file = before?.etag === etag ? before.file : { sizeBytes, sha256: await this.#hash(key) };
      this.#seen.set(key, { etag, file });
      files.set(key, file);
    }
    return files;
  }

  async leftovers(): Promise<readonly string[]> {
    const keys = (await this.#server.keys(this.#bucket)).map(({ key }) => key).filter(isOurs);
    const listed = await this.#ask('GET', `/${this.#bucket}?uploads=`);
    const uploads = [...listed.matchAll(/<Upload>.*?<Key>([^<]*)</gs)].map(
      ([, key]) => `an open upload of ${key}`,
    );
    return [...keys, ...uploads];
  }

  async #hash(key: string): Promise<string> {
    const bytes = await this.#server.get(this.#bucket, key);
    return bytes === undefined ? 'gone' : sha256Hex(bytes);
  }

  async #ask(method: string, target: string): Promise<string> {
    const client = new RawClient(this.#server.endpoint);
    try {
      const { status, text } = await client.send({ method, target });
      if (status >= 300) throw new Error(`${method} ${target} was answered with ${status}: ${text}`);
      return text;
    } finally {
      client.close();
    }
  }
}

function isOurs(path: string): boolean {
  return path.startsWith('.blobferry-');
}
