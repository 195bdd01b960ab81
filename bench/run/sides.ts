/** Both ends of a copy: where the objects come from and where they go, filled, checked and emptied. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkBucket, checkFolder } from '../check/check-target.ts';
import { emptyBucket } from '../check/empty-bucket.ts';
import { plantBadParts } from '../check/planted-part.ts';
import type { SetName } from '../data/data-set.ts';
import { fillBuckets } from '../data/fill-buckets.ts';
import { fillFolders } from '../data/fill-folders.ts';
import type { BenchObject } from '../data/objects.ts';
import { isService, type Scheme, type StorageKind } from '../plan/cell.ts';
import type { Etags } from '../records.ts';
import { type S3ServerProcess, startS3ServerProcess } from '../s3-server/s3-server-process.ts';
import { serviceSource, serviceTarget } from './service-sides.ts';
import type { SourceSide, TargetSide } from './side.ts';

export interface Tls {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface SideOptions {
  readonly kind: StorageKind;
  readonly scheme: Scheme;
  readonly tls: Tls;
  /** Of this side's own; made when it is needed and removed with it. */
  readonly folder: string;
  /** Default `md5`; `opaque`: they are visibly no MD5s, which nobody then waits for or pays for. */
  readonly etags?: Etags;
  /** Default true; false: it knows no `x-amz-checksum-*`. */
  readonly checksums?: boolean;
}

const BUCKETS = ['full', 'half', 'target'];

function caOf({ scheme, tls }: SideOptions): string | undefined {
  return scheme === 'https' ? tls.cert : undefined;
}

function startServer(options: SideOptions): Promise<S3ServerProcess> {
  return startS3ServerProcess({
    buckets: BUCKETS,
    checksums: options.checksums ?? true,
    opaqueEtags: options.etags === 'opaque' ? 'dashed' : false,
    // As AWS has it: mc over http does not sign it, and could not be measured at all.
    unsignedContentType: true,
    ...(options.scheme === 'https' ? { tls: options.tls } : {}),
  });
}

export async function openSource(options: SideOptions, objects: Iterable<BenchObject>): Promise<SourceSide> {
  if (options.kind === 'fs') {
    const close = async (): Promise<void> => rmSync(options.folder, { recursive: true, force: true });
    const sets = fillFolders(options.folder, objects);
    return {
      server: undefined,
      sets,
      place: (set) => ({ kind: 'fs', folder: join(options.folder, set) }),
      close,
    };
  }
  if (isService(options.kind)) return serviceSource(options.kind, options.folder, objects);
  const server = await startServer(options);
  try {
    const sets = await fillBuckets(server, objects, { ca: caOf(options) });
    return {
      server,
      sets,
      place: (set) => ({ kind: 's3', endpoint: server.endpoint, bucket: set }),
      close: () => server.close(),
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** @param prefilled what the target holds from the start and keeps, for workloads with nothing to copy. */
export async function openTarget(
  options: SideOptions,
  prefilled?: Iterable<BenchObject>,
): Promise<TargetSide> {
  if (isService(options.kind)) return serviceTarget(options.kind, options.folder);
  return options.kind === 'fs' ? folderTarget(options, prefilled) : bucketTarget(options, prefilled);
}

function folderTarget({ folder }: SideOptions, prefilled: Iterable<BenchObject> | undefined): TargetSide {
  const root = (set: SetName): string => join(folder, prefilled ? set : 'target');
  const makeEmpty = (): void => {
    rmSync(join(folder, 'target'), { recursive: true, force: true });
    mkdirSync(join(folder, 'target'), { recursive: true });
  };
  makeEmpty();
  if (prefilled) fillFolders(folder, prefilled);
  return {
    server: undefined,
    etags: undefined,
    place: (set) => ({ kind: 'fs', folder: root(set) }),
    plant: async () => undefined,
    check: (set, expected, sampling) => checkFolder(root(set), expected, sampling),
    clear: async () => makeEmpty(),
    close: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function bucketTarget(
  options: SideOptions,
  prefilled: Iterable<BenchObject> | undefined,
): Promise<TargetSide> {
  const server = await startServer(options);
  const ca = caOf(options);
  if (prefilled) await fillBuckets(server, prefilled, { ca });
  const bucket = (set: SetName): string => (prefilled ? set : 'target');
  return {
    server,
    etags: options.etags ?? 'md5',
    place: (set) => ({ kind: 's3', endpoint: server.endpoint, bucket: bucket(set) }),
    plant: () =>
      plantBadParts({ endpoint: server.endpoint, bucket: 'target', ca, checksums: options.checksums }),
    check: (set, expected, sampling) => checkBucket(server, { bucket: bucket(set), ca }, expected, sampling),
    clear: () => emptyBucket(server, { bucket: 'target', ca }),
    close: () => server.close(),
  };
}
