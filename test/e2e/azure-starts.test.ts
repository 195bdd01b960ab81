/** Listings of Azurite that begin at a key, by either engine, and of a service that does not know how to. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it, type TestContext } from 'node:test';
import { openAzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { openAzureSdkDriver } from '../../src/drivers/azure/azure-sdk-driver.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import type { AzureSpec } from '../../src/drivers/spec.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { ACCOUNT, type Azurite, azuriteSpec, missingAzurite, startAzurite } from '../support/azurite.ts';
import { Front } from '../support/front.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';

const CTX = { signal: new AbortController().signal };
/** With a character that would end a query's field, were it not encoded. */
const KEYS = Array.from({ length: 30 }, (_, index) => `k&/${String(index).padStart(2, '0')}`);
const QUERY = { prefix: 'k&/', after: KEYS[25] ?? '' };
const BEHIND = KEYS.slice(26);
const PAGE = { pageNamesMax: 3 };

const ENGINES: Readonly<Record<string, (storage: AzureSpec) => Promise<StorageDriver>>> = {
  direct: (storage) => openAzureDriver({ storage, engine: 'direct' }, PAGE),
  sdk: (storage) => openAzureSdkDriver({ storage, engine: 'sdk' }, PAGE),
};

describe('A listing behind a key over Azurite', { skip: missingAzurite() }, () => {
  let folder: TempFolder;
  let azurite: Azurite;

  before(async () => {
    folder = await makeTempFolder('azurite');
    azurite = await startAzurite({ directory: folder.path });
  });

  after(async () => {
    await azurite?.stop();
    await folder?.remove();
  });

  async function open(t: TestContext, engine: (storage: AzureSpec) => Promise<StorageDriver>) {
    const front = await Front.start(new URL(azurite.endpoint).origin);
    t.after(() => front.close());
    const container = await new AzureContainer(azurite, `starts-${randomUUID()}`).create();
    const driver = await engine(azuriteSpec({ endpoint: `${front.origin}/${ACCOUNT}` }, container.name));
    t.after(() => driver.close());
    for (const key of KEYS) await driver.write(CTX, key, bodyOfBytes(Buffer.from(key)), {});
    front.seen.length = 0;
    const starts = () => front.seen.map(({ url }) => url.searchParams.get('startFrom'));
    return { front, driver, starts };
  }

  for (const [name, engine] of Object.entries(ENGINES)) {
    it(`begins there, engine ${name}: two pages are two requests`, async (t) => {
      const { front, driver, starts } = await open(t, engine);
      assert.deepEqual(await keysOf(driver), BEHIND);
      assert.ok(starts().includes(QUERY.after), 'it was seen to begin at a key');
      front.seen.length = 0;
      assert.deepEqual(await keysOf(driver), BEHIND);
      assert.deepEqual(starts(), [QUERY.after, QUERY.after]);
    });

    it(`is as whole where the service refuses to, engine ${name}, and is asked once`, async (t) => {
      const { front, driver, starts } = await open(t, engine);
      front.rules = {
        before: ({ url }) =>
          url.searchParams.has('startFrom')
            ? {
                status: 400,
                headers: { 'x-ms-error-code': 'InvalidHeaderValue', 'x-ms-request-id': randomUUID() },
              }
            : undefined,
      };
      for (let count = 0; count < 2; count += 1) assert.deepEqual(await keysOf(driver), BEHIND);
      assert.equal(starts().filter((start) => start !== null).length, 1);
    });
  }
});

async function keysOf(driver: StorageDriver): Promise<string[]> {
  const keys: string[] = [];
  for await (const { objects } of driver.list(CTX, QUERY)) keys.push(...objects.map(({ key }) => key));
  return keys;
}
