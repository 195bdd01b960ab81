/** The cases over Azurite. */
import { randomUUID } from 'node:crypto';
import { after, describe } from 'node:test';
import { openAzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { openAzureSdkDriver } from '../../src/drivers/azure/azure-sdk-driver.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import type { AzureSpec } from '../../src/drivers/spec.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { type Azurite, azuriteSpec, missingAzurite, startAzurite } from '../support/azurite.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import type { Requirement } from './case.ts';
import { describeDriver } from './suite.ts';

interface Running {
  readonly azurite: Azurite;
  readonly folder: TempFolder;
}

let starting: Promise<Running> | undefined;

async function start(): Promise<Running> {
  const folder = await makeTempFolder('azurite');
  try {
    return { azurite: await startAzurite({ directory: folder.path }), folder };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

after(async () => {
  if (starting === undefined) return;
  const { azurite, folder } = await starting;
  await azurite.stop();
  await folder.remove();
});

const NEVER: readonly Requirement[] = [
  'attributes',
  'folders',
  'exactAborts',
  'refusesWrongSha256',
  'refusesWrongPartCrc32',
  'refusesWrongObjectCrc32',
];

interface Engine {
  readonly name: string;
  readonly manyObjects: number;
  readonly lacks: readonly Requirement[];
  open(storage: AzureSpec): Promise<StorageDriver>;
}

const ENGINES: readonly Engine[] = [
  {
    name: 'Azure',
    manyObjects: 250,
    lacks: [...NEVER, 'streamUpload'],
    open: (storage) => openAzureDriver({ storage, engine: 'direct' }, { pageNamesMax: 100 }),
  },
  {
    name: 'Azure by the SDK',
    manyObjects: 110,
    lacks: [...NEVER, 'multipart', 'binding', 'serverCopy'],
    open: (storage) => openAzureSdkDriver({ storage, engine: 'sdk' }, { pageNamesMax: 50 }),
  },
];

const skip = missingAzurite();
for (const { name, manyObjects, lacks, open } of ENGINES) {
  if (skip) {
    describe(`${name} driver`, { skip }, () => undefined);
    continue;
  }
  describeDriver(
    name,
    async () => {
      starting ??= start();
      const { azurite } = await starting;
      const container = await new AzureContainer(azurite, `conformance-${randomUUID()}`).create();
      const storage = azuriteSpec(azurite, container.name);
      return {
        driver: await open(storage),
        reopen: () => open(storage),
        assertClean: async () => container.assertEmpty(),
        cleanup: () => container.delete(),
      };
    },
    { timeoutMs: 120_000, manyObjects, refusedKeys: ['odd/a\\b', 'odd/...', 'odd/end.'], lacks },
  );
}
