/**
 * The key of a logical path P (`/docker/registry/v2/…`), as the registry's own drivers build it:
 *
 *     filesystem   <rootdirectory>/P                  the driver's keys are relative to its root folder: prefix ''
 *     s3           rootdirectory without the slashes at its end, then P; then all slashes at the front removed
 *     gcs          rootdirectory without the slashes at both ends and a slash, if there is one; then P without its own
 *     swift        prefix, then `/files`, then P; then the slash at the front removed
 *     azure        as s3, and in front of it the slash that distribution 2.x leaves there: `/docker/registry/v2/x`, which
 *                  stands in URLs as `container//docker/…`; version 3 and `trimlegacyrootprefix` have none
 *     plain        of any object store: the root or prefix as it is written and a slash behind it, then P without its
 *                  own. No registry's: names as a copier makes them that knows none of the rules above
 *
 *     rootdirectory          prefix       key of /docker/registry/v2/x
 *     '' or '/'              ''           docker/registry/v2/x
 *     '/a/b/'                'a/b/'       a/b/docker/registry/v2/x
 *     'a//b'                 'a//b/'      a//b/docker/registry/v2/x
 *
 * So for every storage: key = prefix + logical path without its leading slash.
 */
import type { BigIntStats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type {
  AzureSpec,
  FileSystemSpec,
  GcsSpec,
  S3Spec,
  StorageSpec,
  SwiftAccess,
  SwiftSpec,
} from '../drivers/spec.ts';
import { isAwsHost } from '../drivers/spec-name.ts';

export type KeyRule = 'distribution' | 'distribution-2' | 'distribution-3' | 'plain';

/** As the parameter `keyrule` names it; undefined where keys follow no rule but are paths of files. */
export function keyRuleOf(spec: StorageSpec): KeyRule | undefined {
  if (spec.kind === 'fs' || spec.kind === 'memory') return undefined;
  if (spec.keyRule === 'plain') return 'plain';
  if (spec.kind !== 'azure') return 'distribution';
  return spec.hasSlashRoot ? 'distribution-2' : 'distribution-3';
}

export function keyPrefixOf(spec: StorageSpec): string {
  if (spec.kind === 'fs' || spec.kind === 'memory') return '';
  if (spec.keyRule === 'plain')
    return plainPrefixOf(spec.kind === 'swift' ? spec.prefix : spec.rootDirectory);
  if (spec.kind === 'swift') return `${spec.prefix}/files/`.replace(/^\/+/, '');
  // The drivers of the registry come to the same, each in its own words.
  const prefix = `${spec.rootDirectory.replace(/\/+$/, '')}/`.replace(/^\/+/, '');
  return spec.kind === 'azure' && spec.hasSlashRoot ? `/${prefix}` : prefix;
}

function plainPrefixOf(root: string): string {
  return root === '' || root.endsWith('/') ? root : `${root}/`;
}

/** The rule as words, for people. */
export function keyRuleText(spec: StorageSpec): string {
  const rule = keyRuleOf(spec);
  const keys = `keys are "${keyPrefixOf(spec)}" + the registry's own path`;
  return rule === undefined ? keys : `${keys} (keyrule: ${rule})`;
}

/**
 * Two storages that share objects: a target inside its source would be listed as source, and a source inside its
 * target would be written to.
 */
export type Overlap = 'same' | 'target-in-source' | 'source-in-target';

/** How the two overlap; undefined when no object of one can be an object of the other. */
export async function overlapOf(source: StorageSpec, target: StorageSpec): Promise<Overlap | undefined> {
  const [targetInSource, sourceInTarget] = await Promise.all([
    isInside(source, target),
    isInside(target, source),
  ]);
  if (targetInSource && sourceInTarget) return 'same';
  if (targetInSource) return 'target-in-source';
  return sourceInTarget ? 'source-in-target' : undefined;
}

/** Is every object of `inner` also an object of `outer`? True for the same storage. Folders need not exist yet. */
async function isInside(outer: StorageSpec, inner: StorageSpec): Promise<boolean> {
  if (outer.kind === 'fs' && inner.kind === 'fs') return isFolderInside(outer, inner);
  // A bucket of Cloud Storage may be given in both ways.
  if (isInBucket(outer) && isInBucket(inner)) {
    return isSameBucket(outer, inner) && keyPrefixOf(inner).startsWith(keyPrefixOf(outer));
  }
  if (outer.kind === 'swift' && inner.kind === 'swift') {
    return isSameContainer(outer, inner) && keyPrefixOf(inner).startsWith(keyPrefixOf(outer));
  }
  if (outer.kind === 'azure' && inner.kind === 'azure') {
    return isSameBlobContainer(outer, inner) && keyPrefixOf(inner).startsWith(keyPrefixOf(outer));
  }
  return outer.kind === 'memory' && inner.kind === 'memory' && outer.name === inner.name;
}

/**
 * Follows symbolic links by real path, and bind mounts and file systems that ignore case by comparing device and
 * inode of every folder above.
 */
async function isFolderInside(outer: FileSystemSpec, inner: FileSystemSpec): Promise<boolean> {
  const outerPath = await realPathOf(outer.rootDirectory);
  const outerStats = await statsOf(outerPath);
  for (let folder = await realPathOf(inner.rootDirectory); ; folder = dirname(folder)) {
    if (folder === outerPath) return true;
    const stats = outerStats && (await statsOf(folder));
    if (stats && outerStats && stats.dev === outerStats.dev && stats.ino === outerStats.ino) return true;
    if (folder === dirname(folder)) return false;
  }
}

/** The real path of the part that exists, followed by the part that does not. */
async function realPathOf(path: string): Promise<string> {
  const absolute = resolve(path);
  let existing = absolute;
  for (;;) {
    try {
      return join(await realpath(existing), absolute.slice(existing.length));
    } catch {
      // Missing or not to be looked at: the folder above decides. The driver reports what is wrong with the root.
      if (existing === dirname(existing)) return absolute;
      existing = dirname(existing);
    }
  }
}

async function statsOf(path: string): Promise<BigIntStats | undefined> {
  return stat(path, { bigint: true }).catch(() => undefined);
}

const GOOGLE = 'https://storage.googleapis.com';

type BucketSpec = S3Spec | GcsSpec;

function isInBucket(spec: StorageSpec): spec is BucketSpec {
  return spec.kind === 's3' || spec.kind === 'gcs';
}

function isSameBucket(left: BucketSpec, right: BucketSpec): boolean {
  return left.bucket === right.bucket && serverOf(left) === serverOf(right);
}

/** Two users of one project share its containers; tempauth's users are `account:user`. */
function isSameContainer(left: SwiftSpec, right: SwiftSpec): boolean {
  return (
    left.container === right.container &&
    serverAt(left.access.authUrl) === serverAt(right.access.authUrl) &&
    accountOf(left.access) === accountOf(right.access)
  );
}

/** Where a user's own project is meant, which one that is cannot be told from here: all such are one. */
function accountOf({ authVersion, tenantId, tenant, user }: SwiftAccess): string {
  return tenantId ?? tenant ?? (authVersion === 1 ? (user.split(':')[0] ?? '') : '');
}

/** An account has one name in all of Azure's clouds at most; an emulator has it in the path of its address. */
function isSameBlobContainer(left: AzureSpec, right: AzureSpec): boolean {
  return (
    left.container === right.container &&
    left.accountName === right.accountName &&
    serverAt(left.endpoint) === serverAt(right.endpoint)
  );
}

/** Could one copy from the other without any byte leaving it? Partitions of AWS know nothing of each other. */
export function isSameService(left: S3Spec, right: S3Spec): boolean {
  return (
    serverOf(left) === serverOf(right) &&
    (serverOf(left) !== 'aws' || partitionOf(left) === partitionOf(right))
  );
}

function partitionOf({ region }: S3Spec): string {
  return /^(?:cn|us-gov|us-iso[a-z]?|eu-isoe|eusc)(?=-)/.exec(region)?.[0] ?? 'aws';
}

/**
 * Names the server, not the way to it. All of AWS is one, as bucket names are unique there; HTTP and HTTPS on their
 * usual ports are one; so are the names of this machine. Two DNS names of one server cannot be told from here.
 */
function serverOf(spec: BucketSpec): string {
  if (spec.endpoint === undefined) return spec.kind === 'gcs' ? serverAt(GOOGLE) : 'aws';
  const url = URL.parse(spec.endpoint);
  return url && isAwsHost(url.hostname) ? 'aws' : serverAt(spec.endpoint);
}

function serverAt(address: string): string {
  const url = URL.parse(address);
  if (!url) return address;
  const isThisMachine = /^(?:localhost|\[::1\]|127\.\d+\.\d+\.\d+)$/.test(url.hostname);
  return `${isThisMachine ? 'localhost' : url.hostname}:${url.port}`;
}
