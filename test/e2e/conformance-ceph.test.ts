/**
 * The same cases over a real Ceph, as the embedded server might share a mistake with the driver: Debian 12's version 16,
 * as many sites run it, which knows no checksums.
 */
import { after, describe } from 'node:test';
import { openS3Fixture } from '../conformance/s3-service.ts';
import { describeDriver, type SuiteOptions } from '../conformance/suite.ts';
import { startCeph } from '../support/ceph.ts';
import { SharedServer } from '../support/shared-server.ts';
import { missingTools } from '../support/tools.ts';

const cluster = new SharedServer('ceph', (directory) => startCeph({ directory }));
after(() => cluster.stop());

const OPTIONS: SuiteOptions = {
  timeoutMs: 120_000,
  manyObjects: 1_050,
  lacks: [
    'streamUpload',
    'attributes',
    'folders',
    'filePaths',
    'exactAborts',
    'refusesWrongPartCrc32',
    'refusesWrongObjectCrc32',
  ],
};

const skip = missingTools('ceph');
if (skip) {
  describe('S3 (Ceph) driver', { skip }, () => undefined);
} else {
  describeDriver('S3 (Ceph)', async () => openS3Fixture(await cluster.get(), { pageKeysMax: 500 }), OPTIONS);
}
