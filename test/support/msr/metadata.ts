/**
 * The stand-in's RethinkDB: which blobs, manifests, tags and repositories there are, as rows of the tables that a backup
 * holds. Rows are taken from what a real registry wrote into its working tree, and such a tree is made anew from them.
 */
import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256Hex } from '../seeded.ts';
import { isRecord, type Json, type JsonRecord, textOf } from './json.ts';
import type { MsrStorage } from './storage.ts';

const ROOT = 'docker/registry/v2';

/** All that a backup of 2.9.4 was seen to hold; tables without rows here are written empty. */
export const TABLES = [
  'client_tokens',
  'poll_mirroring_policies',
  'promotion_policies',
  'content_caches',
  'webhooks',
  'tags',
  'events',
  'manifests',
  'scanned_layers',
  'layer_vuln_overrides',
  'changefeed',
  'scanned_images',
  'blob_links',
  'namespace_team_access',
  'tuf_files',
  'properties',
  'helm_charts',
  'pruning_policies',
  'repository_team_access',
  'push_mirroring_policies',
  'repositories',
  'user_settings',
  'metrics',
  'blobs',
  'crons',
  'private_keys',
] as const;

export type TableName = (typeof TABLES)[number];
export type Rows = Partial<Record<TableName, readonly JsonRecord[]>>;

export interface BlobRow {
  readonly id: string;
  readonly sha256sum: string;
  readonly mediaType: string;
  readonly size: number;
}

export function blobPath(id: string): string {
  return `${ROOT}/blobs/id/${id.slice(0, 2)}/${id}/data`;
}

export class Metadata {
  /** By digest. */
  readonly blobs = new Map<string, BlobRow>();
  /** Ids of blobs that are pushed. */
  newId: () => string = randomUUID;
  #links: readonly JsonRecord[] = [];
  #manifests: readonly JsonRecord[] = [];
  #tags: readonly JsonRecord[] = [];
  #repositories: readonly JsonRecord[] = [];

  get tags(): readonly JsonRecord[] {
    return this.#tags;
  }

  get repositories(): readonly JsonRecord[] {
    return this.#repositories;
  }

  /** Tables whose rows follow from pushes. */
  rows(): Rows {
    return {
      blobs: [...this.blobs.values()].map((row) => ({ ...row })),
      blob_links: this.#links,
      manifests: this.#manifests,
      tags: this.#tags,
      repositories: this.#repositories,
    };
  }

  clear(): void {
    this.replaceBy({});
  }

  replaceBy(rows: Rows): void {
    this.blobs.clear();
    for (const row of rows.blobs ?? []) {
      const sha256sum = textOf(row['sha256sum']);
      const blob = { id: textOf(row['id']), sha256sum, mediaType: textOf(row['mediaType']) };
      this.blobs.set(sha256sum, { ...blob, size: Number(row['size']) });
    }
    this.#links = rows.blob_links ?? [];
    this.#manifests = rows.manifests ?? [];
    this.#tags = rows.tags ?? [];
    this.#repositories = rows.repositories ?? [];
  }

  /** A blob that no manifest names, as storage of some size has many. */
  async addBlob(storage: MsrStorage, bytes: Buffer, id = this.newId()): Promise<BlobRow> {
    const mediaType = 'application/octet-stream';
    const row = { id, sha256sum: `sha256:${sha256Hex(bytes)}`, mediaType, size: bytes.length };
    await storage.write(blobPath(row.id), bytes);
    this.blobs.set(row.sha256sum, row);
    return row;
  }

  /** Takes what the registry has in its tree by now: new bytes go to the storage, names into rows. */
  async absorb(tree: string, storage: MsrStorage): Promise<void> {
    const files = await filesBelow(join(tree, ROOT));
    for (const file of files) {
      const digest = digestIn(/^blobs\/sha256\/[0-9a-f]{2}\/([0-9a-f]{64})\/data$/, file);
      if (digest === undefined || this.blobs.has(digest)) continue;
      await this.addBlob(storage, await readFile(join(tree, ROOT, file)));
    }
    const names = files.flatMap((file) => {
      const match = /^repositories\/(.+?)\/_(?:layers|manifests)\/(.*)$/.exec(file);
      const [, repository = '', rest = ''] = match ?? [];
      return match ? [{ repository, rest, below: file.slice(`repositories/${repository}/`.length) }] : [];
    });
    this.#repositories = [...new Set(names.map(({ repository }) => repository))]
      .sort()
      .map((repository) => ({ id: repository, ...splitName(repository), visibility: 'public' }));
    this.#links = names.flatMap(({ repository, below }) => {
      const digest = digestIn(/^_layers\/sha256\/([0-9a-f]{64})\/link$/, below);
      return digest === undefined ? [] : [linkRow(repository, digest)];
    });
    this.#manifests = [];
    for (const { repository, below } of names) {
      const digest = digestIn(/^_manifests\/revisions\/sha256\/([0-9a-f]{64})\/link$/, below);
      if (digest !== undefined) await this.#addManifest(tree, repository, digest);
    }
    const tags: JsonRecord[] = [];
    for (const { repository, below } of names) {
      const [, tag] = /^_manifests\/tags\/([^/]+)\/current\/link$/.exec(below) ?? [];
      if (tag === undefined) continue;
      const digest = await readFile(join(tree, ROOT, 'repositories', repository, below), 'utf8');
      // A push that is under way beside this one may have made the file and not filled it yet.
      if (digest !== '') tags.push(tagRow(repository, tag, digest));
    }
    this.#tags = tags;
  }

  async #addManifest(tree: string, repository: string, digest: string): Promise<void> {
    const hex = digest.slice('sha256:'.length);
    const file = join(tree, ROOT, 'blobs/sha256', hex.slice(0, 2), hex, 'data');
    const manifest: unknown = JSON.parse(await readFile(file, 'utf8'));
    const content = isRecord(manifest) ? manifest : {};
    const config = isRecord(content['config']) ? content['config'] : {};
    const layers = Array.isArray(content['layers']) ? content['layers'] : [];
    const row: Record<string, Json> = {
      pk: `${repository}@${digest}`,
      digest,
      repository,
      mediaType: textOf(content['mediaType']),
      configDigest: textOf(config['digest']),
      layers,
    };
    this.#manifests = [...this.#manifests, row];
    for (const layer of [config, ...layers]) {
      const known = isRecord(layer) ? this.blobs.get(textOf(layer['digest'])) : undefined;
      if (known && isRecord(layer)) {
        this.blobs.set(known.sha256sum, { ...known, mediaType: textOf(layer['mediaType']) });
      }
    }
  }

  /**
   * Makes the tree anew: what a registry finds that has these rows and this storage.
   * @returns digests whose bytes the storage does not have.
   */
  async rebuild(tree: string, storage: MsrStorage): Promise<readonly string[]> {
    await rm(join(tree, 'docker'), { recursive: true, force: true });
    const missing: string[] = [];
    const needed = new Set([...this.#links, ...this.#manifests].map((row) => textOf(row['digest'])));
    for (const digest of needed) {
      const row = this.blobs.get(digest);
      const bytes = row && (await storage.read(blobPath(row.id)));
      const hex = digest.slice('sha256:'.length);
      if (bytes) await put(tree, `blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, bytes);
      else missing.push(digest);
    }
    for (const { id } of this.#repositories) {
      await mkdir(join(tree, ROOT, 'repositories', textOf(id)), { recursive: true });
    }
    const link = (repository: string, place: string, digest: string): Promise<void> =>
      put(tree, `repositories/${repository}/${place}/link`, digest);
    for (const row of this.#links) {
      const digest = textOf(row['digest']);
      const repository = `${textOf(row['namespace'])}/${textOf(row['repository'])}`;
      await link(repository, `_layers/${digest.replace(':', '/')}`, digest);
    }
    for (const row of this.#manifests) {
      const digest = textOf(row['digest']);
      await link(textOf(row['repository']), `_manifests/revisions/${digest.replace(':', '/')}`, digest);
    }
    for (const row of this.#tags) {
      const [repository, digest] = [textOf(row['repository']), textOf(row['digest'])];
      const folder = `_manifests/tags/${textOf(row['name'])}`;
      await link(repository, `${folder}/current`, digest);
      await link(repository, `${folder}/index/${digest.replace(':', '/')}`, digest);
    }
    return missing;
  }

  /** What the job `onlinegc_blobs` does: whatever no row names goes. @returns paths that went. */
  async sweep(storage: MsrStorage): Promise<readonly string[]> {
    const kept = new Set([...this.blobs.values()].map(({ id }) => blobPath(id)));
    const paths = await storage.list(`${ROOT}/blobs/id/`);
    const swept = paths.filter((path) => !kept.has(path));
    for (const path of swept) await storage.remove(path);
    return swept;
  }
}

/** A namespace is the first part of a name. */
function splitName(repository: string): { namespace: string; name: string } {
  const slash = repository.indexOf('/');
  return { namespace: repository.slice(0, slash), name: repository.slice(slash + 1) };
}

function linkRow(repository: string, digest: string): JsonRecord {
  const { namespace, name } = splitName(repository);
  return { pk: `${repository}@${digest}`, namespace, repository: name, digest };
}

function tagRow(repository: string, name: string, digest: string): JsonRecord {
  return { pk: `${repository}:${name}`, name, repository, digest, digestPK: `${repository}@${digest}` };
}

function digestIn(pattern: RegExp, path: string): string | undefined {
  const [, hex] = pattern.exec(path) ?? [];
  return hex === undefined ? undefined : `sha256:${hex}`;
}

/** Uploads under way are no concern of the database, and come and go while this looks. */
async function filesBelow(folder: string, below = ''): Promise<readonly string[]> {
  let entries: readonly Dirent[];
  try {
    entries = await readdir(join(folder, below), { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const found: string[] = [];
  for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isFile()) found.push(path);
    else if (entry.name !== '_uploads') found.push(...(await filesBelow(folder, path)));
  }
  return found;
}

async function put(tree: string, path: string, bytes: Buffer | string): Promise<void> {
  const file = join(tree, ROOT, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, bytes);
}
