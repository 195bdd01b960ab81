/** A target folder that is not there yet, for whoever must not make it: it holds nothing. */
import { StorageError } from '../core/errors.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import type { FileSystemSpec } from '../drivers/spec.ts';
import { storageName } from '../drivers/spec-name.ts';

export function absentTarget(spec: FileSystemSpec): StorageDriver {
  const name = storageName(spec);
  const refuse = (operation: string, key: string): Promise<never> =>
    Promise.reject(
      new StorageError(`Cannot ${operation} "${key}" in ${name}: the folder is not there yet`, {
        kind: 'not-found',
        backend: name,
        operation,
        key,
        isTransient: false,
        scope: 'object',
      }),
    );
  return {
    kind: 'fs',
    name,
    facts: {
      listOrder: 'bytes',
      md5MayBeOpaque: false,
      writeBytesMax: Number.MAX_SAFE_INTEGER,
      keepsAttributes: true,
      hasFolders: true,
    },
    async *list() {
      // Nothing to give.
    },
    stat: (_ctx, key) => refuse('stat', key),
    read: (_ctx, key) => refuse('read', key),
    write: (_ctx, key) => refuse('write', key),
    remove: async () => undefined,
    flush: async () => undefined,
    close: async () => undefined,
  };
}
