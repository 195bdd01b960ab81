/** The cases over a Swift service that runs: a container for each of them. */
import { randomUUID } from 'node:crypto';
import type { SwiftSpec } from '../../src/drivers/spec.ts';
import { openSwiftDriver } from '../../src/drivers/swift/swift-driver.ts';
import type { SwiftUser } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import type { Requirement } from './case.ts';
import type { DriverFixture } from './suite.ts';

export const SWIFT_LACKS: readonly Requirement[] = [
  'streamUpload',
  'serverCopy',
  'attributes',
  'folders',
  'filePaths',
  'exactAborts',
  'refusesWrongSha256',
  'refusesWrongPartCrc32',
  'refusesWrongObjectCrc32',
];

export async function openSwiftFixture(access: SwiftUser): Promise<DriverFixture> {
  const container = await new SwiftContainer(access, `conformance-${randomUUID()}`).create();
  const storage: SwiftSpec = {
    kind: 'swift',
    container: container.name,
    prefix: '',
    access: {
      authUrl: access.authUrl,
      authVersion: 1,
      user: access.user,
      password: access.password,
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
}
