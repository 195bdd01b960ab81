/** A bucket, container or folder as tests see it past the product: by other clients, or by the files themselves. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import pLimit from 'p-limit';
import { sha256Hex } from './seeded.ts';
import { hashFile, type Tree, type TreeFile } from './tree.ts';

export interface ObjectStore {
  /** Names of everything that is there. */
  names(): Promise<readonly string[]>;
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Reads the whole object, in pieces. */
  hash(name: string): Promise<TreeFile>;
}

const READS_AT_ONCE = 8;

/** Reads and hashes every object whose name begins with the prefix; paths of the result begin behind it. */
export async function readStore(
  store: ObjectStore,
  prefix: string,
  leavesOut: (path: string) => boolean = () => false,
): Promise<Tree> {
  const limit = pLimit(READS_AT_ONCE);
  const paths = (await store.names())
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((path) => !leavesOut(path));
  const read = paths.map((path) => limit(async () => [path, await store.hash(prefix + path)] as const));
  return new Map(await Promise.all(read));
}

export async function fillStore(
  store: ObjectStore,
  objects: Iterable<readonly [name: string, bytes: Uint8Array]>,
): Promise<void> {
  const limit = pLimit(READS_AT_ONCE);
  await Promise.all([...objects].map(([name, bytes]) => limit(() => store.put(name, bytes))));
}

/** Size and digest of a body as it comes. */
export async function hashOf(pieces: AsyncIterable<Uint8Array>): Promise<TreeFile> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of pieces) {
    hash.update(piece);
    sizeBytes += piece.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** The body of an answer that must be good. */
export async function hashOfAnswer(response: Response, name: string): Promise<TreeFile> {
  if (!response.ok)
    throw new Error(`"${name}" was answered with ${response.status}: ${await response.text()}`);
  return response.body === null ? { sizeBytes: 0, sha256: sha256Hex('') } : hashOf(response.body);
}

/** A name as the path of an address; `.` and `..` between slashes would not get through. */
export function pathOf(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

export function folderStore(root: string): ObjectStore {
  return {
    names: async () => {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)));
    },
    put: async (name, bytes) => {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), bytes);
    },
    hash: (name) => hashFile(join(root, name)),
  };
}
