/** Is everything where it belongs? Asked after every run: a copier that does less must not look cheap. */
import { createHash } from 'node:crypto';
import { closeSync, opendirSync, openSync, readSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { sha256OfObject } from '../data/bucket-client.ts';
import type { DataSet } from '../data/data-set.ts';
import { expectedSha256 } from '../data/objects.ts';
import type { S3Server } from '../s3-server/s3-server.ts';
import type { ServiceProcess } from '../service-servers/service-process.ts';

export interface Check {
  readonly objects: number;
  readonly bytes: number;
  /** How many objects were read back and hashed. */
  readonly digests: number;
  /** Sentences; empty when the target holds what it must and nothing else. */
  readonly problems: readonly string[];
}

export interface Sampling {
  /** Other numbers choose other objects. */
  readonly round: number;
  /** Paths that are read back in any case. */
  readonly always?: readonly string[];
}

const SAMPLE_OBJECTS = 16;
const SAMPLE_BYTES_MAX = 512 * 1024 ** 2;

export async function checkBucket(
  server: S3Server,
  address: { readonly bucket: string; readonly ca?: string | undefined },
  expected: DataSet,
  sampling: Sampling,
): Promise<Check> {
  const found = new Map((await server.keys(address.bucket)).map(({ key, sizeBytes }) => [key, sizeBytes]));
  return check(expected, found, sampling, (path) =>
    sha256OfObject({ endpoint: server.endpoint, ...address }, path),
  );
}

/** @param at `prefix` is what the service's own key rule puts before a path. */
export async function checkService(
  server: ServiceProcess,
  { container, prefix }: { readonly container: string; readonly prefix: string },
  expected: DataSet,
  sampling: Sampling,
): Promise<Check> {
  const keys = await server.keys(container);
  // What lies beside the prefix is not expected, and so found to be too much.
  const pathOf = (key: string): string => (key.startsWith(prefix) ? key.slice(prefix.length) : `/${key}`);
  const found = new Map(keys.map(({ key, sizeBytes }) => [pathOf(key), sizeBytes] as const));
  return check(
    expected,
    found,
    sampling,
    async (path) => (await server.sha256(container, prefix + path)) ?? '',
  );
}

export async function checkFolder(root: string, expected: DataSet, sampling: Sampling): Promise<Check> {
  const found = new Map(filesBelow(root).map((file) => [relative(root, file), statSync(file).size] as const));
  return check(expected, found, sampling, async (path) => sha256OfFile(join(root, path)));
}

async function check(
  expected: DataSet,
  found: ReadonlyMap<string, number>,
  sampling: Sampling,
  sha256Of: (path: string) => Promise<string>,
): Promise<Check> {
  const problems = differences(expected, found);
  const sample = samplePaths(expected, sampling).filter((path) => found.has(path));
  const wrong: string[] = [];
  for (const path of sample) {
    if ((await sha256Of(path)) !== expectedSha256(path)) wrong.push(path);
  }
  if (wrong.length > 0)
    problems.push(`${wrong.length} of ${sample.length} objects read back are wrong: ${wrong[0]}`);
  let bytes = 0;
  for (const size of found.values()) bytes += size;
  return { objects: found.size, bytes, digests: sample.length, problems };
}

function differences(expected: DataSet, found: ReadonlyMap<string, number>): string[] {
  const missing: string[] = [];
  const resized: string[] = [];
  for (const [path, size] of expected.sizes) {
    const there = found.get(path);
    if (there === undefined) missing.push(path);
    else if (there !== size) resized.push(path);
  }
  const extra = [...found.keys()].filter((path) => !expected.sizes.has(path));
  const lists = [
    ['missing', missing],
    ['of another size', resized],
    ['not expected', extra],
  ] as const;
  return lists
    .filter(([, paths]) => paths.length > 0)
    .map(([what, paths]) => `${paths.length} of ${expected.sizes.size} objects ${what}: ${paths[0]}`);
}

/** The largest object that is no larger than the sample may be, and others spread over all. */
function samplePaths({ sizes }: DataSet, { round, always = [] }: Sampling): readonly string[] {
  const paths = [...sizes.keys()];
  const chosen = new Set(always);
  let bytes = 0;
  for (let count = 0; count < SAMPLE_OBJECTS; count += 1) {
    const path = paths[(count * 7919 + round * 104_729) % paths.length];
    const size = path === undefined ? 0 : (sizes.get(path) ?? 0);
    if (path === undefined || (bytes > 0 && bytes + size > SAMPLE_BYTES_MAX)) continue;
    chosen.add(path);
    bytes += size;
  }
  return [...chosen];
}

function filesBelow(root: string): readonly string[] {
  const files: string[] = [];
  const folders = [root];
  for (const folder of folders) {
    const handle = opendirSync(folder);
    for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else files.push(path);
    }
    handle.closeSync();
  }
  return files;
}

const BUFFER = Buffer.alloc(1024 ** 2);

function sha256OfFile(file: string): string {
  const digest = createHash('sha256');
  const descriptor = openSync(file, 'r');
  try {
    for (let read = 1; read > 0; ) {
      read = readSync(descriptor, BUFFER);
      digest.update(BUFFER.subarray(0, read));
    }
  } finally {
    closeSync(descriptor);
  }
  return digest.digest('hex');
}
