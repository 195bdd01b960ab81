/** The file system's cases over a mount whose every call takes a while, as over a network. */
import assert from 'node:assert/strict';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe } from 'node:test';
import { openFsDriver } from '../../src/drivers/fs/fs-driver.ts';
import { FS_LACKS } from '../conformance/fs-lacks.ts';
import { type DriverFixture, describeDriver } from '../conformance/suite.ts';
import { FUSE_OPERATIONS, missingFuse, mountFuse } from '../support/fuse.ts';
import { SharedServer } from '../support/shared-server.ts';

const DELAY_MS = 1;

const mount = new SharedServer('slow-fs', async (directory) => {
  const slow = await mountFuse(directory);
  await slow.misbehave([{ op: FUSE_OPERATIONS, delayMs: DELAY_MS }]);
  return slow;
});
after(() => mount.stop());

let count = 0;

async function openOnMount(): Promise<DriverFixture> {
  count += 1;
  const rootDirectory = join((await mount.get()).path, `root-${count}`);
  await mkdir(rootDirectory);
  const listLimits = { pageObjectsMax: 30, callsMax: 32 };
  // Nothing is said of how far away it is: that is found out, as in a copy.
  const open = () => openFsDriver({ kind: 'fs', rootDirectory }, { role: 'target', listLimits });
  return {
    driver: await open(),
    reopen: open,
    assertClean: async () => assert.deepEqual(await readdir(rootDirectory), [], 'nothing is left'),
    cleanup: () => rm(rootDirectory, { recursive: true }),
  };
}

const skip = missingFuse();
if (skip) {
  describe('file system (slow mount) driver', { skip }, () => undefined);
} else {
  describeDriver('file system (slow mount)', openOnMount, {
    manyObjects: 70,
    // Under FUSE a name that is renamed over is missing for a moment.
    lacks: [...FS_LACKS, 'settledRaces'],
    timeoutMs: 120_000,
  });
}
