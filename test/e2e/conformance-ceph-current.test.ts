/**
 * The cases over a current Ceph, which checks and stores checksums, knows trailers and conditions: as S3, with requests
 * signed for the region "auto" as those with HMAC keys of Cloud Storage are, and as another Swift than OpenStack's.
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
  for (const region of ['us-east-1', 'auto'])
    describeDriver(
      `S3 (${name}, region ${region})`,
      async () => openS3Fixture(await cluster.get(), { region, pageKeysMax: 100 }),
      {
        ...OPTIONS,
        lacks: LACKS,
      },
    );
  describeDriver(`Swift (${name})`, async () => openSwiftFixture((await cluster.get()).swift), {
    ...OPTIONS,
    lacks: SWIFT_LACKS,
  });
}
