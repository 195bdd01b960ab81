/** One of each service that a registry can lie on, started once for all tests of a file. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Azurite,
  type AzuriteAccount,
  firstAccountOf,
  missingAzurite,
  startAzurite,
} from './azurite.ts';
import { type Ceph, startCeph } from './ceph.ts';
import { gcsCliWorldFor } from './gcs-cli-world.ts';
import type { GcsFake } from './gcs-fake.ts';
import type { Bucket } from './gcs-fake-bucket.ts';
import { hashOf, type ObjectStore } from './object-store.ts';
import type { Environment } from './process.ts';
import { type Swift, startSwift } from './swift.ts';
import { missingTools } from './tools.ts';

const PIECE_BYTES = 64 * 1024 ** 2;

export const KINDS = ['filesystem', 's3', 'azure', 'gcs', 'swift'] as const;
export type Kind = (typeof KINDS)[number];

export interface FiveServices {
  readonly ceph: Ceph;
  readonly swift: Swift;
  readonly azurite: Azurite;
  readonly gcs: GcsFake;
  /** For `runBlobferry`: who asks Google, and code that need not be compiled by each run. */
  readonly env: Environment;
  stop(): Promise<void>;
}

export function missingServices(): string | false {
  return missingTools('ceph', 'swift') || missingAzurite();
}

/**
 * @param directory an empty folder, which the caller removes after `stop`.
 * @param storeBytes of Ceph.
 */
export async function startFiveServices(directory: string, storeBytes?: number): Promise<FiveServices> {
  const ends: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  const started = async <S extends { stop(): Promise<void> }>(starting: Promise<S>): Promise<S> => {
    const server = await starting;
    ends.push(() => server.stop());
    return server;
  };
  const folder = (name: string) => ({ directory: join(directory, name) });
  for (const name of ['ceph', 'swift', 'azurite']) await mkdir(join(directory, name));
  const starting = [
    started(startCeph({ ...folder('ceph'), ...(storeBytes === undefined ? {} : { storeBytes }) })),
    started(startSwift(folder('swift'))),
    started(startAzurite(folder('azurite'))),
    // Small pages, so that a hundred objects take several.
    gcsCliWorldFor({ after: (end) => ends.push(end) }, { pageMax: 60 }),
  ] as const;
  // Whatever came up is to be ended, also when something else did not.
  const failed = (await Promise.allSettled(starting)).find(({ status }) => status === 'rejected');
  if (failed) await stop();
  const [ceph, swift, azurite, gcs] = await Promise.all(starting);
  const env = { ...gcs.env, NODE_COMPILE_CACHE: join(directory, 'compiled') };
  return { ceph, swift, azurite, gcs: gcs.fake, env, stop };
}

/** A file with the settings of a storage, as `--from` and `--to` take it. */
export async function writeSettings(folder: string, name: string, yaml: string): Promise<string> {
  const path = join(folder, `${name}.yml`);
  await writeFile(path, yaml);
  return path;
}

export interface AzureSettings {
  readonly azurite: Azurite;
  readonly account?: AzuriteAccount;
  readonly container: string;
  /** Parameters of the registry's section that say how keys look. */
  readonly more: Readonly<Record<string, string | boolean>>;
}

export function azureYaml({
  azurite,
  account = firstAccountOf(azurite),
  container,
  more,
}: AzureSettings): string {
  const { account: accountname, accountKey: accountkey, endpoint: serviceurl } = account;
  return sectionYaml('azure', { accountname, accountkey, container, serviceurl, ...more });
}

export function gcsYaml({ endpoint }: GcsFake, bucket: string, rootdirectory: string): string {
  return sectionYaml('gcs', { bucket, rootdirectory, endpoint });
}

function sectionYaml(name: string, parameters: Readonly<Record<string, string | boolean>>): string {
  const lines = Object.entries(parameters).map(([key, value]) => `    ${key}: ${JSON.stringify(value)}\n`);
  return `storage:\n  ${name}:\n${lines.join('')}`;
}

/** What the fake holds, read without any request. */
export function fakeStore(bucket: Bucket): ObjectStore {
  return {
    names: async () => [...bucket.objects.keys()],
    put: async (name, bytes) => {
      bucket.put(name, Buffer.from(bytes), { 'content-type': 'application/octet-stream' }, false);
    },
    hash: async (name) => {
      const { bytes } = bucket.find(name);
      return hashOf(piecesOf(bytes));
    },
  };
}

/** A hash takes less than 2 GiB at once. */
async function* piecesOf(bytes: Buffer): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
