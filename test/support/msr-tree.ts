/**
 * Storage as MSR 2.6 and newer keep it: blobs are named by an id, whose digest only the metadata database knows.
 *
 *   docker/registry/v2/blobs/id/<first two characters>/<id>/data     layers, configurations
 *   docker/registry/v2/blobs/sha256/<2>/<hex>/data                   left from before the metadata moved
 *   docker/registry/v2/repositories/<name>/_uploads/<id>/…           pushes under way: not to be copied
 *   everything else                                                  charts and whatever else lies there
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { seededBytes, seededUuid, sha256Hex } from './seeded.ts';

export interface MsrTree {
  /** Paths of blobs named by an id. */
  readonly blobs: readonly string[];
  /** Paths of files that a copy must bring as they are, though nothing proves their content. */
  readonly others: readonly string[];
  /** Paths of files that no copy brings. */
  readonly leftOut: readonly string[];
}

export interface MsrTreeOptions {
  /** The root that holds `docker/`. */
  readonly root: string;
  readonly seed: string;
  /** Default 150. */
  readonly blobCount?: number;
  /** Default 20 MiB, so that it takes several parts. */
  readonly largestBlobBytes?: number;
}

const STORAGE = 'docker/registry/v2';
/** Taken in turn: a byte, small JSON, around the boundaries of file-system blocks, layers. */
const BLOB_BYTES = [1, 180, 1_500, 4_095, 4_096, 4_097, 70_000, 900_000];

export async function writeMsrTree(options: MsrTreeOptions): Promise<MsrTree> {
  const { seed } = options;
  const write = async (path: string, bytes: Uint8Array | string): Promise<string> => {
    await mkdir(dirname(join(options.root, path)), { recursive: true });
    await writeFile(join(options.root, path), bytes);
    return path;
  };
  const blobs: string[] = [];
  for (let index = 0; index < (options.blobCount ?? 150); index += 1) {
    const id = seededUuid(seed, `blob-${index}`);
    const smaller = BLOB_BYTES[index % BLOB_BYTES.length] ?? 1;
    const sizeBytes = index === 0 ? (options.largestBlobBytes ?? 20 * 1024 * 1024) : smaller;
    const path = `${STORAGE}/blobs/id/${id.slice(0, 2)}/${id}/data`;
    blobs.push(await write(path, seededBytes(seed, id, sizeBytes)));
  }
  const others: string[] = [];
  for (const [path, bytes] of otherFiles(seed)) others.push(await write(path, bytes));
  const leftOut: string[] = [];
  for (const [path, bytes] of unfinishedUploads(seed)) leftOut.push(await write(path, bytes));
  return { blobs, others, leftOut };
}

function otherFiles(seed: string): readonly (readonly [string, Uint8Array | string])[] {
  const old = seededBytes(seed, 'old', 30_000);
  const hex = sha256Hex(old);
  const charts = `${STORAGE}/charts/admin/web`;
  return [
    [`${STORAGE}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, old],
    [`${charts}/web-1.2.3.tgz`, seededBytes(seed, 'chart', 12_345)],
    [`${charts}/web-1.2.3.tgz.prov`, '-----BEGIN PGP SIGNED MESSAGE-----\n'],
    [`${charts}/index.yaml`, 'apiVersion: v1\nentries: {}\n'],
    // The server leaves a small object with such a name at the root when it tries out new storage.
    [seededUuid(seed, 'trial'), 'ok'],
    ['odd names/100% & more + \u00fcml\u00e4ut \ud83d\ude00 \ufffd.bin', seededBytes(seed, 'odd', 777)],
    ['odd names/nothing in it', ''],
    ['a-b/x', 'sorts before a/x by bytes'],
    ['a/x', 'sorts behind a-b/x by bytes'],
    ['a0', 'sorts behind both'],
  ];
}

function unfinishedUploads(seed: string): readonly (readonly [string, Uint8Array | string])[] {
  const started = '2024-01-01T00:00:00Z';
  return ['admin/web', 'admin/deep/er'].flatMap((repository) => {
    const folder = `${STORAGE}/repositories/${repository}/_uploads/${seededUuid(seed, repository)}`;
    const data = repository === 'admin/web' ? '' : seededBytes(seed, repository, 50_000);
    const files: readonly (readonly [string, Uint8Array | string])[] = [
      [`${folder}/startedat`, started],
      [`${folder}/data`, data],
      [`${folder}/hashstates/sha256/${data.length}`, seededBytes(seed, 'state', 108)],
    ];
    return files;
  });
}
