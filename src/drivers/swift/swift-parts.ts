/**
 * Are the parts of a dynamic large object all there? Such an object is whatever a listing of its parts holds at the
 * moment, a listing may lag behind, and nothing says how many there should be: so what can be known is compared.
 * https://docs.openstack.org/swift/latest/overview_large_objects.html
 */
import type { ObjectInfo } from '../driver.ts';

/** Where a manifest says that its parts are. */
export interface PartsPlace {
  readonly container: string;
  /** What their names begin with. */
  readonly prefix: string;
}

/** The value of X-Object-Manifest; undefined where it makes no sense. */
export function partsPlaceOf(manifest: string): PartsPlace | undefined {
  const slash = manifest.indexOf('/');
  if (slash <= 0) return undefined;
  try {
    const container = decodeURIComponent(manifest.slice(0, slash));
    return { container, prefix: decodeURIComponent(manifest.slice(slash + 1)) };
  } catch {
    return undefined;
  }
}

/** OpenStack's own client names parts `<name>/<mtime>/<size>/<part size>/<number>`. */
const SIZE_IN_PREFIX = /\/\d+\.\d+\/(\d+)\/\d+\/$/;
const NUMBER = /^\/?(\d+)$/;

/**
 * What is wrong, as a clause; undefined where nothing is known to be.
 * @param parts as listed, in order.
 * @param saidBytes the size of the whole as the object's own answer states it.
 * @param isOld the manifest is so old that the listing knows its parts. Without any it is then an empty object, as the
 * registry's driver makes of an upload that has no bytes yet; whether it should be one only a digest can tell.
 */
export function whyNotWhole(
  parts: readonly Pick<ObjectInfo, 'key' | 'sizeBytes'>[],
  prefix: string,
  saidBytes: number | undefined,
  isOld = false,
): string | undefined {
  if (parts.length === 0 && !isOld) return 'it is made of parts, and none of them is there';
  const sum = parts.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  if (saidBytes !== undefined && saidBytes !== sum)
    return `it has ${saidBytes} bytes, its parts as they are listed have ${sum}`;
  const named = SIZE_IN_PREFIX.exec(prefix)?.[1];
  if (named !== undefined && Number(named) !== sum)
    return `its parts have ${sum} bytes, and were named as those of ${named}`;
  const missing = missingNumber(parts.map(({ key }) => NUMBER.exec(key.slice(prefix.length))?.[1]));
  return missing === undefined ? undefined : `part ${missing} of it is missing`;
}

/** Clients count from 0 or from 1. Names that are no numbers tell nothing. */
function missingNumber(names: readonly (string | undefined)[]): number | undefined {
  let wanted: number | undefined;
  for (const name of names) {
    if (name === undefined) return undefined;
    wanted ??= name.replace(/^0+/, '') === '' ? 0 : 1;
    if (Number(name) !== wanted) return wanted;
    wanted += 1;
  }
  return undefined;
}
