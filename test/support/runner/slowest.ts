/**
 * The files that take longest, longest first, as a whole run on two cores saw them (150 to 40 seconds): they begin before
 * the others of their group, so that none of them is left running alone. A file that is not named here loses nothing
 * but that.
 */
export const SLOWEST: readonly string[] = [
  'e2e/any-to-any.test.ts',
  'fault/words-changes.test.ts',
  'e2e/bench.test.ts',
  'e2e/errors-swift.test.ts',
  'fault/words-equal.test.ts',
  'e2e/registry.test.ts',
  'e2e/outage.test.ts',
  'e2e/bit-flips.test.ts',
  'e2e/conformance-swift-s3.test.ts',
  'e2e/unlisted-fuse.test.ts',
  'e2e/secrets.test.ts',
  'e2e/campaigns.test.ts',
  'e2e/conformance-fuse.test.ts',
  'e2e/azure-copies.test.ts',
  'e2e/concurrency.test.ts',
  'e2e/object-extremes.test.ts',
  'e2e/conformance-ceph.test.ts',
  'fault/server-side.test.ts',
  'conformance/swift.test.ts',
  'e2e/words-ceph.test.ts',
  'fault/split.test.ts',
];
