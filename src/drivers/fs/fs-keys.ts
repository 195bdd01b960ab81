/** Which keys a folder tree can hold, and what they mean inside it. Pure. */

/** Temporary files lie in this folder of the root and nowhere else; no key may name it. */
export const TEMP_FOLDER = '.blobferry-tmp';

/** Linux: NAME_MAX, without the terminating NUL; see limits.h. */
const SEGMENT_BYTES_MAX = 255;

/** Why a file system cannot hold the key, as the end of a sentence; undefined when it can. */
export function whyInvalidKey(key: string): string | undefined {
  if (key === '') return 'the key is empty';
  if (key.endsWith('/')) return 'the key ends in "/", which names a folder';
  return whyInvalidSegments(key);
}

/** The same for the folder of a prefix: empty, or names each followed by `/`. */
export function whyInvalidFolder(folder: string): string | undefined {
  return folder === '' ? undefined : whyInvalidSegments(folder.slice(0, -1));
}

function whyInvalidSegments(key: string): string | undefined {
  if (key.startsWith('/')) return 'the key begins with "/"';
  if (key.includes('\0')) return 'the key holds a NUL';
  // Node would write U+FFFD for half a surrogate pair, and two different keys would meet in one file.
  if (!key.isWellFormed()) return 'the key is not well-formed Unicode';
  const segments = key.split('/');
  for (const segment of segments) {
    if (segment === '') return 'the key holds "//"';
    if (segment === '.' || segment === '..') return `the key holds the folder "${segment}"`;
    // A UTF-16 unit never takes more than three bytes, so most names need no count.
    if (segment.length * 3 > SEGMENT_BYTES_MAX && Buffer.byteLength(segment) > SEGMENT_BYTES_MAX) {
      return `a name in the key has more than ${SEGMENT_BYTES_MAX} bytes`;
    }
  }
  if (segments[0] === TEMP_FOLDER) return `"${TEMP_FOLDER}" is kept for temporary files`;
  return undefined;
}

/** `a/b` of `a/b/c`; empty for a key directly in the root. */
export function parentOf(key: string): string {
  const slash = key.lastIndexOf('/');
  return slash < 0 ? '' : key.slice(0, slash);
}

/** The folder that a listing prefix lies in, ending in `/`; empty for the root. */
export function folderOfPrefix(prefix: string): string {
  return prefix.slice(0, prefix.lastIndexOf('/') + 1);
}
