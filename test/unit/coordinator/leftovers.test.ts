import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { probePrefix, removeLeftovers, removeTemporaries } from '../../../src/coordinator/leftovers.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { openFsDriver } from '../../../src/drivers/fs/fs-driver.ts';
import { openMemoryDriver } from '../../../src/drivers/memory/memory-driver.ts';
import { forgetStore, storeNamed } from '../../../src/drivers/memory/memory-store.ts';
import type { OpenDriver, StorageSpec } from '../../../src/drivers/spec.ts';
import { FaultDriver, fails } from '../../support/fault-driver.ts';
import { tempFolderFor } from '../../support/temp.ts';

const ctx = { signal: new AbortController().signal };
const DEAD = 'dddddddddddd';
const LIVING = 'aaaaaaaaaaaa';

const openDriver: OpenDriver = ({ storage, runId, runsEnded }, role) => {
  assert.ok(storage.kind === 'fs');
  return openFsDriver(storage, { role, runId, runsEnded });
};

async function rootFor(
  test: TestContext,
): Promise<{ storage: StorageSpec; names: () => Promise<readonly string[]> }> {
  const root = await tempFolderFor(test, 'leftovers');
  const folder = join(root, '.blobferry-tmp');
  await mkdir(folder);
  return {
    storage: { kind: 'fs', rootDirectory: root },
    names: async () => (await readdir(folder)).sort(),
  };
}

/** A body on its way, as a run of that name leaves one behind that is killed. */
async function leaveWrite(storage: StorageSpec, run: string): Promise<string> {
  assert.ok(storage.kind === 'fs');
  const name = `blobferry-write-${run}${'0'.repeat(20)}`;
  await writeFile(join(storage.rootDirectory, '.blobferry-tmp', name), 'half');
  return name;
}

describe('removeTemporaries()', () => {
  it('removes what runs that are over were writing, and nobody else’s', async (t) => {
    const { storage, names } = await rootFor(t);
    await leaveWrite(storage, DEAD);
    const kept = await leaveWrite(storage, LIVING);
    await removeTemporaries({ storage, openDriver }, [DEAD]);
    assert.deepEqual(await names(), [kept]);
  });

  it('knows the files of a run by the names that its drivers give them', async (t) => {
    const { storage, names } = await rootFor(t);
    const driver = await openDriver({ storage, engine: 'direct', runId: DEAD }, 'target');
    let during: readonly string[] = [];
    const body = {
      sizeBytes: 4,
      open: async function* () {
        during = await names();
        yield Buffer.from('body');
      },
    };
    await driver.write(ctx, 'key', body, {});
    assert.match(during.join(), new RegExp(`^blobferry-write-${DEAD}[0-9a-f]{20}$`));
    const upload = await driver.multipart?.begin(ctx, 'large');
    assert.match(upload?.id ?? '', new RegExp(`^blobferry-upload-${DEAD}[0-9a-f]{20}$`));
  });

  it('keeps open uploads, which may be continued, and removes halves of them', async (t) => {
    const { storage, names } = await rootFor(t);
    assert.ok(storage.kind === 'fs');
    const driver = await openDriver({ storage, engine: 'direct', runId: DEAD }, 'target');
    const upload = await driver.multipart?.begin(ctx, 'large');
    const folder = join(storage.rootDirectory, '.blobferry-tmp');
    await writeFile(join(folder, `blobferry-upload-${DEAD}${'1'.repeat(20)}`), 'no key');
    await writeFile(join(folder, `blobferry-upload-${DEAD}${'2'.repeat(20)}.key`), 'no data');
    await removeTemporaries({ storage, openDriver }, [DEAD]);
    assert.deepEqual(await names(), [upload?.id, `${upload?.id}.key`]);
  });
});

describe('removeLeftovers()', () => {
  function memory(test: TestContext, faults: ConstructorParameters<typeof FaultDriver>[1] = []): FaultDriver {
    const name = `leftovers ${test.name}`;
    test.after(() => forgetStore(name));
    for (const key of [`root/.blobferry-probe/${DEAD}-1`, `root/.blobferry-probe/${LIVING}-2`, 'root/x'])
      storeNamed(name).put(key, Buffer.from('x'), undefined);
    return new FaultDriver(openMemoryDriver({ kind: 'memory', name }), faults);
  }
  const where = (target: StorageDriver) => {
    const storage: StorageSpec = { kind: 'memory', name: 'any' };
    return { target, storage, keyPrefix: 'root/', openDriver };
  };

  it('removes the probes of dead runs, and no other’s', async (t) => {
    const target = memory(t);
    assert.equal(probePrefix('root/', DEAD), `root/.blobferry-probe/${DEAD}-`);
    assert.equal(await removeLeftovers(ctx, where(target), [DEAD]), undefined);
    assert.deepEqual(storeNamed(`leftovers ${t.name}`).keys(), [
      `root/.blobferry-probe/${LIVING}-2`,
      'root/x',
    ]);
  });

  it('asks the target nothing where no run died', async (t) => {
    const target = memory(t);
    assert.equal(await removeLeftovers(ctx, where(target), []), undefined);
    assert.deepEqual(target.callsOf('list'), []);
  });

  it('says why something may still be there, and does not end the run for it', async (t) => {
    const target = memory(t, [{ on: 'remove', does: fails('denied') }]);
    assert.match((await removeLeftovers(ctx, where(target), [DEAD]))?.message ?? '', /scripted denied/);
  });
});
