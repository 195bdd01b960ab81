/** Which names a blob can have (https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata). */
import { StorageError } from '../../core/errors.ts';

const KEY_UNITS_MAX = 1024;

/**
 * Names that Azure keeps as another one are refused: a backslash becomes a slash, a segment `.` or `..` is resolved, and
 * a dot at the end of a segment is cut off on some ways to it.
 */
export function whyInvalidAzureKey(key: string): string | undefined {
  if (key.length === 0 || key.length > KEY_UNITS_MAX)
    return `its name has ${key.length} characters, Azure takes 1 to ${KEY_UNITS_MAX}`;
  if (!key.isWellFormed()) return 'its name has half a character in it, which no UTF-8 holds';
  if (/[\p{Cc}\ufffe\uffff]/u.test(key))
    return 'its name has a control character in it, or one that XML cannot hold';
  if (key.includes('\\')) return 'its name has a backslash in it, which Azure takes for a slash';
  if (/\.(?:\/|$)/.test(key)) return 'a part of its name ends with a dot, which Azure does not keep';
  return undefined;
}

export function checkAzureKey(backend: string, operation: string, key: string): void {
  const why = whyInvalidAzureKey(key);
  if (why === undefined) return;
  throw new StorageError(`Cannot ${operation} an object in ${backend}: ${why}`, {
    kind: 'invalid-name',
    backend,
    operation,
    key,
    isTransient: false,
    scope: 'object',
  });
}
