/** A small registry tree of the distribution layout, made without a registry: enough for tests of the command line. */
import { hash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { seededBytes } from './seeded.ts';

const ROOT = 'docker/registry/v2';

export interface SmallTree {
  /** Logical paths and contents of everything that a copy must bring over. */
  readonly objects: ReadonlyMap<string, Buffer>;
  /** Paths of the blobs, largest first. */
  readonly blobs: readonly string[];
  readonly tag: string;
}

export interface SmallTreeOptions {
  readonly seed?: string;
  /** Default: a few small ones. */
  readonly blobBytes?: readonly number[];
  readonly repository?: string;
}

export function makeSmallTree(options: SmallTreeOptions = {}): SmallTree {
  const { seed = 'small', blobBytes = [300_000, 5_000, 1_234, 71], repository = 'team/app' } = options;
  const objects = new Map<string, Buffer>();
  const blobs: string[] = [];
  let last = '';
  for (const [index, size] of blobBytes.entries()) {
    const bytes = seededBytes(seed, String(index), size);
    const hex = hash('sha256', bytes, 'hex');
    const path = `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    objects.set(path, bytes);
    blobs.push(path);
    objects.set(
      `${ROOT}/repositories/${repository}/_layers/sha256/${hex}/link`,
      Buffer.from(`sha256:${hex}`),
    );
    last = hex;
  }
  const manifests = `${ROOT}/repositories/${repository}/_manifests`;
  const tag = `${manifests}/tags/v1/current/link`;
  for (const path of [
    `${manifests}/revisions/sha256/${last}/link`,
    `${manifests}/tags/v1/index/sha256/${last}/link`,
    tag,
  ]) {
    objects.set(path, Buffer.from(`sha256:${last}`));
  }
  return { objects, blobs, tag };
}

export async function writeSmallTree(folder: string, tree: SmallTree): Promise<void> {
  for (const [path, bytes] of tree.objects) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
}
