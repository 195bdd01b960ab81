/** What a copy that was told to may remove from a target once the source no longer has it. */
import type { Layout } from './layout.ts';

/**
 * Links, tags and other objects, and in the layout `raw` everything; never a blob, nor what lies among the blobs, of
 * which nobody but the registry's garbage collection knows who needs it; never what the layout leaves out.
 * @param path logical path of an object.
 */
export function mayBeDeleted(layout: Layout, path: string): boolean {
  if (path === '' || layout.leavesOut(path, undefined)) return false;
  if (layout.blobPrefixes.some((prefix) => path.startsWith(prefix))) return false;
  return layout.classify(path).objectClass !== 'blob';
}
