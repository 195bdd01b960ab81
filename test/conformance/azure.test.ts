/** The cases over Azurite, as an account with a flat namespace and as one with a hierarchical namespace. */
import { randomUUID } from 'node:crypto';
import { after, describe } from 'node:test';
import { openAzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { openAzureSdkDriver } from '../../src/drivers/azure/azure-sdk-driver.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import type { AzureSpec } from '../../src/drivers/spec.ts';
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

const NEVER: readonly Requirement[] = [
  'attributes',
  'exactAborts',
  'refusesWrongSha256',
  'refusesWrongPartCrc32',
  'refusesWrongObjectCrc32',
];

interface Engine {
  readonly manyObjects: number;
  readonly lacks: readonly Requirement[];
  open(storage: AzureSpec): Promise<StorageDriver>;
}

const DIRECT: Engine = {
  manyObjects: 250,
  lacks: [...NEVER, 'streamUpload'],
  open: (storage) => openAzureDriver({ storage, engine: 'direct' }, { pageNamesMax: 100 }),
};

const SDK: Engine = {
  manyObjects: 110,
  lacks: [...NEVER, 'multipart', 'binding', 'serverCopy'],
  open: (storage) => openAzureSdkDriver({ storage, engine: 'sdk' }, { pageNamesMax: 50 }),
};

function optionsFor({ manyObjects, lacks }: Engine, more: readonly Requirement[]): SuiteOptions {
  return {
    timeoutMs: 120_000,
    manyObjects,
    refusedKeys: ['odd/a\\b', 'odd/...', 'odd/end.'],
    lacks: [...lacks, ...more],
  };
}

const FLAT: readonly Requirement[] = ['folders', 'filePaths'];
/** Lists from folder to folder, which the driver is told by the account and must not take for the order of bytes. */
const HIERARCHICAL: readonly Requirement[] = ['byteOrder', 'noFolders', 'filePaths'];

/** @param account how the driver sees Azurite. */
async function openOver(account: AzureAccess, engine: Engine): Promise<DriverFixture> {
  const container = await new AzureContainer(await azurite.get(), `conformance-${randomUUID()}`).create();
  const storage = azuriteSpec(account, container.name);
  return {
    driver: await engine.open(storage),
    reopen: () => engine.open(storage),
    assertClean: async () => container.assertEmpty(),
    cleanup: () => container.delete(),
  };
}

async function openFlat(): Promise<DriverFixture> {
  return openOver(await azurite.get(), DIRECT);
}

const skip = missingAzurite();
if (skip) {
  describe('Azure driver', { skip }, () => undefined);
} else {
  describeDriver('Azure', openFlat, optionsFor(DIRECT, FLAT));
  describeDriver('Azure by the SDK', async () => openOver(await azurite.get(), SDK), optionsFor(SDK, FLAT));
  describeDriver(
    'Azure (hierarchical namespace)',
    async () => openOver(await hierarchical.get(), DIRECT),
    optionsFor(DIRECT, HIERARCHICAL),
  );
  describePlantedFaults('Azure', openFlat, optionsFor(DIRECT, FLAT));
}
