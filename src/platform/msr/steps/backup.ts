/**
 * Has MSR write a backup of its metadata, reads it, and makes the index of digests of it. Of the two of a migration the
 * first is of a registry that lives on, and says only what blobs must hash to; the second is of a read-only one and is
 * the one that is restored.
 */
import { createReadStream } from 'node:fs';
import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { BlobferryError } from '../../../core/errors.ts';
import { containerName, containerNames, tidied } from '../../container.ts';
import type { Checked, Effect, Step, StepContext, StepMemory } from '../../saga/step.ts';
import { watched } from '../../steps/watched.ts';
import { type IndexedBackup, indexBackup } from '../backup/index-backup.ts';
import type { BackupSummary } from '../backup/read-backup.ts';
import { backupSpec } from '../dtr-commands.ts';
import { CLOCK_MS_MAX, clockAheadOf, earliestBegin } from '../msr-clock.ts';
import { changesRegistry } from '../msr-crons.ts';
import { readVersion } from '../msr-info.ts';
import type { MsrSite } from '../msr-site.ts';
import { READ_ONLY } from './step-ids.ts';

export type BackupId = 'backup-1' | 'backup-2';

const TAKEN = z.object({
  file: z.string(),
  bytes: z.number(),
  sha256: z.string(),
  /** Path of the index of digests. */
  index: z.string(),
  blobs: z.number(),
  badRows: z.number(),
  /** Named: the first ten of them. */
  badRowsNamed: z.array(z.string()),
  contradicted: z.number(),
  /** Somebody else took it before, and put it there. */
  isGiven: z.boolean().default(false),
});
export type TakenBackup = z.output<typeof TAKEN>;

/** What a step has kept of the backup it took; undefined: none yet. */
export function takenBackup(memory: Pick<StepMemory, 'get'>): TakenBackup | undefined {
  const taken = TAKEN.safeParse(memory.get('taken'));
  return taken.success ? taken.data : undefined;
}

/** A time before this one is none. */
const TIMES_FROM_MS = Date.UTC(2010, 0);
/** One that was taken earlier lacks so many blobs that a new one is worth its minutes. */
const GIVEN_MS_MAX = 24 * 60 * 60_000;

type BackupSite = Pick<MsrSite, 'msr' | 'containers' | 'dtr' | 'pace' | 'backups' | 'digests'>;

export function backupStep(site: BackupSite, id: BackupId): Step {
  const isRestored = id === 'backup-2';
  return {
    id,
    title: isRestored
      ? 'Back up the metadata of the read-only registry'
      : 'Back up the metadata, to know what each blob must hash to',
    changes: isRestored
      ? 'Nothing; writes the backup that is restored, with the keys of the registry in it'
      : 'Nothing; writes a backup with the keys of the registry in it, which is never restored',
    kind: 'read',
    ...(isRestored ? { restsOn: [READ_ONLY] } : {}),
    check: async ({ memory }): Promise<Checked> => ({ is: (await isThere(memory)) ? 'done' : 'todo' }),
    do: async (ctx) => takeBackup(site, id, ctx),
    effect: async ({ memory, run, attempt, signal }): Promise<Effect> => {
      const taken = takenBackup(memory);
      if (!taken || !(await isThere(memory))) return { is: 'missing', why: 'there is no whole backup' };
      const bad =
        taken.badRows === 0 ? '' : `; ${taken.badRows} rows say nothing: ${taken.badRowsNamed.join(', ')}`;
      const twice =
        taken.contradicted === 0
          ? ''
          : `; ${taken.contradicted} ids have several digests, which prove nothing`;
      const left = await tidied(site.containers, containerNames(run, id, attempt), signal);
      return {
        is: 'shown',
        evidence: `${taken.file}${taken.isGiven ? ', which was there' : ''}: ${taken.bytes} bytes, sha256 ${taken.sha256}, ${taken.blobs} blobs${bad}${twice}${left}`,
      };
    },
  };
}

async function takeBackup(site: BackupSite, id: BackupId, ctx: StepContext): Promise<void> {
  const { run, attempt, signal, memory } = ctx;
  const isRestored = id === 'backup-2';
  const given = isRestored ? undefined : await newestGiven(site.backups);
  if (given !== undefined) return await readGiven(site, given, ctx);
  const beganMs = earliestBegin(Date.now(), await clockAheadOf(site.msr, signal));
  const name = containerName(run, id, attempt);
  const file = join(site.backups, `${name}.tar`);
  await mkdir(site.backups, { recursive: true, mode: 0o700 });
  const { text: version } = await readVersion(site.msr, signal);
  const spec = backupSpec(site.dtr, { name, msMax: site.pace.containerMsMax }, file);
  // To read a large one takes longer than read-only may go unwatched.
  const restsOn = isRestored ? READ_ONLY : undefined;
  const indexed = await watched(ctx, restsOn, site.pace.pollMs, async (inTime) => {
    await site.containers.run(spec, inTime);
    await makePrivate(file);
    return await indexBackup(
      createReadStream(file),
      { name: basename(file), version },
      { directory: site.digests, name: `${run}-${id}` },
      inTime,
    );
  });
  demandFresh(indexed.backup, beganMs);
  if (isRestored) demandRestorable(indexed.backup);
  memory.keep('taken', takenOf(file, indexed));
  await site.containers.remove(name, signal);
}

/**
 * Says what blobs must hash to as well as one of our own does, and is never restored. What was pushed since is settled by
 * the second backup, which is always taken anew.
 */
async function readGiven(site: BackupSite, file: string, ctx: StepContext): Promise<void> {
  const { text: version } = await readVersion(site.msr, ctx.signal);
  const indexed = await indexBackup(
    createReadStream(file),
    { name: basename(file), version },
    { directory: site.digests, name: `${ctx.run}-backup-1` },
    ctx.signal,
  );
  ctx.memory.keep('taken', takenOf(file, indexed, true));
}

/** Archive in the folder that blobferry did not have written; undefined: none of the last day. */
async function newestGiven(folder: string): Promise<string | undefined> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  let newest: { readonly file: string; readonly writtenMs: number } | undefined;
  for (const entry of entries) {
    if (!entry.isFile() || !/^(?!blobferry-).*\.tar$/.test(entry.name)) continue;
    const file = join(folder, entry.name);
    const { mtimeMs: writtenMs } = await stat(file);
    if (writtenMs > (newest?.writtenMs ?? Date.now() - GIVEN_MS_MAX)) newest = { file, writtenMs };
  }
  return newest?.file;
}

function takenOf(file: string, { backup, index }: IndexedBackup, isGiven = false): TakenBackup {
  return {
    file,
    bytes: backup.bytes,
    sha256: backup.sha256,
    index: index.path,
    blobs: backup.blobs,
    badRows: backup.badRows,
    badRowsNamed: backup.badRowsNamed.map(({ member, reason }) => `${member} (${reason})`),
    contradicted: index.contradicted,
    isGiven,
  };
}

/** @throws BlobferryError where it is not there: a person was to put it there. */
async function makePrivate(file: string): Promise<void> {
  try {
    await chmod(file, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new BlobferryError(`There is no backup as ${file}`, {
      hint: 'Run the same migration again, and put what the command writes there before you answer',
    });
  }
}

/**
 * @param beganMs by the clock that says the earliest.
 * @throws BlobferryError where what was written is not what was asked for just now.
 */
function demandFresh({ oldestRowMs }: BackupSummary, beganMs: number): void {
  const isOld =
    oldestRowMs !== undefined && oldestRowMs > TIMES_FROM_MS && oldestRowMs < beganMs - CLOCK_MS_MAX;
  if (isOld) {
    const written = new Date(oldestRowMs).toISOString();
    throw new BlobferryError(`The backup was written at ${written}, before it was asked for`, {
      hint: 'Take it anew: an older one lacks what was pushed since',
    });
  }
}

/** @throws BlobferryError where there is too much in what is to be restored. */
function demandRestorable({ cronActions }: BackupSummary): void {
  const writers = cronActions.filter(changesRegistry);
  if (writers.length > 0) {
    throw new BlobferryError(`A restore of the backup would bring back the crons ${writers.join(', ')}`, {
      hint: 'Somebody made them while the registry was read-only: remove them and run again',
    });
  }
}

async function isThere(memory: Pick<StepMemory, 'get'>): Promise<boolean> {
  const taken = takenBackup(memory);
  if (!taken) return false;
  const [archive, index] = await Promise.all([sizeOf(taken.file), sizeOf(taken.index)]);
  return archive === taken.bytes && index !== undefined;
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch {
    return undefined;
  }
}
