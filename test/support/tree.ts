/** What lies in a folder, byte for byte: tests compare whole trees, not samples. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';

export interface TreeFile {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Paths are relative to the root and have `/` between their names. */
export type Tree = ReadonlyMap<string, TreeFile>;

/**
 * Reads and hashes every regular file below the root; anything that is neither file nor folder is an error. Paths left
 * out are not even opened: they may be gone the next moment.
 */
export async function readTree(
  root: string,
  leavesOut: (path: string) => boolean = () => false,
): Promise<Tree> {
  const tree = new Map<string, TreeFile>();
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name);
    const path = relative(root, file).split(sep).join('/');
    if (entry.isDirectory() || leavesOut(path)) continue;
    if (!entry.isFile()) throw new Error(`"${file}" is neither a file nor a folder`);
    tree.set(path, await hashFile(file));
  }
  return tree;
}

export async function hashFile(path: string): Promise<TreeFile> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  await pipeline(
    createReadStream(path, { highWaterMark: 1024 * 1024 }),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        hash.update(chunk);
        sizeBytes += chunk.length;
      }
    },
  );
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** One sentence per difference, sorted by path; empty when the trees are the same. */
export function compareTrees(expected: Tree, actual: Tree): readonly string[] {
  const paths = [...new Set([...expected.keys(), ...actual.keys()])];
  return paths.sort().flatMap((path) => differenceOf(path, expected.get(path), actual.get(path)));
}

function differenceOf(path: string, expected?: TreeFile, actual?: TreeFile): readonly string[] {
  if (expected === undefined) return [`${path} should not be there`];
  if (actual === undefined) return [`${path} is missing`];
  if (expected.sizeBytes !== actual.sizeBytes) {
    return [`${path} has ${actual.sizeBytes} bytes instead of ${expected.sizeBytes}`];
  }
  return expected.sha256 === actual.sha256 ? [] : [`${path} has other content`];
}

/**
 * Uploads that were never finished: what every copy of a registry leaves out. Parts of a repository's name never begin
 * with an underscore; a tag may, so `…/_manifests/tags/_uploads/…` is none of these.
 */
export function isUnfinishedUpload(path: string): boolean {
  return /^docker\/registry\/v2\/repositories\/(?:[^_/][^/]*\/)+_uploads\//.test(path);
}

/** A tree without some of its paths. */
export function without(tree: Tree, leavesOut: (path: string) => boolean): Tree {
  return new Map([...tree].filter(([path]) => !leavesOut(path)));
}

export function totalBytes(tree: Tree): number {
  return [...tree.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
