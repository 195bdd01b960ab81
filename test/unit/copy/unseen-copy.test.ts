/** Copies inside one service that a run before left without having seen their proof. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CopyContext, CopyOutcome } from '../../../src/copy/context.ts';
import { copyObject } from '../../../src/copy/copy-object.ts';
import { OpenUploads } from '../../../src/copy/open-uploads.ts';
import { ServerSide } from '../../../src/copy/server-side.ts';
import type { ServerCopyFacet } from '../../../src/drivers/driver.ts';
import { bound } from '../../conformance/fault.ts';
import { fails } from '../../support/fault-driver.ts';
import { seededBytes } from '../../support/seeded.ts';
import { assertCopied, assertNotCopied, type CopyWorld, inWorld } from './copy-world.ts';
import { blobPath, sha256 } from './registry-names.ts';

const BYTES = seededBytes('unseen copy', 'blob', 64 * 1024);
const WRONG = Buffer.from(BYTES).fill(0, 70, 80);
const BLOB = blobPath(BYTES);
const marked = (): Partial<CopyContext> => ({ uploads: new OpenUploads([{ key: BLOB, id: 'mark' }]) });
const doubted = (): Partial<CopyContext> => ({ doubtsCopies: true });

async function goOn(
  world: CopyWorld,
  content: Uint8Array,
  given: Partial<CopyContext>,
): Promise<CopyOutcome> {
  world.put(BLOB, BYTES);
  world.putTarget(BLOB, content);
  return copyObject({ ...world.ctx, ...given }, await world.item(BLOB));
}

/** A target that says of any object that it keeps this sum. */
function keeping(world: CopyWorld, hex: string): Partial<CopyContext> {
  const { target } = world.ctx;
  const look: ServerCopyFacet['look'] = async (ctx, key) => ({
    ...(await target.stat(ctx, key)),
    hasSha256: true,
    sha256: hex,
  });
  const never = () => Promise.reject(new Error('nothing was to be copied'));
  const serverCopy = {
    copiesFrom: 'bucket' as const,
    copyBytesMax: 1,
    look,
    copy: never,
    begin: never,
    copyPart: never,
    complete: never,
  };
  return {
    target: bound(target, { serverCopy }),
    serverSide: new ServerSide({ reach: { bucket: 'source' }, computes: true }),
  };
}

describe('A copy inside one service that nobody has seen proved', () => {
  for (const [name, given] of [
    ['marked by an open upload', marked],
    ['doubted because of the run before', doubted],
  ] as const) {
    it(`is read where it is ${name}, and stays where it is right`, async () => {
      await inWorld({}, async (world) => {
        assert.equal((await goOn(world, BYTES, given())).state, 'skipped');
        assert.equal(world.counters.count('serverCopiesUnseen'), 0);
      });
    });

    it(`is removed where it is ${name} and wrong, also if what follows fails: its size would do for the next run`, async () => {
      await inWorld(
        { sourceFaults: [{ on: 'read', times: 'always', does: fails('denied') }] },
        async (world) => {
          assertNotCopied(await goOn(world, WRONG, given()), 'failed', /./);
          world.assertAbsent(BLOB);
        },
      );
    });

    it(`is looked at again by the next run where it is ${name} and could not be read`, async () => {
      await inWorld({ targetFaults: [{ on: 'read', does: fails('denied') }] }, async (world) => {
        assertNotCopied(await goOn(world, WRONG, given()), 'failed', /./);
        assert.equal(world.counters.count('serverCopiesUnseen'), 1);
      });
    });

    it(`is a conflict in a target that may be another’s where it is ${name} and wrong, and no less in the next run`, async () => {
      await inWorld({ ownsTarget: false }, async (world) => {
        assertNotCopied(await goOn(world, WRONG, given()), 'conflict', /other bytes/);
        assert.equal(world.counters.count('serverCopiesUnseen'), 1);
        assert.ok(world.inTarget(BLOB)?.equals(WRONG));
      });
    });
  }

  it('is proved by the sum that the service keeps, unless a mark says that it was to be read back', async () => {
    await inWorld({}, async (world) => {
      const kept = keeping(world, sha256(BYTES));
      assert.equal((await goOn(world, BYTES, { ...kept, ...doubted() })).state, 'skipped');
      assert.equal(world.targetDriver.callsOf('read').length, 0);
      // Its source may have had a sum, which the service may have copied along with other bytes.
      const streamed = new ServerSide({ reach: { bucket: 'source' }, computes: true });
      const outcome = await goOn(world, WRONG, { ...kept, ...marked(), serverSide: streamed });
      assertCopied(outcome, 'digest');
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
    });
  });
});
