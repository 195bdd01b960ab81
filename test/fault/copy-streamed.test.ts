import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Body } from '../../src/drivers/driver.ts';
import {
  afterwards,
  type Effect,
  type Fault,
  fails,
  failsAfterwards,
  first,
  flipsBodyByte,
  flipsByte,
  hangs,
} from '../support/fault-driver.ts';
import { seededBytes } from '../support/seeded.ts';
import {
  assertCopied,
  assertNotCopied,
  type CopyWorld,
  inWorld,
  PART_BYTES,
  type WorldOptions,
} from '../unit/copy/copy-world.ts';
import { blobPath, otherPath } from '../unit/copy/registry-names.ts';

const BYTES = seededBytes('fault', 'streamed', 5 * PART_BYTES + 7);
const BLOB = blobPath(BYTES);
const NOTES = otherPath('notes');
const PIECES = 6;
const STREAMS: WorldOptions = { target: { hasStreamUpload: true } };
const SILENT: WorldOptions = { ...STREAMS, source: { hides: ['md5', 'checksums'] } };

/** An upload that sends its body once in vain, as one that retries by itself. */
function opensTwice(): Effect {
  return {
    onBody: (body: Body): Body => ({
      sizeBytes: body.sizeBytes,
      async *open() {
        let bytes = 0;
        for await (const piece of body.open()) bytes += piece.length;
        assert.equal(bytes, body.sizeBytes);
        yield* body.open();
      },
    }),
  };
}

describe('copyObject() through one streaming upload', () => {
  it('puts every byte where it belongs and proves it on the way', async () => {
    for (const sizeBytes of [PART_BYTES + 1, 2 * PART_BYTES, 9 * PART_BYTES - 1]) {
      const content = seededBytes('streamed', 'size', sizeBytes);
      await inWorld(SILENT, async (world) => {
        assertCopied(await world.copy(world.put(blobPath(content), content)), 'digest');
        assert.ok(world.inTarget(blobPath(content))?.equals(content));
        assert.equal(world.targetDriver.callsOf('upload').length, 1);
        assertCopied(await world.copy(world.put(NOTES, content)), 'none');
      });
      await inWorld(STREAMS, async (world) => {
        assertCopied(await world.copy(world.put(NOTES, content)), 'stored');
      });
    }
  });

  it('is the right body each time it is opened', async () => {
    const targetFaults: readonly Fault[] = [{ on: 'upload', does: opensTwice() }];
    await inWorld({ ...STREAMS, targetFaults }, async (world) => {
      assertCopied(await world.copy(world.put(BLOB, BYTES)), 'digest');
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
    });
  });

  it('copies side by side with room for one slab', async () => {
    const contents = Array.from({ length: 6 }, (_, at) => seededBytes('streamed', `${at}`, 4 * PART_BYTES));
    await inWorld({ ...STREAMS, slabBudgetBytes: PART_BYTES, readsTwice: true }, async (world) => {
      const paths = contents.map((content, at) => world.put(otherPath(`notes ${at}`), content));
      for (const outcome of await Promise.all(paths.map((path) => world.copy(path)))) {
        assertCopied(outcome, 'stored');
      }
      for (const [at, path] of paths.entries()) {
        assert.ok(world.inTarget(path)?.equals(contents[at] ?? Buffer.alloc(0)));
      }
    });
  });

  it('never lets wrong bytes become visible: damaged, or unsettled in a live pass', async () => {
    for (const [isFrozen, state] of [
      [true, 'damaged'],
      [false, 'unsettled'],
    ] as const) {
      await inWorld({ ...STREAMS, isFrozen }, async (world) => {
        const wrong = Buffer.from(BYTES);
        wrong[0] = (wrong[0] ?? 0) ^ 1;
        assertNotCopied(await world.copy(world.put(BLOB, wrong)), state, /its path says/);
        world.assertAbsent(BLOB);
        assert.ok(world.sourceDriver.callsOf('read').some((call) => call.isFresh));
        assert.deepEqual(world.targetDriver.callsOf('remove'), [], 'wrong bytes were visible for a while');
      });
    }
  });

  it('begins again when the connection corrupted a piece, and fails when it always does', async () => {
    await inWorld(
      { ...STREAMS, sourceFaults: [{ on: 'read', nth: 3, does: flipsByte(9) }] },
      async (world) => {
        assertCopied(await world.copy(world.put(BLOB, BYTES)), 'digest');
        assert.ok(world.inTarget(BLOB)?.equals(BYTES));
      },
    );
    const sourceFaults: readonly Fault[] = Array.from({ length: 8 }, (_, at) => ({
      on: 'read' as const,
      nth: at * PIECES + 3,
      does: flipsByte(9, at + 1),
    }));
    await inWorld({ ...STREAMS, isFrozen: true, sourceFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /different bytes/);
      world.assertAbsent(BLOB);
    });
  });

  it('lets nothing become visible that a second read, where it is all there is, does not confirm', async () => {
    await inWorld({ ...SILENT, readsTwice: true }, async (world) => {
      assertCopied(await world.copy(world.put(NOTES, BYTES)), 'twice');
      assert.ok(world.inTarget(NOTES)?.equals(BYTES));
    });
    for (const corrupt of [3, PIECES + 3]) {
      const sourceFaults: readonly Fault[] = [{ on: 'read', nth: corrupt, does: flipsByte(9) }];
      await inWorld({ ...SILENT, readsTwice: true, sourceFaults }, async (world) => {
        assertCopied(await world.copy(world.put(NOTES, BYTES)), 'twice');
        assert.ok(world.inTarget(NOTES)?.equals(BYTES));
      });
    }
    const sourceFaults: readonly Fault[] = [
      { on: 'read', times: 'always', does: flipsEveryTimeDifferently() },
    ];
    await inWorld({ ...SILENT, readsTwice: true, sourceFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(NOTES, BYTES)), 'failed', /different bytes/);
      world.assertAbsent(NOTES);
      assert.deepEqual(world.targetDriver.callsOf('remove'), [], 'wrong bytes were visible for a while');
    });
  });

  it('leaves nothing when the second read it needs cannot be made', async () => {
    const sourceFaults: readonly Fault[] = [{ on: 'read', nth: PIECES + 2, does: fails('denied') }];
    await inWorld({ ...SILENT, readsTwice: true, sourceFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(NOTES, BYTES)), 'failed', /scripted denied/);
      world.assertAbsent(NOTES);
    });
  });

  it('is unproved, after a second look, where an opaque MD5 differs', async () => {
    const source = { hides: ['checksums'], md5Is: 'a'.repeat(32), facts: { md5MayBeOpaque: true } } as const;
    await inWorld({ ...STREAMS, source }, async (world) => {
      assertCopied(await world.copy(world.put(NOTES, BYTES)), 'none');
      assert.ok(world.sourceDriver.callsOf('read').some((call) => call.isFresh));
    });
    const sourceFaults: readonly Fault[] = [{ on: 'read', nth: 3, does: flipsByte(9) }];
    await inWorld({ ...STREAMS, source, sourceFaults }, async (world) => {
      assertCopied(await world.copy(world.put(NOTES, BYTES)), 'none');
      assert.ok(world.inTarget(NOTES)?.equals(BYTES));
    });
  });

  it('begins again with what the object has become', async () => {
    const now = seededBytes('streamed', 'now', 4 * PART_BYTES);
    for (const nth of [1, 2, PIECES]) {
      let changing = undefined as unknown as CopyWorld;
      const change = first(() => changing.put(NOTES, now));
      await inWorld({ ...STREAMS, sourceFaults: [{ on: 'read', nth, does: change }] }, async (world) => {
        changing = world;
        assertCopied(await world.copy(world.put(NOTES, BYTES)), 'stored');
        assert.ok(world.inTarget(NOTES)?.equals(now));
      });
    }
  });

  it('never mixes two versions of the same size, though nothing else could tell', async () => {
    const now = seededBytes('streamed', 'same size', BYTES.length);
    let changing = undefined as unknown as CopyWorld;
    const change = first(() => changing.put(NOTES, now));
    await inWorld({ ...SILENT, sourceFaults: [{ on: 'read', nth: 3, does: change }] }, async (world) => {
      changing = world;
      assertCopied(await world.copy(world.put(NOTES, BYTES)), 'none');
      assert.ok(world.inTarget(NOTES)?.equals(now));
    });
  });

  it('tells what happened to the source, whatever the upload makes of it', async () => {
    const veils: Effect = {
      onBody: (body) => ({
        sizeBytes: body.sizeBytes,
        async *open() {
          try {
            yield* body.open();
          } catch (error) {
            throw new Error('the stream broke', { cause: error });
          }
        },
      }),
    };
    const sourceFaults: readonly Fault[] = [{ on: 'read', nth: 4, does: fails('denied') }];
    const targetFaults: readonly Fault[] = [{ on: 'upload', does: veils }];
    await inWorld({ ...STREAMS, sourceFaults, targetFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted denied/);
    });
  });

  it('leaves nothing when a read or the upload fails', async () => {
    const faults: readonly (readonly ['sourceFaults' | 'targetFaults', Fault])[] = [
      ['sourceFaults', { on: 'read', nth: 4, does: fails('denied') }],
      ['targetFaults', { on: 'upload', does: fails('denied') }],
    ];
    for (const [side, fault] of faults) {
      await inWorld({ ...STREAMS, [side]: [fault] }, async (world) => {
        assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted denied/);
        world.assertAbsent(BLOB);
      });
    }
    const lost: Fault = { on: 'upload', does: failsAfterwards('unavailable') };
    await inWorld({ ...STREAMS, targetFaults: [lost] }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted unavailable/);
      // The answer was lost and not the object: what is visible is whole and right.
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
    });
  });

  it('reads back what a target that checks nothing made of it, and removes what is wrong', async () => {
    const target = { hasStreamUpload: true, checksNothing: true };
    const targetFaults: readonly Fault[] = [{ on: 'upload', times: 4, does: flipsBodyByte(5) }];
    await inWorld({ target, readsBack: true, targetFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /gave back other bytes/);
      world.assertAbsent(BLOB);
    });
  });

  it('calls a target that keeps only a part of it by its name, and not the source one that changed', async () => {
    let bent = undefined as unknown as CopyWorld;
    const cut = afterwards(() => bent.putTarget(BLOB, BYTES.subarray(0, 2 * PART_BYTES)));
    const targetFaults: readonly Fault[] = [{ on: 'upload', times: 'always', does: cut }];
    await inWorld({ ...STREAMS, readsBack: true, targetFaults }, async (world) => {
      bent = world;
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /gave back other bytes/);
      world.assertAbsent(BLOB);
    });
  });

  it('rejects with the reason when it is aborted, and leaves nothing', async () => {
    for (const [side, on, nth] of [
      ['sourceFaults', 'read', 1],
      ['sourceFaults', 'read', PIECES],
      ['targetFaults', 'upload', 1],
    ] as const) {
      const abort = new AbortController();
      const does = hangs(() => abort.abort(new Error('stopped by the user')));
      await inWorld({ ...STREAMS, signal: abort.signal, [side]: [{ on, nth, does }] }, async (world) => {
        await assert.rejects(world.copy(world.put(BLOB, BYTES)), /stopped by the user/);
        world.assertAbsent(BLOB);
      });
    }
  });
});

function flipsEveryTimeDifferently(): Effect {
  let count = 0;
  return {
    onRead: (into, result) => {
      count = (count + 1) % 255;
      into[0] = (into[0] ?? 0) ^ (count + 1);
      return result;
    },
  };
}
