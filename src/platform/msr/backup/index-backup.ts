/** From a metadata backup to the index that says what each blob must hash to. */
import {
  DigestIndexWriter,
  type IndexWriterOptions,
  type WrittenIndex,
} from '../../../layout/digests/write-digest-index.ts';
import { BackupError } from './backup-error.ts';
import { type BackupOptions, type BackupSummary, readBackup } from './read-backup.ts';

export interface IndexedBackup {
  readonly backup: BackupSummary;
  readonly index: WrittenIndex;
}

/**
 * Reads the archive once, from a file or from the command that writes it. The index is there only if the backup is whole.
 * @throws BackupError for an archive that is none; BlobferryError where the index cannot be written.
 */
export async function indexBackup(
  archive: AsyncIterable<Uint8Array>,
  options: Omit<BackupOptions, 'onBlob'>,
  index: IndexWriterOptions,
  signal: AbortSignal,
): Promise<IndexedBackup> {
  const writer = await new DigestIndexWriter(index, signal).open();
  try {
    const onBlob: BackupOptions['onBlob'] = (row) => (writer.add(row) ? writer.spill() : undefined);
    const backup = await readBackup(abortable(archive, signal), { ...options, onBlob });
    demandNoGaps(options.name, backup);
    return { backup, index: await writer.finish() };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

function demandNoGaps(name: string, { tablesWithGaps }: BackupSummary): void {
  if (tablesWithGaps.length === 0) return;
  const why = `it lacks rows: its tables ${tablesWithGaps.join(', ')} have gaps`;
  throw new BackupError(name, 'incomplete', why, { hint: 'Take it anew' });
}

async function* abortable(
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const piece of archive) {
    signal.throwIfAborted();
    yield piece;
  }
}
