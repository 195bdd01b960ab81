/** What runs of this job that died have left in the target beside open uploads: temporary files, and probes. */
import { StorageError } from '../core/errors.ts';
import type { CallContext, StorageDriver } from '../drivers/driver.ts';
import type { OpenDriver, StorageSpec } from '../drivers/spec.ts';
import { PROBE_FOLDER } from '../layout/left-out.ts';

const UPLOADS_MAX = 1_000;

/** Probes of a run are named after it, so that a later one knows them. */
export function probePrefix(keyPrefix: string, runId: string): string {
  return `${keyPrefix}${PROBE_FOLDER}${runId}-`;
}

interface Where {
  readonly target: StorageDriver;
  readonly storage: StorageSpec;
  readonly keyPrefix: string;
  readonly openDriver: OpenDriver;
}

/** @param runIds runs that are over. @returns why something may still be there. */
export async function removeLeftovers(
  ctx: CallContext,
  where: Where,
  runIds: readonly string[],
): Promise<StorageError | undefined> {
  if (runIds.length === 0) return undefined;
  try {
    await removeProbes(ctx, where, runIds);
    await removeTemporaries(where, runIds);
    return undefined;
  } catch (error) {
    if (!(error instanceof StorageError) || ctx.signal.aborted) throw error;
    return error;
  }
}

/**
 * The same of probes alone, and of uploads that were begun for them. What cannot be removed stays: it is in nobody's way.
 * @param name nobody else who may be at work has probes of this name.
 */
export async function removeProbesOf(
  ctx: CallContext,
  target: StorageDriver,
  keyPrefix: string,
  name: string,
): Promise<void> {
  const prefix = probePrefix(keyPrefix, name);
  const { multipart } = target;
  try {
    await removeProbes(ctx, { target, keyPrefix }, [name]);
    const uploads = (await multipart?.listUploads(ctx, prefix, UPLOADS_MAX)) ?? [];
    for (const upload of uploads) if (upload.key.startsWith(prefix)) await multipart?.abort(ctx, upload);
  } catch (error) {
    if (!(error instanceof StorageError) || ctx.signal.aborted) throw error;
  }
}

async function removeProbes(
  ctx: CallContext,
  { target, keyPrefix }: Pick<Where, 'target' | 'keyPrefix'>,
  runIds: readonly string[],
): Promise<void> {
  const prefixes = runIds.map((runId) => probePrefix(keyPrefix, runId));
  const left: string[] = [];
  for await (const { objects } of target.list(ctx, { prefix: keyPrefix + PROBE_FOLDER })) {
    for (const { key } of objects) if (prefixes.some((prefix) => key.startsWith(prefix))) left.push(key);
  }
  for (const key of left) await target.remove(ctx, key);
}

/** Only file systems have such files; their driver removes them when it is opened. */
export async function removeTemporaries(
  { storage, openDriver }: Pick<Where, 'storage' | 'openDriver'>,
  runsEnded: readonly string[],
): Promise<void> {
  if (storage.kind !== 'fs') return;
  const driver = await openDriver({ storage, engine: 'direct', runsEnded }, 'target');
  await driver.close();
}
