/**
 * The cases over a strict fake of Cloud Storage: no server to be had checks tokens, checksums and preconditions, or has
 * the XML API's multipart uploads.
 */
import assert from 'node:assert/strict';
import { openGcsDriver } from '../../src/drivers/gcs/gcs-driver.ts';
import type { GcsSpec } from '../../src/drivers/spec.ts';
import { startGcsFake } from '../support/gcs-fake.ts';
import type { Requirement } from './case.ts';
import { describePlantedFaults } from './planted.ts';
import { type DriverFixture, describeDriver, type SuiteOptions } from './suite.ts';

const LACKS: readonly Requirement[] = [
  'streamUpload',
  'serverCopy',
  'attributes',
  'folders',
  'filePaths',
  'exactAborts',
  // Cloud Storage knows neither: it compares CRC-32C and MD5.
  'refusesWrongSha256',
  'refusesWrongPartCrc32',
  'refusesWrongObjectCrc32',
];

const OPTIONS: SuiteOptions = { manyObjects: 310, lacks: LACKS };

async function openFake(checks: boolean): Promise<DriverFixture> {
  const fake = await startGcsFake({ checks, pageMax: 100 });
  const storage: GcsSpec = {
    kind: 'gcs',
    bucket: 'bucket',
    rootDirectory: '',
    endpoint: fake.endpoint,
    access: { kind: 'default' },
    skipsTlsVerify: false,
  };
  const options = { tokens: async () => ({ token: 'token' }) };
  const unbound = openGcsDriver({ storage, engine: 'direct' }, options);
  // As a copy does it: the target is probed once, and every driver is told the result.
  const binding = await unbound.binding.probe({ signal: new AbortController().signal }, 'probe/');
  await unbound.close();
  assert.deepEqual([binding.crc32c, binding.contentMd5], [checks, checks]);
  const open = async () => openGcsDriver({ storage, engine: 'direct', binding }, options);
  return {
    driver: await open(),
    binding,
    reopen: open,
    assertClean: async () => {
      assert.deepEqual([[...fake.bucket.objects.keys()], fake.uploads.count], [[], 0], 'nothing is left');
    },
    cleanup: () => fake.close(),
  };
}

describeDriver('Cloud Storage', () => openFake(true), OPTIONS);
describeDriver('Cloud Storage (checks nothing)', () => openFake(false), OPTIONS);
describePlantedFaults('Cloud Storage', () => openFake(true), OPTIONS);
