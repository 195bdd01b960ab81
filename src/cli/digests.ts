/** `--digests`: what blobs that are named by an id must hash to, from a backup of MSR's metadata. */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import type { LayoutName } from '../layout/layout.ts';
import { type IndexedBackup, indexBackup } from '../platform/msr/backup/index-backup.ts';
import type { CommandContext } from './context.ts';
import { plural, printable } from './text.ts';
import { formatCount } from './units.ts';

/**
 * Makes an index of the backup's digests for as long as the work takes. It lies in the folder for temporary files, for
 * nobody else to read, and takes 200 bytes there for each blob.
 * @throws ConfigError for a file that is no whole backup, BlobferryError where the index cannot be written.
 */
export async function withDigests<T>(
  file: string,
  { output, signal }: Pick<CommandContext, 'output' | 'signal'>,
  work: (index: string) => Promise<T>,
): Promise<T> {
  await demandFile(file);
  output.say(`reading ${printable(file)} for what blobs must hash to`);
  const directory = await mkdtemp(join(tmpdir(), 'blobferry-digests-'));
  try {
    const archive = createReadStream(file);
    const indexed = await indexBackup(
      archive,
      { name: basename(file) },
      { directory, name: 'given' },
      signal,
    );
    for (const line of foundText(indexed)) output.say(printable(line));
    return await work(indexed.index.path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** @throws ConfigError where the paths of a storage say themselves what its blobs must hash to, or nothing does. */
export function demandIds(layout: LayoutName, storage: string): void {
  if (layout === 'msr') return;
  const why =
    layout === 'raw'
      ? 'objects as they are have no ids'
      : 'its blobs are named by their digests, which says what they must hash to';
  throw new ConfigError(`--digests is for a registry whose blobs are named by ids, and ${storage} is none`, {
    hint: `Leave it out: ${why}`,
  });
}

async function demandFile(file: string): Promise<void> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`Cannot read the backup "${file}": ${error.message}`, {
      cause: error,
      hint: 'Give --digests the tar that MSR wrote as its metadata backup',
    });
  });
  if (found.isFile()) return;
  throw new ConfigError(`Cannot read the backup "${file}": it is no file`, {
    hint: 'Give --digests the tar that MSR wrote as its metadata backup',
  });
}

function foundText({ backup, index }: IndexedBackup): readonly string[] {
  const lines = [`backup of MSR ${backup.version}: ${formatCount(index.records)} blobs with their digests`];
  if (backup.badRows > 0) {
    const named = backup.badRowsNamed.map(({ member, reason }) => `${member} (${reason})`);
    lines.push(`warning: ${formatCount(backup.badRows)} of its rows say nothing: ${named.join(', ')}`);
  }
  if (index.contradicted > 0) {
    const ids = plural(index.contradicted, 'id has', 'ids have');
    const named = index.contradictedIds.join(', ');
    lines.push(
      `warning: ${formatCount(index.contradicted)} ${ids} several digests, which prove nothing: ${named}`,
    );
  }
  return lines;
}
