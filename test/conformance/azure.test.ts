/** The cases over Azurite. */
import { randomUUID } from 'node:crypto';
import { after, describe } from 'node:test';
import { openAzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { type Azurite, azuriteSpec, missingAzurite, startAzurite } from '../support/azurite.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
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

const skip = missingAzurite();
if (skip) {
  describe('Azure driver', { skip }, () => undefined);
} else {
  describeDriver(
    'Azure',
    async () => {
      starting ??= start();
      const { azurite } = await starting;
      const container = await new AzureContainer(azurite, `conformance-${randomUUID()}`).create();
      const storage = azuriteSpec(azurite, container.name);
      const open = () => openAzureDriver({ storage, engine: 'direct' }, { pageNamesMax: 100 });
      return {
        driver: await open(),
        reopen: open,
        assertClean: async () => container.assertEmpty(),
        cleanup: () => container.delete(),
      };
    },
    {
      timeoutMs: 120_000,
      manyObjects: 250,
      refusedKeys: ['odd/a\\b', 'odd/...', 'odd/end.'],
      lacks: [
        'streamUpload',
        'serverCopy',
        'attributes',
        'folders',
        'exactAborts',
        'refusesWrongSha256',
        'refusesWrongPartCrc32',
        'refusesWrongObjectCrc32',
      ],
    },
  );
}
