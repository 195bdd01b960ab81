/** How much can still be written, where the storage says. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StorageSpec } from '../../drivers/spec.ts';

/** Of a folder that is yet to be made: of the one it will lie in. Undefined where nobody says. */
export async function freeBytesOf(storage: StorageSpec): Promise<number | undefined> {
  if (storage.kind !== 'fs') return undefined;
  for (const path of [storage.rootDirectory, dirname(storage.rootDirectory)]) {
    const found = await statfs(path).catch(() => undefined);
    // What root keeps for itself does not count.
    if (found) return found.bavail * found.bsize;
  }
  return undefined;
}
