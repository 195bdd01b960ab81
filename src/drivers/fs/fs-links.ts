/** Symbolic links met in a listing: what they stand for, and which of them are not followed. */
import type { ObjectInfo } from '../driver.ts';
import { hasCode } from './fs-errors.ts';
import { TEMP_FOLDER } from './fs-keys.ts';
import type { FsRoot } from './fs-root.ts';

/** Where a listed folder really is. Folders below it share the record until the next link. */
export interface Place {
  /** The folder's key, ending in `/`; empty for the root. */
  readonly key: string;
  /** Its path without links. */
  readonly real: string;
  /** How many links led here. */
  readonly links: number;
  /** The real folders that those links lie in, innermost first. */
  readonly above: Crossing | undefined;
}

interface Crossing {
  readonly real: string;
  readonly above: Crossing | undefined;
}

/** Folders that link to each other twice multiply with every link; the kernel itself ends at 40 (path_resolution(7)). */
const LINKS_MAX = 8;

export type Followed = { readonly place: Place } | { readonly object: ObjectInfo } | undefined;

/** What a link stands for in a listing; undefined when it has vanished. */
export async function followLink(
  root: FsRoot,
  place: Place,
  folderKey: string,
  name: string,
): Promise<Followed> {
  const key = folderKey + name;
  const link = await root.calls.lstat(root.join(key));
  if (link === undefined) return undefined;
  const asItself = { object: { key, sizeBytes: Number(link.size) } };

  const real = await realPathOf(root, key);
  if (real === undefined || !root.holds(real) || isWithin(real, root.join(TEMP_FOLDER))) return asItself;
  const target = await root.calls.lstat(real);
  if (target === undefined) return asItself;
  if (!target.isDirectory()) return { object: { key, sizeBytes: Number(target.size) } };

  const crossing = { real: realFolder(place, folderKey), above: place.above };
  if (place.links >= LINKS_MAX || leadsBack(crossing, real)) return asItself;
  return { place: { key: `${key}/`, real, links: place.links + 1, above: crossing } };
}

async function realPathOf(root: FsRoot, key: string): Promise<string | undefined> {
  try {
    return await root.calls.realpath(root.join(key));
  } catch (error) {
    if (hasCode(error, 'ELOOP', 'EACCES', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

function realFolder(place: Place, folderKey: string): string {
  const below = folderKey.slice(place.key.length, -1);
  return below === '' ? place.real : `${place.real}/${below}`;
}

/** A link into a folder that holds one of the links which led to it would be followed for ever. */
function leadsBack(crossing: Crossing, target: string): boolean {
  for (let at: Crossing | undefined = crossing; at !== undefined; at = at.above) {
    if (isWithin(at.real, target)) return true;
  }
  return false;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}
