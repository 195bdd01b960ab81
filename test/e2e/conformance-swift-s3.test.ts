/**
 * The cases over OpenStack Swift's own S3 layer: strict about signatures and hashes, without checksums, aws-chunked bodies
 * and conditions on PUT.
 */
import { after, describe } from 'node:test';
import { openS3Fixture } from '../conformance/s3-service.ts';
import { describeDriver, type SuiteOptions } from '../conformance/suite.ts';
import { SharedServer } from '../support/shared-server.ts';
import { startSwift } from '../support/swift.ts';
import { missingTools } from '../support/tools.ts';

const swift = new SharedServer('swift', (directory) => startSwift({ directory }));
after(() => swift.stop());

const OPTIONS: SuiteOptions = {
  timeoutMs: 120_000,
  manyObjects: 110,
  lacks: [
    'streamUpload',
    'attributes',
    'folders',
    'filePaths',
    'exactAborts',
    // Whoever comes second with an older time is answered without an ETag: sent again, it is written.
    'settledRaces',
    'refusesWrongPartCrc32',
    'refusesWrongObjectCrc32',
  ],
};

const skip = missingTools('swift');
if (skip) {
  describe("S3 (Swift's s3api) driver", { skip }, () => undefined);
} else {
  describeDriver(
    "S3 (Swift's s3api)",
    async () => {
      const { endpoint, user, password } = await swift.get();
      return openS3Fixture({ endpoint, accessKeyId: user, secretAccessKey: password }, { pageKeysMax: 50 });
    },
    OPTIONS,
  );
}
