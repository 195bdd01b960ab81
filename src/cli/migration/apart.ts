/** What a migration writes beside the storages must not get into them. */
import { relative } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import type { Migration } from '../../platform/migration.ts';
import type { Storages } from '../storages.ts';

/**
 * In the source a journal would be a change to what is only read, and a backup, with all secrets of the registry, an
 * object of it.
 * @throws ConfigError
 */
export function demandApart(migration: Migration, storages: Storages): void {
  for (const [name, storage] of Object.entries(storages)) {
    if (storage.kind !== 'fs') continue;
    for (const what of ['journal', 'backups', 'report'] as const) {
      if (!isWithin(storage.rootDirectory, migration[what])) continue;
      throw new ConfigError(
        `The folder "${what}" of the migration, ${migration[what]}, lies inside the ${name}`,
        {
          hint: `Write another folder as ${what}: it must not become a part of a registry`,
        },
      );
    }
  }
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith('../');
}
