/**
 * Which layout does a source have? A few listings with a delimiter tell, whatever the size of the storage:
 *
 *     docker/registry/v2/blobs/id/      there                          -> msr (which knows blobs/sha256/ as well)
 *     docker/registry/v2/blobs/…        anything else there            -> distribution
 *     docker/registry/v2/…              no blobs, but some object      -> distribution
 *     nothing, or empty folders         an error, with a hint where the registry may be instead
 */
import { ConfigError } from '../core/errors.ts';
import type { LayoutChoice } from '../core/job.ts';
import type { CallContext, StorageDriver } from '../drivers/driver.ts';
import { distributionLayout } from './distribution.ts';
import type { Layout } from './layout.ts';
import { isOurs, leftOutOfRegistry } from './left-out.ts';
import { BLOBS_BY_ID, msrLayout } from './msr.ts';
import { rawLayout } from './raw.ts';
import { BLOBS, REGISTRY_ROOT } from './registry-paths.ts';

export interface DetectedLayout {
  readonly layout: Layout;
  /** A clause for people: what was found that decided it. */
  readonly reason: string;
}

/** Folders below the root that are looked into for a registry one level further down. */
const FOLDERS_SEARCHED_MAX = 8;
const NAMES_LISTED_MAX = 1000;

/**
 * @param keyPrefix what the storage's root puts before every logical path (see key-rule.ts).
 * @throws ConfigError when a registry is wanted and there is none; StorageError when the storage cannot be listed.
 */
export async function detectLayout(
  driver: StorageDriver,
  ctx: CallContext,
  keyPrefix: string,
  choice: LayoutChoice,
): Promise<DetectedLayout> {
  if (choice === 'raw') return { layout: rawLayout, reason: '--layout raw was given' };
  const probe: Probe = { driver, ctx, keyPrefix };
  const blobFolders = await listNames(probe, BLOBS);
  const byDigest = blobFolders.filter((name) => name.endsWith('/') && `${BLOBS}${name}` !== BLOBS_BY_ID);
  if (blobFolders.includes('id/')) {
    const besides =
      byDigest.length > 0 ? ` beside ${byDigest.map((name) => BLOBS + name).join(' and ')}` : '';
    return { layout: msrLayout, reason: `${BLOBS_BY_ID} is there${besides}: blobs are named by ids` };
  }
  const [first] = byDigest;
  if (first !== undefined) {
    return {
      layout: distributionLayout,
      reason: `${BLOBS}${first} is there: blobs are named by their digests`,
    };
  }
  const path = await findObject(probe, REGISTRY_ROOT);
  if (path !== undefined) {
    return { layout: distributionLayout, reason: `${path} is there, but nothing in ${BLOBS}` };
  }
  throw await noRegistry(probe, choice);
}

interface Probe {
  readonly driver: StorageDriver;
  readonly ctx: CallContext;
  readonly keyPrefix: string;
}

async function noRegistry(probe: Probe, choice: LayoutChoice): Promise<ConfigError> {
  const { driver, keyPrefix } = probe;
  const message = `Cannot find a registry in ${driver.name}: nothing is stored under "${keyPrefix}${REGISTRY_ROOT}"`;
  const top = await listNames(probe, '');
  if (top.length === 0)
    return new ConfigError(message, {
      hint: 'the root is empty: check that it is written as in the settings of the registry',
    });
  const whereElse = (await hintAbove(probe, top)) ?? (await hintBelow(probe, top));
  const raw = choice === 'auto' ? '; to copy everything as it is, whatever it is, add --layout raw' : '';
  return new ConfigError(message, { hint: `${whereElse ?? `the root holds ${quoteSome(top)}`}${raw}` });
}

/** The root was put inside the registry's own folders. */
async function hintAbove(probe: Probe, top: readonly string[]): Promise<string | undefined> {
  if (top.includes('registry/') && (await listNames(probe, 'registry/')).includes('v2/')) {
    return 'the root looks like the registry\'s "docker" folder: give the folder that holds it, one level up';
  }
  if (top.includes('v2/') && (await listNames(probe, 'v2/')).some(isInsideV2)) {
    return 'the root looks like the registry\'s "docker/registry" folder: give the folder that holds "docker", two levels up';
  }
  if (top.includes('blobs/') && top.includes('repositories/')) {
    return 'the root looks like the registry\'s "docker/registry/v2" folder: give the folder that holds "docker", three levels up';
  }
  return undefined;
}

/** The registry lies in a folder of the root. */
async function hintBelow(probe: Probe, top: readonly string[]): Promise<string | undefined> {
  const folders = top.filter((name) => name.endsWith('/') && !isOurs(name));
  for (const folder of folders.slice(0, FOLDERS_SEARCHED_MAX)) {
    if ((await listNames(probe, `${folder}${REGISTRY_ROOT}`)).length === 0) continue;
    return `there is a registry in "${folder}${REGISTRY_ROOT}": give "${probe.keyPrefix}${folder}" below this storage as the root`;
  }
  return undefined;
}

function isInsideV2(name: string): boolean {
  return name === 'blobs/' || name === 'repositories/';
}

/**
 * Names directly under a folder of the root; folders end in `/`. The folders asked for by name have few entries; of
 * any other the first ones are enough.
 */
async function listNames(probe: Probe, folder: string): Promise<readonly string[]> {
  const prefix = probe.keyPrefix + folder;
  const names: string[] = [];
  for await (const page of probe.driver.list(probe.ctx, { prefix, delimiter: '/' })) {
    for (const key of [...page.prefixes, ...page.objects.map((object) => object.key)]) {
      // A zero-byte object named like the folder itself is no content.
      if (key !== prefix) names.push(key.slice(prefix.length));
    }
    if (names.length >= NAMES_LISTED_MAX) break;
  }
  return names;
}

/** The first object under a folder that a copy would copy: empty folders and unfinished uploads make no registry. */
async function findObject(probe: Probe, folder: string): Promise<string | undefined> {
  const { driver, ctx, keyPrefix } = probe;
  const prune = (name: string) => leftOutOfRegistry(name.slice(keyPrefix.length), undefined);
  for await (const page of driver.list(ctx, { prefix: keyPrefix + folder, prune })) {
    for (const { key, sizeBytes, isPlaceholder } of page.objects) {
      const path = key.slice(keyPrefix.length);
      if (!leftOutOfRegistry(path, sizeBytes, isPlaceholder)) return path;
    }
  }
  return undefined;
}

function quoteSome(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => `"${name}"`);
  const rest = names.length - shown.length;
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ');
}
