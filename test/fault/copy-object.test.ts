import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IntegrityError, StorageError } from '../../src/core/errors.ts';
import { withRetries } from '../../src/drivers/wrap/retry.ts';
import {
  afterwards,
  answersVersion,
  type Fault,
  fails,
  failsAfterwards,
  first,
  flipsBodyByte,
  flipsByte,
  hangs,
  readsShortBy,
} from '../support/fault-driver.ts';
import {
  assertCopied,
  assertNotCopied,
  type CopyWorld,
  inWorld,
  PART_BYTES,
  type Shape,
} from '../unit/copy/copy-world.ts';
import { blobPath, otherPath, tagPath } from '../unit/copy/registry-names.ts';

const BYTES = Buffer.from('the bytes of a layer');
const BLOB = blobPath(BYTES);
const NOTES = otherPath('notes');
const SILENT: Shape = { hides: ['md5', 'checksums'] };
const LIVE_AND_FROZEN = [false, true];

/** Wrong at every read, and never twice the same. */
function everyReadDiffers(): readonly Fault[] {
  return Array.from({ length: 8 }, (_, at) => ({
    on: 'read' as const,
    nth: at + 1,
    does: flipsByte(0, at + 1),
  }));
}

/** No waiting, as many attempts as a worker makes. */
function retrying(driver: Parameters<typeof withRetries>[0]) {
  const policy = { attemptsMax: 3, delayMsMin: 0, delayMsMax: 0, random: () => 0 };
  return withRetries(driver, policy, () => undefined);
}

describe('copyObject() when the connection corrupts what is read', () => {
  it('reads again over another connection, and copies what is right', async () => {
    await inWorld({ sourceFaults: [{ on: 'read', does: flipsByte(3) }] }, async (world) => {
      assertCopied(await world.copy(world.put(BLOB, BYTES)), 'digest');
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
      assert.deepEqual(
        world.sourceDriver.callsOf('read').map((call) => call.isFresh),
        [false, true],
      );
    });
  });

  it('goes on while two reads differ from each other', async () => {
    const sourceFaults: readonly Fault[] = [
      { on: 'read', nth: 1, does: flipsByte(0, 1) },
      { on: 'read', nth: 2, does: flipsByte(0, 2) },
    ];
    await inWorld({ isFrozen: true, sourceFaults }, async (world) => {
      assertCopied(await world.copy(world.put(BLOB, BYTES)), 'digest');
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
    });
  });

  it('fails, and is never called damage, when every read gives other bytes', async () => {
    for (const isFrozen of LIVE_AND_FROZEN) {
      await inWorld({ isFrozen, sourceFaults: everyReadDiffers() }, async (world) => {
        const outcome = await world.copy(world.put(BLOB, BYTES));
        assertNotCopied(outcome, 'failed', /different bytes/);
        assert.ok('error' in outcome && outcome.error instanceof IntegrityError);
        assert.match(outcome.error.hint ?? '', /check the network/);
        world.assertAbsent(BLOB);
      });
    }
  });

  it('does not believe a first read that differs from the second where both are all there is', async () => {
    const sourceFaults: readonly Fault[] = [{ on: 'read', does: flipsByte(3) }];
    await inWorld({ source: SILENT, readsTwice: true, sourceFaults }, async (world) => {
      assertCopied(await world.copy(world.put(NOTES, BYTES)), 'twice');
      assert.ok(world.inTarget(NOTES)?.equals(BYTES));
    });
    await inWorld({ source: SILENT, readsTwice: true, sourceFaults: everyReadDiffers() }, async (world) => {
      assertNotCopied(await world.copy(world.put(NOTES, BYTES)), 'failed', /different bytes/);
      world.assertAbsent(NOTES);
    });
  });

  it('takes no short read for the whole, even where nothing else could tell', async () => {
    await inWorld(
      { source: SILENT, sourceFaults: [{ on: 'read', does: readsShortBy(4) }] },
      async (world) => {
        assertCopied(await world.copy(world.put(NOTES, BYTES)), 'none');
        assert.ok(world.inTarget(NOTES)?.equals(BYTES));
      },
    );
    for (const [isFrozen, state] of [
      [false, 'unsettled'],
      [true, 'failed'],
    ] as const) {
      const sourceFaults: readonly Fault[] = [{ on: 'read', times: 4, does: readsShortBy(4) }];
      await inWorld({ isFrozen, source: SILENT, sourceFaults }, async (world) => {
        assertNotCopied(await world.copy(world.put(NOTES, BYTES)), state, /was not copied/);
        world.assertAbsent(NOTES);
      });
    }
  });
});

describe('copyObject() when the source loses the object', () => {
  it('calls it vanished when a stat confirms it, in a live pass and in a frozen one', async () => {
    for (const isFrozen of LIVE_AND_FROZEN) {
      for (const content of [BYTES, Buffer.alloc(3 * PART_BYTES)]) {
        await inWorld({ isFrozen }, async (world) => {
          const item = await world.item(world.put(NOTES, content));
          world.source.remove(NOTES);
          const outcome = await world.copyItem(item);
          assertNotCopied(outcome, 'vanished', /is gone from memory:.* since it was listed/);
          assert.ok('error' in outcome && outcome.error instanceof IntegrityError);
          assert.equal(outcome.error.hint !== undefined, isFrozen);
          assert.equal(world.sourceDriver.callsOf('stat').length, 1);
        });
      }
    }
  });

  it('has failed when the object is still there for a stat', async () => {
    await inWorld({ sourceFaults: [{ on: 'read', does: fails('not-found') }] }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted not-found/);
    });
  });

  it('has failed, with the error of the stat, when the stat cannot tell', async () => {
    const sourceFaults: readonly Fault[] = [
      { on: 'read', does: fails('not-found') },
      { on: 'stat', does: fails('denied') },
    ];
    await inWorld({ sourceFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted denied/);
    });
  });

  it('does not take an object that the target lost while it was compared for one that the source lost', async () => {
    const targetFaults: readonly Fault[] = [
      {
        on: 'read',
        does: first(() => {
          lost.target.remove(NOTES);
        }),
      },
    ];
    let lost = undefined as unknown as CopyWorld;
    await inWorld({ source: SILENT, target: SILENT, targetFaults }, async (world) => {
      lost = world;
      world.putTarget(NOTES, BYTES);
      assertCopied(await world.copy(world.put(NOTES, BYTES)), 'none');
      assert.ok(world.inTarget(NOTES)?.equals(BYTES));
    });
  });
});

describe('copyObject() when the object changes', () => {
  it('copies what it has become, larger, smaller or empty', async () => {
    const sizes = [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 5];
    for (const before of sizes) {
      for (const after of sizes.filter((size) => size !== before)) {
        await inWorld({ source: SILENT }, async (world) => {
          const item = await world.item(world.put(NOTES, Buffer.alloc(before, 'a')));
          const now = Buffer.alloc(after, 'b');
          world.put(NOTES, now);
          assertCopied(await world.copyItem(item), 'none');
          assert.ok(world.inTarget(NOTES)?.equals(now), `${before} -> ${after}`);
          // Nothing is read of an object that was listed as empty in one range, so it is begun anew once.
          assert.equal(world.counters.count('restartedObjects'), 1, `${before} -> ${after}`);
        });
      }
    }
  });

  it('copies a tag that was moved after it was listed', async () => {
    await inWorld({ source: SILENT }, async (world) => {
      const path = tagPath('app', 'latest');
      const item = await world.item(world.put(path, `sha256:${'a'.repeat(64)}`));
      world.put(path, `sha512:${'b'.repeat(128)}`);
      assertCopied(await world.copyItem(item), 'none');
      assert.equal(world.inTarget(path)?.toString(), `sha512:${'b'.repeat(128)}`);
    });
  });

  it('leaves it to the next pass when it never holds still, and fails where nobody should write', async () => {
    for (const [isFrozen, state] of [
      [false, 'unsettled'],
      [true, 'failed'],
    ] as const) {
      let size = BYTES.length;
      let grown = undefined as unknown as CopyWorld;
      const grows = first(() => {
        size += 1;
        grown.put(NOTES, Buffer.alloc(size));
      });
      await inWorld({ isFrozen, sourceFaults: [{ on: 'read', times: 4, does: grows }] }, async (world) => {
        grown = world;
        assertNotCopied(await world.copy(world.put(NOTES, BYTES)), state, /changed each time it was read/);
        world.assertAbsent(NOTES);
      });
    }
  });

  it('has vanished when it is gone by the time its new size is asked for', async () => {
    const content = Buffer.alloc(3 * PART_BYTES);
    for (const isFrozen of LIVE_AND_FROZEN) {
      let gone = undefined as unknown as CopyWorld;
      const sourceFaults: readonly Fault[] = [
        { on: 'read', nth: 2, does: fails('precondition') },
        { on: 'stat', does: first(() => gone.source.remove(NOTES)) },
      ];
      await inWorld({ isFrozen, sourceFaults }, async (world) => {
        gone = world;
        assertNotCopied(await world.copy(world.put(NOTES, content)), 'vanished', /is gone/);
        world.assertAbsent(NOTES);
      });
    }
  });

  it('fails alone, and not with the whole shard, when its new size cannot be asked for', async () => {
    const content = Buffer.alloc(3 * PART_BYTES);
    const sourceFaults: readonly Fault[] = [
      { on: 'read', nth: 2, does: fails('precondition') },
      { on: 'stat', does: fails('denied') },
    ];
    await inWorld({ sourceFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(NOTES, content)), 'failed', /scripted denied/);
    });
  });

  it('takes another version of a range for another object', async () => {
    const content = Buffer.alloc(3 * PART_BYTES, 'x');
    await inWorld({ sourceFaults: [{ on: 'read', does: answersVersion('v0') }] }, async (world) => {
      assertCopied(await world.copy(world.put(NOTES, content)), 'stored');
      assert.equal(world.counters.count('restartedObjects'), 1);
    });
  });
});

describe('copyObject() when the target refuses', () => {
  it('fails the object alone when the error is the object’s', async () => {
    await inWorld({ targetFaults: [{ on: 'write', does: fails('denied') }] }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted denied/);
      world.assertAbsent(BLOB);
    });
  });

  it('ends the run when the error is the backend’s', async () => {
    for (const side of ['sourceFaults', 'targetFaults'] as const) {
      const on = side === 'sourceFaults' ? 'read' : 'write';
      const faults: readonly Fault[] = [{ on, does: fails('no-space', { scope: 'backend' }) }];
      await inWorld({ [side]: faults }, async (world) => {
        const copied = world.copy(world.put(BLOB, BYTES));
        await assert.rejects(copied, (error) => error instanceof StorageError && error.kind === 'no-space');
        world.assertAbsent(BLOB);
      });
    }
  });

  it('sends the same bytes again when the answer was lost', async () => {
    const lost = failsAfterwards('unavailable', { isTransient: true });
    await inWorld({ wrap: retrying, targetFaults: [{ on: 'write', does: lost }] }, async (world) => {
      assertCopied(await world.copy(world.put(BLOB, BYTES)), 'digest');
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
      assert.equal(world.targetDriver.callsOf('write').length, 2);
    });
  });

  it('leaves nothing when bytes are corrupted on the way to a target that checks', async () => {
    await inWorld({ targetFaults: [{ on: 'write', does: flipsBodyByte(3) }] }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /sha256 that was sent with it/);
      world.assertAbsent(BLOB);
    });
  });
});

describe('copyObject() to a target that checks nothing', () => {
  const target: Shape = { checksNothing: true };

  it('finds wrong bytes by reading back, and writes again', async () => {
    const targetFaults: readonly Fault[] = [{ on: 'write', does: flipsBodyByte(3) }];
    await inWorld({ target, readsBack: true, targetFaults }, async (world) => {
      assertCopied(await world.copy(world.put(BLOB, BYTES)), 'digest');
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
    });
  });

  it('removes what stays wrong, and fails', async () => {
    const targetFaults: readonly Fault[] = [{ on: 'write', times: 4, does: flipsBodyByte(3) }];
    await inWorld({ target, readsBack: true, targetFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /gave back other bytes/);
      world.assertAbsent(BLOB);
    });
  });

  it('finds more bytes than were written', async () => {
    let grown = undefined as unknown as CopyWorld;
    const appends = afterwards(() => grown.putTarget(BLOB, Buffer.concat([BYTES, BYTES])));
    const targetFaults: readonly Fault[] = [{ on: 'write', does: appends }];
    await inWorld({ target, readsBack: true, targetFaults }, async (world) => {
      grown = world;
      assertCopied(await world.copy(world.put(BLOB, BYTES)), 'digest');
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
    });
  });

  it('keeps nothing that it could not read back: the next run would take it for equal', async () => {
    const targetFaults: readonly Fault[] = [{ on: 'read', does: fails('unavailable') }];
    await inWorld({ target, readsBack: true, targetFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted unavailable/);
      world.assertAbsent(BLOB);
    });
  });

  it('keeps nothing that it had no time to read back', async () => {
    const abort = new AbortController();
    const targetFaults: readonly Fault[] = [
      { on: 'read', does: hangs(() => abort.abort(new Error('stopped by the user'))) },
    ];
    await inWorld({ target, readsBack: true, targetFaults, signal: abort.signal }, async (world) => {
      await assert.rejects(world.copy(world.put(BLOB, BYTES)), /stopped by the user/);
      world.assertAbsent(BLOB);
    });
  });
});

describe('copyObject() that is aborted', () => {
  it('rejects with the reason, whatever it waits for, and leaves nothing', async () => {
    const places: readonly (readonly [Fault['on'], 'sourceFaults' | 'targetFaults'])[] = [
      ['read', 'sourceFaults'],
      ['write', 'targetFaults'],
    ];
    for (const [on, side] of places) {
      const abort = new AbortController();
      const does = hangs(() => abort.abort(new Error('stopped by the user')));
      await inWorld({ signal: abort.signal, [side]: [{ on, does }] }, async (world) => {
        await assert.rejects(world.copy(world.put(BLOB, BYTES)), /stopped by the user/);
        world.assertAbsent(BLOB);
      });
    }
  });
});
