/** What is made sure of before the first object moves; each finding is one sentence with what to do. */
import { randomUUID } from 'node:crypto';
import { ConfigError } from '../core/errors.ts';
import type { CopyOptions } from '../core/job.ts';
import { mustReadBack } from '../drivers/binding.ts';
import { bodyOfBytes } from '../drivers/body.ts';
import type { Binding, BindingOptions, CallContext, StorageDriver } from '../drivers/driver.ts';
import { hasSdkEngine } from '../drivers/engine.ts';
import type { OpenDriver, StorageSpec } from '../drivers/spec.ts';
import { storageName } from '../drivers/spec-name.ts';
import { DEFAULT_RETRIES, withRetries } from '../drivers/wrap/retry.ts';
import type { DetectedSource } from '../layout/find-registry.ts';
import { overlapOf } from '../layout/key-rule.ts';
import type { Layout } from '../layout/layout.ts';
import { isOurs, leftOutOfRegistry } from '../layout/left-out.ts';
import type { Journal } from './journal.ts';

/** As often as everything else before the first object: the user waits for an answer. */
const PROBE_ATTEMPTS = 3;

export async function refuseOverlap(source: StorageSpec, target: StorageSpec): Promise<void> {
  const overlap = await overlapOf(source, target);
  if (overlap === undefined) return;
  const names = { source: storageName(source), target: storageName(target) };
  const what = {
    same: `Source and target are the same storage: ${names.source}`,
    'target-in-source': `The target ${names.target} lies inside the source ${names.source}`,
    'source-in-target': `The source ${names.source} lies inside the target ${names.target}`,
  }[overlap];
  throw new ConfigError(what, { hint: 'Choose a target that shares no object with the source' });
}

/** A raw source without a single object is a mistyped root or a file system that is not mounted, never a migration. */
export function refuseEmptySource(source: StorageDriver, { isEmpty }: Pick<DetectedSource, 'isEmpty'>): void {
  if (!isEmpty) return;
  throw new ConfigError(`The source ${source.name} holds no object`, {
    hint: 'Check its root, and that it is mounted: an empty source is nothing to copy',
  });
}

export interface Claim {
  readonly layout: Layout;
  readonly intoNonempty: boolean;
  readonly journal: Journal;
  /** Ids of the uploads that are open below the target's root; undefined where they cannot be listed. */
  readonly uploadsOpen: () => Promise<readonly string[] | undefined>;
}

/** Finds out once per job whether the target's root was empty, and refuses one that is neither empty nor ours. */
export async function claimTarget(
  ctx: CallContext,
  target: StorageDriver,
  keyPrefix: string,
  { layout, intoNonempty, journal, uploadsOpen }: Claim,
): Promise<boolean> {
  const known = journal.ownsTarget;
  if (known !== undefined) return known;
  const found = await firstKey(ctx, target, keyPrefix);
  if (found !== undefined && !intoNonempty) {
    throw new ConfigError(`The target ${target.name} is not empty: it holds "${found}"`, {
      hint: 'Choose an empty root, or give --into-nonempty: nothing there is deleted, and content that must not change is not overwritten',
    });
  }
  const ownsTarget = found === undefined && !(await holdsMoreThanOurs(ctx, target, keyPrefix, layout));
  journal.claim(ownsTarget, await uploadsOpen());
  return ownsTarget;
}

/** What `raw` does not leave out it would find to be extra later, and remove: an unfinished push, say. */
async function holdsMoreThanOurs(
  ctx: CallContext,
  target: StorageDriver,
  keyPrefix: string,
  layout: Layout,
): Promise<boolean> {
  if (layout.name !== 'raw') return false;
  const isNobodys: IsNobodys = (path, sizeBytes, isPlaceholder) =>
    isOurs(path) || layout.leavesOut(path, sizeBytes, isPlaceholder);
  return (await firstKey(ctx, target, keyPrefix, isNobodys)) !== undefined;
}

type IsNobodys = (path: string, sizeBytes: number | undefined, isPlaceholder?: boolean) => boolean;

/**
 * The first object that someone may miss: not our own leftovers, the marks of folders, or what a file system keeps. Where
 * there is none, a folder that cannot be listed, as nobody knows what it holds.
 */
export async function firstKey(
  ctx: CallContext,
  target: StorageDriver,
  keyPrefix: string,
  isNobodys: IsNobodys = leftOutOfRegistry,
): Promise<string | undefined> {
  const prune = (folder: string) => isNobodys(folder.slice(keyPrefix.length), undefined);
  let unlistable: string | undefined;
  const onUnlistable = (name: string): true => {
    if (!prune(name)) unlistable ??= name;
    return true;
  };
  for await (const page of target.list(ctx, { prefix: keyPrefix, prune, onUnlistable })) {
    const other = page.objects.find(({ key, sizeBytes, isPlaceholder }) => {
      // The root's own mark, as the consoles of object stores make one.
      if (key === keyPrefix && sizeBytes === 0) return false;
      return !isNobodys(key.slice(keyPrefix.length), sizeBytes, isPlaceholder);
    });
    if (other) return other.key;
  }
  return unlistable;
}

/**
 * Writes to the target, wrongly where it can be asked to check: shows the permission to write and what it refuses.
 * @param probePrefix where everything that reads a storage looks away, should a probe stay behind.
 */
export async function bindTarget(
  ctx: CallContext,
  target: StorageDriver,
  storage: StorageSpec,
  probePrefix: string,
  openDriver: OpenDriver,
  options: BindingOptions = {},
): Promise<Binding | undefined> {
  if (target.binding) return target.binding.probe(ctx, probePrefix, options);
  if (hasSdkEngine(storage)) {
    // The compatibility engine cannot send wrong checksums; what the server refuses does not depend on the engine.
    const direct = await openDriver({ storage, engine: 'direct' }, 'target');
    const policy = { ...DEFAULT_RETRIES, attemptsMax: PROBE_ATTEMPTS };
    try {
      return await withRetries(direct, policy, () => undefined).binding?.probe(ctx, probePrefix);
    } finally {
      await direct.close();
    }
  }
  const key = probePrefix + randomUUID();
  await target.write(ctx, key, bodyOfBytes(Buffer.from('blobferry\n')), {});
  await target.remove(ctx, key);
  return undefined;
}

/** Where the MD5 of a body goes. */
const MD5_WORDS: Readonly<Record<string, string>> = {
  gcs: 'a wrong MD5',
  swift: 'a wrong ETag, which is the MD5',
};

/** The binding in words, best proof first. */
export function describeBinding(
  target: Pick<StorageDriver, 'kind'>,
  binding: Binding | undefined,
  { engine = 'direct', readsBack = false }: Partial<Pick<CopyOptions, 'engine' | 'readsBack'>> = {},
): string {
  const asked = readsBack ? '; every object is read back' : '';
  if (!binding) return `${target.kind}: written to a temporary name, flushed to disk, renamed${asked}`;
  const refused: string[] = [];
  if (binding.payloadSha256) refused.push('a wrong payload sha256');
  if (binding.partCrc32) refused.push('a wrong CRC-32 of a part');
  if (binding.objectCrc32) refused.push('a wrong CRC-32 of the whole object');
  if (binding.crc32c) refused.push('a wrong CRC-32C');
  if (binding.contentCrc64) refused.push('a wrong CRC-64');
  if (binding.contentMd5) refused.push(MD5_WORDS[target.kind] ?? 'a wrong Content-MD5');
  const copies = describeCopies(binding);
  if (refused.length === 0) return `the target refused nothing wrong: every object is read back${copies}`;
  const keeps = binding.storesSha256 ? '; keeps the sha256 of what fits one request' : '';
  const unbound = mustReadBack(binding, { kind: target.kind, engine })
    ? ', but nothing that binds every body: every object is read back'
    : asked;
  return `the target was seen to refuse ${refused.join(', ')}${unbound}${keeps}${copies}`;
}

function describeCopies({ computesCopySha256 }: Binding): string {
  if (computesCopySha256 === undefined) return '';
  return computesCopySha256
    ? '; computes the sha256 of what it copies itself'
    : '; computes no sha256 of what it copies itself';
}
