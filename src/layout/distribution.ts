/**
 * The layout of CNCF distribution, and so of Harbor, MSR 4, GitLab and DTR before 2.6.
 *
 *     docker/registry/v2/
 *       blobs/sha256/ab/ab12…/data         phase `blobs`: the bytes, named by their own digest
 *       repositories/<name>/…              phase `names`: links and tags that make the bytes reachable
 *       anything else                      phase `names`
 *
 * The classes of single paths are in registry-paths.ts.
 */
import type { Layout } from './layout.ts';
import { holdsSnapshots, leftOutOfRegistry } from './left-out.ts';
import { BLOBS, classifyRegistryPath } from './registry-paths.ts';

export const distributionLayout: Layout = {
  name: 'distribution',
  blobPrefixes: [BLOBS],
  classify: classifyRegistryPath,
  leavesOut: leftOutOfRegistry,
  staysOutOf: holdsSnapshots,
};
