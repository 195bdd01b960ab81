/**
 * The cases over a current Ceph, which checks and stores checksums, knows trailers and conditions: as S3, and as another
 * Swift than OpenStack's. Requests to it are signed for the region "auto", as those with HMAC keys of Cloud Storage are;
 * the older Ceph has the usual one.
 */
import { after, describe } from 'node:test';
import type { Requirement } from '../conformance/case.ts';
import { openS3Fixture } from '../conformance/s3-service.ts';
import { describeDriver, type SuiteOptions } from '../conformance/suite.ts';
import { openSwiftFixture, SWIFT_LACKS } from '../conformance/swift-service.ts';
import { startCeph } from '../support/ceph.ts';
import { findCephRoot, missingCurrentCeph, versionIn } from '../support/ceph-root.ts';
import { SharedServer } from '../support/shared-server.ts';

const LACKS: readonly Requirement[] = ['streamUpload', 'attributes', 'folders', 'filePaths', 'exactAborts'];
const OPTIONS: SuiteOptions = { timeoutMs: 120_000, manyObjects: 210 };

const root = findCephRoot();
const skip = missingCurrentCeph();
if (skip || root === undefined) {
  describe('S3 (current Ceph) driver', { skip }, () => undefined);
} else {
  const cluster = new SharedServer('ceph-current', (directory) => startCeph({ directory, root }));
  after(() => cluster.stop());
  const name = `Ceph ${versionIn(root)}`;
  const open = async () => openS3Fixture(await cluster.get(), { region: 'auto', pageKeysMax: 100 });
  describeDriver(`S3 (${name}, region auto)`, open, { ...OPTIONS, lacks: LACKS });
  describeDriver(`Swift (${name})`, async () => openSwiftFixture((await cluster.get()).swift), {
    ...OPTIONS,
    lacks: SWIFT_LACKS,
  });
}
