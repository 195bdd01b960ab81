/** One sparse blob from a folder into a service and back, read past the product at both ends. */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runBlobferry } from '../../support/cli.ts';
import type { FiveServices } from '../../support/five-services.ts';
import { folderStore } from '../../support/object-store.ts';
import { seededBytes } from '../../support/seeded.ts';
import { hashFile, type TreeFile } from '../../support/tree.ts';
import { makePlace, type Service } from './places.ts';

const GIB = 1024 ** 3;
const MARK_BYTES = 64 * 1024;
const RUN_MS_MAX = 3_600_000;
/** Swift gives out one part a second of an object that is read whole. */
const SIZES: Readonly<Partial<Record<Service, readonly string[]>>> = {
  swift: ['--part-size', '20MiB', '--memory', '320MiB'],
};

export interface LargeRun {
  readonly service: Service;
  readonly sizeBytes: number;
  readonly secondsThere: number;
  readonly secondsBack: number;
  /** Objects that the service has for it, parts included. */
  readonly objectsThere: number;
  readonly problems: readonly string[];
}

export interface LargeOptions {
  readonly service: Service;
  readonly folder: string;
  readonly sizeBytes: number;
  readonly seed: string;
}

export async function runLarge(services: FiveServices, options: LargeOptions): Promise<LargeRun> {
  const { service, folder, sizeBytes, seed } = options;
  const [source, back] = [join(folder, `large-${service}`), join(folder, `large-${service}-back`)];
  const { path, file } = await writeBlob(source, sizeBytes, seed);
  await mkdir(back);
  const place = await makePlace(services, service, folder, 'large');
  const problems: string[] = [];
  const run = async (command: string, from: string, to: string): Promise<number> => {
    const sizes = command === 'copy' && to === place.settings ? SIZES[service] : undefined;
    const args = [command, '--from', from, '--to', to, '--json', ...(sizes ?? [])];
    const { code, stderr, seconds } = await runBlobferry(args, { env: services.env, timeoutMs: RUN_MS_MAX });
    if (code !== 0)
      problems.push(`${service}: ${command} to ${to} ended with ${code}: ${stderr.slice(-500)}`);
    return Math.round(seconds);
  };
  const compare = (what: string, found: TreeFile): void => {
    if (found.sizeBytes === file.sizeBytes && found.sha256 === file.sha256) return;
    problems.push(`${service}: ${what} has ${found.sizeBytes} bytes that hash to ${found.sha256}`);
  };
  const secondsThere = await run('copy', `file://${source}`, place.settings);
  compare('the object', await place.store.hash(place.prefix + path));
  await run('verify', `file://${source}`, place.settings);
  const secondsBack = await run('copy', place.settings, `file://${back}`);
  compare('the file', await folderStore(back).hash(path));
  const objectsThere = (await place.store.names()).length;
  await rm(source, { recursive: true });
  await rm(back, { recursive: true });
  return { service, sizeBytes, secondsThere, secondsBack, objectsThere, problems };
}

/** Bytes of its own around each GiB and at the end, so that a part in the wrong place is seen; holes between them. */
async function writeBlob(
  root: string,
  sizeBytes: number,
  seed: string,
): Promise<{ readonly path: string; readonly file: TreeFile }> {
  await mkdir(root, { recursive: true });
  const temporary = join(root, 'blob');
  const handle = await open(temporary, 'w');
  try {
    await handle.truncate(sizeBytes);
    for (let at = 0; at < sizeBytes; at += GIB / 2) {
      const bytes = seededBytes(seed, `at ${at}`, Math.min(MARK_BYTES, sizeBytes - at));
      await handle.write(bytes, 0, bytes.length, Math.max(0, at - MARK_BYTES / 2));
    }
    await handle.write(Buffer.from('!'), 0, 1, sizeBytes - 1);
  } finally {
    await handle.close();
  }
  const file = await hashFile(temporary);
  const path = `docker/registry/v2/blobs/sha256/${file.sha256.slice(0, 2)}/${file.sha256}/data`;
  await mkdir(dirname(join(root, path)), { recursive: true });
  await rename(temporary, join(root, path));
  return { path, file };
}
