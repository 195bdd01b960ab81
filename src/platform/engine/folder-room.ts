/** How much can still be written into a folder. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StorageSpec } from '../../drivers/spec.ts';
import type { TargetFindings } from '../engine-port.ts';

/** Of a folder that is yet to be made: of the one it will lie in. Nothing where nobody says, or it is no folder. */
export async function folderRoom(
  storage: StorageSpec,
): Promise<Pick<TargetFindings, 'freeBytes' | 'freeFiles'>> {
  if (storage.kind !== 'fs') return {};
  for (const path of [storage.rootDirectory, dirname(storage.rootDirectory)]) {
    const found = await statfs(path).catch(() => undefined);
    if (!found) continue;
    // What root keeps for itself does not count.
    const freeBytes = found.bavail * found.bsize;
    // Some file systems make as many as there is room for, and say that they have none.
    return found.files > 0 ? { freeBytes, freeFiles: found.ffree } : { freeBytes };
  }
  return {};
}
