/** Fills a registry: images by skopeo, then the mess every registry collects. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { type ImageSet, MANIFEST_TYPE, nameInLayout, type TestImage } from './images.ts';
import { mustRun } from './process.ts';
import { deleteManifest, putBlob, putManifest, startUpload } from './registry-api.ts';
import { sha256Hex } from './seeded.ts';

const PUSHES_AT_ONCE = 3;

export async function pushImages(set: ImageSet, host: string): Promise<void> {
  const limit = pLimit(PUSHES_AT_ONCE);
  await Promise.all(
    set.images.map((image) =>
      limit(async () => {
        const from = `oci:${set.directory}:${nameInLayout(image)}`;
        const to = ['--dest-tls-verify=false', `docker://${host}/${image.repository}:${image.tag}`];
        await mustRun('skopeo', [
          '--insecure-policy',
          'copy',
          '-q',
          '--all',
          '--preserve-digests',
          from,
          ...to,
        ]);
      }),
    ),
  );
}

export interface Mess {
  /** What the registry serves now, the moved tag included. */
  readonly images: readonly TestImage[];
  /** Its manifest was deleted; its blobs stay until garbage collection. */
  readonly deleted: TestImage;
  /** Blob of no bytes, which no manifest names: the only file of size zero that belongs to a registry. */
  readonly emptyBlob: { readonly repository: string; readonly digest: string };
  /** Bytes of each unfinished upload. */
  readonly unfinishedUploads: readonly number[];
}

/** A legal name for a tag, though the same word names the folder of unfinished uploads. */
const ODD_TAG = '_uploads';

export interface MessOptions {
  /** Default true. The registry's own drivers for S3 and Swift fail to complete an upload of no bytes. */
  readonly pushesEmptyBlob?: boolean;
}

/** Three unfinished uploads (one of no bytes), a deleted manifest, a tag that moved, an odd tag, a blob of no bytes. */
export async function makeMess(set: ImageSet, host: string, options: MessOptions = {}): Promise<Mess> {
  const deleted = set.images.findLast((image) => image.mediaType === MANIFEST_TYPE);
  const [first] = set.images;
  if (first === undefined || deleted === undefined) throw new Error('A mess needs images');
  const next = set.images.find(
    (image) => image.repository === first.repository && image.digest !== first.digest,
  );
  if (next === undefined || next === deleted)
    throw new Error(`A mess needs two images in ${first.repository}`);

  const unfinishedUploads = [0, 100_000, 200_000];
  for (const sizeBytes of unfinishedUploads) await startUpload(host, first.repository, sizeBytes);

  await deleteManifest(host, deleted.repository, deleted.digest);

  for (const image of [first, next]) await setTag(set, host, { ...image, tag: 'moved' });
  await setTag(set, host, { ...first, tag: ODD_TAG });

  const emptyBlob = { repository: first.repository, digest: `sha256:${sha256Hex('')}` };
  if (options.pushesEmptyBlob ?? true) await putBlob(host, emptyBlob.repository, Buffer.alloc(0));

  const served = set.images.filter((image) => image !== deleted);
  const images = [...served, { ...next, tag: 'moved' }, { ...first, tag: ODD_TAG }];
  return { images, deleted, emptyBlob, unfinishedUploads };
}

/** Lets a tag point to an image that its repository holds. */
export async function setTag(set: ImageSet, host: string, image: TestImage): Promise<void> {
  const manifest = await readFile(join(set.directory, 'blobs', image.digest.replace(':', '/')));
  await putManifest(host, `${image.repository}/manifests/${image.tag}`, image.mediaType, manifest);
}
