/**
 * What stays behind, as one list for every pass and for every comparison.
 *
 *     <root>/
 *       .blobferry-tmp/…                            ours: files being written          (registry layouts)
 *       .blobferry-probe/…                          ours: what a target is asked with  (registry layouts)
 *       docker/registry/v2/repositories/<name>/
 *         _uploads/…                                unfinished pushes                  (registry layouts)
 *         _manifests/tags/_uploads/current/link     a tag may be called `_uploads`: copied
 *       …/.snapshot/…  …/lost+found/…               of the file system, not the registry; `.snapshot` is not opened
 *       …/.nfs00000000018c9d2f00000003              an NFS client's name for a deleted, still open file
 *       …/                                          zero bytes, ends in `/`: a "folder" some tool made
 *       anything of a type of its own               GCS: the registry's driver takes it for absent (see ObjectInfo)
 *
 * A repository's own folders (`_layers`, `_manifests`, `_uploads`) are the leftmost of these words: path components
 * of a repository name begin with a letter or a digit, tags may begin with `_`.
 */
import { REPOSITORIES } from './registry-paths.ts';

/** Temporary files of our own writes lie here, directly under a storage's root. */
export const TEMPORARY_FOLDER = '.blobferry-tmp/';

/** Probe objects lie here for a moment; one that a crash left behind belongs to nobody. */
export const PROBE_FOLDER = '.blobferry-probe/';

const REPOSITORY_FOLDER = /\/(_layers|_manifests|_uploads)\//;
const SNAPSHOTS = /(?:^|\/)\.snapshot\/$/;
const FILE_SYSTEM_NAME = /(?:^|\/)(?:\.snapshot\/|lost\+found\/|\.nfs)/;

/**
 * The rule of the layouts `distribution` and `msr`.
 * @param path logical path without its leading `/`; a folder ends in `/`.
 * @param sizeBytes undefined when asked about a folder.
 * @param isPlaceholder the registry's own driver sees no object there.
 */
export function leftOutOfRegistry(
  path: string,
  sizeBytes: number | undefined,
  isPlaceholder?: boolean,
): boolean {
  if (isPlaceholder || isOurs(path) || leftOutOfRaw(path, sizeBytes)) return true;
  if (sizeBytes === 0 && path.endsWith('/')) return true;
  return isUpload(path) || FILE_SYSTEM_NAME.test(path);
}

/**
 * The rule of the layout `raw`: nothing but the root's own empty marker, which is no object below it (the S3 console
 * makes a key `root/` for a "folder").
 */
export function leftOutOfRaw(path: string, sizeBytes: number | undefined): boolean {
  return path === '' && sizeBytes === 0;
}

/** A NAS keeps the whole storage in there once more for each snapshot: walking it could take days. */
export function holdsSnapshots(folder: string): boolean {
  return SNAPSHOTS.test(folder);
}

/** Made by blobferry itself, and of no worth to anybody. */
export function isOurs(path: string): boolean {
  return path.startsWith(TEMPORARY_FOLDER) || path.startsWith(PROBE_FOLDER);
}

function isUpload(path: string): boolean {
  if (!path.startsWith(REPOSITORIES)) return false;
  // From the slash that ends `repositories/`, so that the first component after it counts as well.
  return REPOSITORY_FOLDER.exec(path.slice(REPOSITORIES.length - 1))?.[1] === '_uploads';
}
