import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileCalls } from '../../src/drivers/fs/fs-calls.ts';
import { openFsDriver } from '../../src/drivers/fs/fs-driver.ts';
import type { Distance } from '../../src/drivers/fs/fs-pace.ts';
import { FS_LACKS } from './fs-lacks.ts';
import { describePlantedFaults } from './planted.ts';
import { type DriverFixture, describeDriver, type SuiteOptions } from './suite.ts';

const listLimits = { pageObjectsMax: 100, callsMax: 32 };

const OPTIONS: SuiteOptions = { manyObjects: 310, lacks: FS_LACKS };

async function openFolder(distance: Distance): Promise<DriverFixture> {
  const rootDirectory = await mkdtemp(join(tmpdir(), 'blobferry-fs-'));
  const open = () =>
    openFsDriver(
      { kind: 'fs', rootDirectory },
      { role: 'target', listLimits, calls: new FileCalls(distance) },
    );
  return {
    driver: await open(),
    reopen: open,
    assertClean: async () => {
      assert.deepEqual(await readdir(rootDirectory), [], 'no folder and no temporary file is left');
    },
    cleanup: () => rm(rootDirectory, { recursive: true }),
  };
}

/** `local` makes its calls directly, `remote` sends every one through the thread pool and looks ahead. */
for (const distance of ['local', 'remote'] as const satisfies readonly Distance[])
  describeDriver(`file system (${distance})`, () => openFolder(distance), OPTIONS);

describePlantedFaults('file system', () => openFolder('local'), OPTIONS);
