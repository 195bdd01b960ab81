/** The cases over Azurite, as an account with a flat namespace and as one with a hierarchical namespace. */
import { randomUUID } from 'node:crypto';
import { after, describe } from 'node:test';
import { openAzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { azuriteSpec, missingAzurite, startAzurite } from '../support/azurite.ts';
import { type AzureAccess, startHnsAccount } from '../support/hns-account.ts';
import { SharedServer } from '../support/shared-server.ts';
import type { Requirement } from './case.ts';
import { describePlantedFaults } from './planted.ts';
import { type DriverFixture, describeDriver, type SuiteOptions } from './suite.ts';

const azurite = new SharedServer('azurite', (directory) => startAzurite({ directory }));
const hierarchical = new SharedServer('hns', async () => startHnsAccount(await azurite.get()));
after(async () => {
  await hierarchical.stop();
  await azurite.stop();
});

const LACKS: readonly Requirement[] = [
  'streamUpload',
  'serverCopy',
  'attributes',
  'exactAborts',
  'refusesWrongSha256',
  'refusesWrongPartCrc32',
  'refusesWrongObjectCrc32',
];

const OPTIONS: SuiteOptions = {
  timeoutMs: 120_000,
  manyObjects: 250,
  refusedKeys: ['odd/a\\b', 'odd/...', 'odd/end.'],
  lacks: [...LACKS, 'folders', 'filePaths'],
};

/** Lists from folder to folder, which the driver is told by the account and must not take for the order of bytes. */
const HIERARCHICAL: SuiteOptions = { ...OPTIONS, lacks: [...LACKS, 'byteOrder', 'noFolders', 'filePaths'] };

/** @param account how the driver sees Azurite. */
async function openOver(account: AzureAccess): Promise<DriverFixture> {
  const container = await new AzureContainer(await azurite.get(), `conformance-${randomUUID()}`).create();
  const storage = azuriteSpec(account, container.name);
  const open = () => openAzureDriver({ storage, engine: 'direct' }, { pageNamesMax: 100 });
  return {
    driver: await open(),
    reopen: open,
    assertClean: async () => container.assertEmpty(),
    cleanup: () => container.delete(),
  };
}

async function openFlat(): Promise<DriverFixture> {
  return openOver(await azurite.get());
}

async function openHierarchical(): Promise<DriverFixture> {
  return openOver(await hierarchical.get());
}

const skip = missingAzurite();
if (skip) {
  describe('Azure driver', { skip }, () => undefined);
} else {
  describeDriver('Azure', openFlat, OPTIONS);
  describeDriver('Azure (hierarchical namespace)', openHierarchical, HIERARCHICAL);
  describePlantedFaults('Azure', openFlat, OPTIONS);
}
