/** The cases over a real OpenStack Swift. */
import { randomUUID } from 'node:crypto';
import { after, describe } from 'node:test';
import type { SwiftSpec } from '../../src/drivers/spec.ts';
import { openSwiftDriver } from '../../src/drivers/swift/swift-driver.ts';
import { type Swift, startSwift } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { describeDriver } from './suite.ts';

interface Running {
  readonly swift: Swift;
  readonly folder: TempFolder;
}

let starting: Promise<Running> | undefined;

async function start(): Promise<Running> {
  const folder = await makeTempFolder('swift');
  try {
    return { swift: await startSwift({ directory: folder.path }), folder };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

after(async () => {
  if (starting === undefined) return;
  const { swift, folder } = await starting;
  await swift.stop();
  await folder.remove();
});

const skip = missingTools('swift');
if (skip) {
  describe('Swift driver', { skip }, () => undefined);
} else {
  describeDriver(
    'Swift',
    async () => {
      starting ??= start();
      const { swift } = await starting;
      const container = await new SwiftContainer(swift, `conformance-${randomUUID()}`).create();
      const storage: SwiftSpec = {
        kind: 'swift',
        container: container.name,
        prefix: '',
        access: {
          authUrl: swift.authUrl,
          authVersion: 1,
          user: swift.user,
          password: swift.password,
          endpointType: 'public',
        },
        skipsTlsVerify: false,
      };
      // A real cluster writes a hundred objects a second: smaller pages make as many of them.
      const open = async () => openSwiftDriver({ storage, engine: 'direct' }, { pageNamesMax: 100 });
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
