/**
 * Any tree of objects whose meaning is not known here.
 *
 *     <root>/
 *       .blobferry-tmp/…    left out: our own temporary files
 *       anything            class `other`, mutable: equal only if the content is shown to be equal
 *
 * Nothing is a blob, so everything belongs to the phase `names`.
 */
import type { Layout } from './layout.ts';
import { leftOutOfRaw } from './left-out.ts';
import { OTHER } from './registry-paths.ts';

export const rawLayout: Layout = {
  name: 'raw',
  blobPrefixes: [],
  classify: () => OTHER,
  leavesOut: leftOutOfRaw,
  staysOutOf: () => false,
};
