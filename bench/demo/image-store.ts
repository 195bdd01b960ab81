/**
 * A registry's storage written straight into a folder, as distribution's filesystem driver lays it out. All digests are
 * true: every link holds the digest in its path, every manifest names blobs that are there.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export type PlacedClass = 'blob' | 'link' | 'tag';

/** What lies in the store, as a copy will see it. */
export interface StoreCounts {
  readonly objects: Readonly<Record<PlacedClass, number>>;
  readonly bytes: number;
  /** Files of unfinished uploads, which no copy takes along. */
  readonly uploadFiles: number;
}

export class ImageStore {
  readonly #root: string;
  readonly #written = new Map<string, PlacedClass>();
  #bytes = 0;
  #uploadFiles = 0;

  /** @param root the folder that will hold `docker/`. */
  constructor(root: string) {
    this.#root = join(root, 'docker', 'registry', 'v2');
  }

  get counts(): StoreCounts {
    const objects = { blob: 0, link: 0, tag: 0 };
    for (const objectClass of this.#written.values()) objects[objectClass] += 1;
    return { objects, bytes: this.#bytes, uploadFiles: this.#uploadFiles };
  }

  /** Stores content once, whoever brings it. @returns its digest, `sha256:<hex>`. */
  async blob(content: Uint8Array): Promise<string> {
    const hex = createHash('sha256').update(content).digest('hex');
    await this.#place(join('blobs', 'sha256', hex.slice(0, 2), hex, 'data'), 'blob', content);
    return `sha256:${hex}`;
  }

  /** Makes a layer or a configuration reachable from a repository. */
  async layerLink(repository: string, digest: string): Promise<void> {
    await this.#link(join('repositories', repository, '_layers'), digest);
  }

  /** Makes a manifest reachable from a repository. */
  async revisionLink(repository: string, digest: string): Promise<void> {
    await this.#link(join('repositories', repository, '_manifests', 'revisions'), digest);
  }

  /** Names a manifest. A tag that moves keeps its earlier manifests in its index. */
  async tag(repository: string, tag: string, digest: string): Promise<void> {
    const folder = join('repositories', repository, '_manifests', 'tags', tag);
    await this.#link(join(folder, 'index'), digest);
    await this.#place(join(folder, 'current', 'link'), 'tag', Buffer.from(digest));
  }

  /** A push that never ended: registries keep its pieces for a week. */
  async unfinishedUpload(repository: string, content: Uint8Array): Promise<void> {
    const folder = join(this.#root, 'repositories', repository, '_uploads', randomUUID());
    const files = [
      ['data', content],
      ['startedat', Buffer.from(new Date().toISOString())],
      [join('hashstates', 'sha256', '0'), Buffer.alloc(0)],
    ] as const;
    for (const [name, bytes] of files) {
      await write(join(folder, name), bytes);
      this.#uploadFiles += 1;
    }
  }

  async #link(folder: string, digest: string): Promise<void> {
    await this.#place(join(folder, digest.replace(':', '/'), 'link'), 'link', Buffer.from(digest));
  }

  async #place(path: string, objectClass: PlacedClass, content: Uint8Array): Promise<void> {
    const isNew = !this.#written.has(path);
    if (!isNew && objectClass !== 'tag') return;
    await write(join(this.#root, path), content);
    if (!isNew) return;
    this.#written.set(path, objectClass);
    this.#bytes += content.length;
  }
}

async function write(file: string, content: Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}
