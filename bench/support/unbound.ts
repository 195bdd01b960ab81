/**
 * Preloaded into a measured copy (`node --import`): the target is not asked what it checks, but taken to check only what costs
 * nothing here. So no checksum is computed for it and nothing is read back, and what the service's checksum costs is the
 * difference. Of the bench alone: blobferry itself has no such setting.
 */
import { registerHooks } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import {
  openDriverTelling as open,
  openDriver,
  tokenDeskOf,
  withFoundCredentials,
} from '../../src/cli/composition.ts';
import type { Binding } from '../../src/drivers/driver.ts';

const COMPOSITION = new URL('../../src/cli/composition.ts', import.meta.url).href;

const UNBOUND: Binding = {
  // Said of services that know no such hash: nobody sends one, and nobody reads back.
  payloadSha256: true,
  contentMd5: false,
  contentCrc64: false,
  crc32c: false,
  partCrc32: false,
  objectCrc32: false,
  storesSha256: false,
};

export const openDriverTelling: typeof open = (onNotice) => {
  const openIt = open(onNotice);
  return async (spec, role, tokens) => {
    const driver = await openIt(spec, role, tokens);
    if (role === 'target')
      Object.defineProperty(driver, 'binding', { value: { probe: async () => UNBOUND } });
    return driver;
  };
};

export { openDriver, tokenDeskOf, withFoundCredentials };

// Threads are told what the main thread has found.
if (isMainThread) {
  registerHooks({
    resolve: (specifier, context, next) => {
      const found = next(specifier, context);
      const isOurs = found.url !== COMPOSITION || context.parentURL === import.meta.url;
      return isOurs ? found : { ...found, url: import.meta.url };
    },
  });
}
