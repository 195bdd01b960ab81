import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import type { CopyOutcome } from '../../src/copy/context.ts';
import { withRetries } from '../../src/drivers/wrap/retry.ts';
import {
  afterwards,
  type Fault,
  fails,
  failsAfterwards,
  first,
  flipsBodyByte,
  flipsByte,
  Gate,
  hangs,
  readsShortBy,
} from '../support/fault-driver.ts';
import { seededBytes } from '../support/seeded.ts';
import {
  assertCopied,
  assertNotCopied,
  CopyWorld,
  inWorld,
  PART_BYTES,
  type WorldOptions,
} from '../unit/copy/copy-world.ts';
import { blobPath, otherPath } from '../unit/copy/registry-names.ts';

const BYTES = seededBytes('fault', 'parts', 5 * PART_BYTES + 7);
const BLOB = blobPath(BYTES);
const NOTES = otherPath('notes');
const PARTS = 6;
/** A backend whose parts are larger than all slabs together. */
const WIDE: WorldOptions = {
  slabBudgetBytes: PART_BYTES,
  target: { multipart: { partBytesMin: 3 * PART_BYTES } },
};

function retrying(driver: Parameters<typeof withRetries>[0]) {
  const policy = { attemptsMax: 3, delayMsMin: 0, delayMsMax: 0, random: () => 0 };
  return withRetries(driver, policy, () => undefined);
}

async function copyBlob(options: WorldOptions, judge: (outcome: CopyOutcome, world: CopyWorld) => void) {
  await inWorld(options, async (world) => {
    judge(await world.copy(world.put(BLOB, BYTES)), world);
  });
}

function assertArrived(outcome: CopyOutcome, world: CopyWorld): void {
  assertCopied(outcome, 'digest');
  assert.ok(world.inTarget(BLOB)?.equals(BYTES));
}

describe('copyObject() in parts, when a call fails', () => {
  it('aborts the upload and leaves nothing, whichever call it is', async () => {
    const faults: readonly (readonly ['sourceFaults' | 'targetFaults', Fault])[] = [
      ['sourceFaults', { on: 'read', nth: 1, does: fails('denied') }],
      ['sourceFaults', { on: 'read', nth: 3, does: fails('denied') }],
      ['sourceFaults', { on: 'read', nth: PARTS, does: fails('denied') }],
      ['targetFaults', { on: 'begin', does: fails('denied') }],
      ['targetFaults', { on: 'part', nth: 1, does: fails('denied') }],
      ['targetFaults', { on: 'part', nth: PARTS, does: fails('denied') }],
      ['targetFaults', { on: 'part', nth: 2, does: flipsBodyByte(7) }],
      ['targetFaults', { on: 'complete', does: fails('denied') }],
    ];
    for (const [side, fault] of faults) {
      const target = { multipart: { partChecksum: 'crc32' } } as const;
      await copyBlob({ target, [side]: [fault] }, (outcome, world) => {
        assertNotCopied(outcome, 'failed', /scripted denied|CRC-32 that was sent/);
        world.assertAbsent(BLOB);
        assert.equal(world.targetDriver.callsOf('abort').length, fault.on === 'begin' ? 0 : 1);
      });
    }
  });

  it('begins no further part after one failed', async () => {
    const content = seededBytes('fault', 'many', 40 * PART_BYTES);
    await inWorld({ targetFaults: [{ on: 'part', nth: 1, does: fails('denied') }] }, async (world) => {
      assertNotCopied(await world.copy(world.put(blobPath(content), content)), 'failed', /denied/);
      assert.ok(world.sourceDriver.callsOf('read').length <= 8, 'it went on reading');
    });
  });

  it('keeps a slab while its read still runs, although an earlier part has failed', async () => {
    const gate = new Gate();
    const sourceFaults: readonly Fault[] = [
      { on: 'read', nth: 2, does: fails('denied') },
      { on: 'read', nth: 3, does: gate.effect },
    ];
    await inWorld({ sourceFaults }, async (world) => {
      let isSettled = false;
      const copied = world.copy(world.put(BLOB, BYTES)).finally(() => {
        isSettled = true;
      });
      await gate.reached;
      for (let turn = 0; turn < 20; turn += 1) await settled();
      const { usedBytes } = world.ctx.slabs;
      assert.ok(usedBytes >= PART_BYTES, 'the slab went to others while bytes still flow into it');
      assert.equal(isSettled, false);
      gate.open();
      assertNotCopied(await copied, 'failed', /denied/);
    });
  });

  it('never lets late bytes of a failed object into the slab of another', async () => {
    const late = new Gate();
    const writing = new Gate();
    const others = Array.from({ length: 8 }, (_, at) => seededBytes('fault', `other ${at}`, PART_BYTES));
    const sourceFaults: readonly Fault[] = [
      { on: 'read', key: BLOB, nth: 2, does: fails('denied') },
      { on: 'read', key: BLOB, nth: 3, does: late.effect },
    ];
    const targetFaults: readonly Fault[] = [{ on: 'write', times: others.length, does: writing.effect }];
    // Written as they come: nothing but the slabs themselves protects these bytes.
    await inWorld({ sourceFaults, targetFaults, target: { checksNothing: true } }, async (world) => {
      const failing = world.copy(world.put(BLOB, BYTES));
      await late.reached;
      for (let turn = 0; turn < 20; turn += 1) await settled();
      const copies = others.map((content) => world.copy(world.put(blobPath(content), content)));
      await writing.reached;
      for (let turn = 0; turn < 20; turn += 1) await settled();
      late.open();
      for (let turn = 0; turn < 20; turn += 1) await settled();
      writing.open();
      for (const outcome of await Promise.all(copies)) assertCopied(outcome, 'digest');
      for (const content of others) assert.ok(world.inTarget(blobPath(content))?.equals(content));
      assertNotCopied(await failing, 'failed', /denied/);
    });
  });

  it('reports what failed even if the abort fails as well', async () => {
    const world = new CopyWorld({
      targetFaults: [
        { on: 'part', does: fails('no-space') },
        { on: 'abort', does: fails('unavailable') },
      ],
    });
    assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted no-space/);
    assert.equal(world.target.uploads.size, 1);
    world.target.uploads.clear();
    await world.end();
  });

  it('sends a part again from the same slab when its answer was lost', async () => {
    const targetFaults: readonly Fault[] = [
      { on: 'part', nth: 2, does: failsAfterwards('unavailable', { isTransient: true }) },
      { on: 'part', nth: 5, does: fails('throttled', { isTransient: true }) },
    ];
    await copyBlob({ wrap: retrying, targetFaults }, assertArrived);
  });

  it('copies anew when the upload is gone, as after a lost answer to its completion', async () => {
    const lost = failsAfterwards('unavailable', { isTransient: true });
    await copyBlob({ wrap: retrying, targetFaults: [{ on: 'complete', does: lost }] }, (outcome, world) => {
      assertArrived(outcome, world);
      assert.equal(world.targetDriver.callsOf('begin').length, 2);
    });
  });

  it('tells of the uploads, and not of the source, when each of them is gone at its end', async () => {
    for (const isFrozen of [false, true]) {
      const targetFaults: readonly Fault[] = [{ on: 'complete', times: 'always', does: fails('not-found') }];
      await copyBlob({ isFrozen, targetFaults }, (outcome, world) => {
        assertNotCopied(outcome, 'failed', /scripted not-found/);
        world.assertAbsent(BLOB);
        assert.equal(world.targetDriver.callsOf('begin').length, 4);
      });
    }
  });

  it('ends the run for an error of the whole backend, and still aborts the upload', async () => {
    const full = fails('no-space', { scope: 'backend' });
    await inWorld({ targetFaults: [{ on: 'part', nth: 3, does: full }] }, async (world) => {
      await assert.rejects(world.copy(world.put(BLOB, BYTES)), /scripted no-space/);
      world.assertAbsent(BLOB);
    });
  });
});

describe('copyObject() in parts, when bytes are not what they should be', () => {
  it('begins again when the connection corrupted one range', async () => {
    for (const isFrozen of [false, true]) {
      await copyBlob({ isFrozen, sourceFaults: [{ on: 'read', nth: 3, does: flipsByte(9) }] }, assertArrived);
    }
  });

  it('fails, and is never called damage, when every read of a range differs', async () => {
    // Both readings of an object are six ranges; the third range of each comes out wrong in its own way.
    const sourceFaults: readonly Fault[] = Array.from({ length: 8 }, (_, at) => ({
      on: 'read' as const,
      nth: at * PARTS + 3,
      does: flipsByte(9, at + 1),
    }));
    await copyBlob({ isFrozen: true, sourceFaults }, (outcome, world) => {
      assertNotCopied(outcome, 'failed', /different bytes/);
      world.assertAbsent(BLOB);
    });
  });

  it('finds a range that came short', async () => {
    await copyBlob({ sourceFaults: [{ on: 'read', nth: 3, does: readsShortBy(1) }] }, assertArrived);
    // Nothing but the count of bytes tells here.
    const sourceFaults: readonly Fault[] = [{ on: 'read', nth: 3, does: readsShortBy(1) }];
    await inWorld({ source: { hides: ['md5', 'checksums'] }, sourceFaults }, async (world) => {
      assertCopied(await world.copy(world.put(NOTES, BYTES)), 'none');
      assert.ok(world.inTarget(NOTES)?.equals(BYTES));
    });
  });

  it('is damaged, or unsettled in a live pass, when two readings agree on wrong bytes', async () => {
    for (const options of [{}, WIDE]) {
      for (const [isFrozen, state] of [
        [true, 'damaged'],
        [false, 'unsettled'],
      ] as const) {
        await inWorld({ ...options, isFrozen }, async (world) => {
          const wrong = Buffer.from(BYTES);
          wrong[0] = (wrong[0] ?? 0) ^ 1;
          assertNotCopied(await world.copy(world.put(BLOB, wrong)), state, /its path says/);
          world.assertAbsent(BLOB);
          assert.ok(world.sourceDriver.callsOf('read').some((call) => call.isFresh));
        });
      }
    }
  });

  it('finds a target that put the parts together wrongly', async () => {
    const shortened = (world: () => CopyWorld) =>
      afterwards(() => world().target.put(BLOB, BYTES.subarray(1), undefined));
    for (const [times, state] of [
      [1, 'copied'],
      [4, 'failed'],
    ] as const) {
      let made = undefined as unknown as CopyWorld;
      const targetFaults: readonly Fault[] = [{ on: 'complete', times, does: shortened(() => made) }];
      const target = { multipart: { partChecksum: 'sha256' } } as const;
      await inWorld({ target, targetFaults }, async (world) => {
        made = world;
        const outcome = await world.copy(world.put(BLOB, BYTES));
        assert.equal(outcome.state, state);
        const arrived = world.inTarget(BLOB);
        assert.ok(state === 'copied' ? arrived?.equals(BYTES) : arrived === undefined);
      });
    }
  });

  it('reads back what a target that checks nothing made of it, and removes what is wrong', async () => {
    const target = { checksNothing: true };
    for (const options of [{ target }, { target, slabBudgetBytes: PART_BYTES }]) {
      const once: readonly Fault[] = [{ on: 'part', nth: 2, does: flipsBodyByte(5) }];
      await copyBlob({ ...options, readsBack: true, targetFaults: once }, assertArrived);
      const always: readonly Fault[] = [{ on: 'part', times: 4 * PARTS, does: flipsBodyByte(5) }];
      await copyBlob({ ...options, readsBack: true, targetFaults: always }, (outcome, world) => {
        assertNotCopied(outcome, 'failed', /gave back other bytes/);
        world.assertAbsent(BLOB);
      });
      const unread: readonly Fault[] = [{ on: 'read', nth: 2, does: fails('unavailable') }];
      await copyBlob({ ...options, readsBack: true, targetFaults: unread }, (outcome, world) => {
        assertNotCopied(outcome, 'failed', /scripted unavailable/);
        world.assertAbsent(BLOB);
      });
    }
  });
});

describe('copyObject() in parts, when reads answer in another order than they were asked', () => {
  it('hashes and puts together in the order of the object', async () => {
    const slow = new Gate();
    const sourceFaults: readonly Fault[] = [{ on: 'read', nth: 2, does: slow.effect }];
    await inWorld({ sourceFaults }, async (world) => {
      const copied = world.copy(world.put(BLOB, BYTES));
      await slow.reached;
      while (world.sourceDriver.callsOf('read').length < 4) await settled();
      for (let turn = 0; turn < 20; turn += 1) await settled();
      assert.equal(world.targetDriver.callsOf('part').length, 1, 'a part was sent before it was hashed');
      slow.open();
      assertCopied(await copied, 'digest');
      assert.ok(world.inTarget(BLOB)?.equals(BYTES));
      assert.equal(world.counters.count('restartedObjects'), 0);
    });
  });
});

describe('copyObject() in parts, when the object changes between two ranges', () => {
  const now = seededBytes('fault', 'now', BYTES.length);

  it('never mixes two versions: it begins again with the new one', async () => {
    for (const options of [{}, WIDE]) {
      for (const nth of [2, 3, PARTS]) {
        for (const content of [now, Buffer.alloc(20 * PART_BYTES, 'x'), Buffer.alloc(10), Buffer.alloc(0)]) {
          let changing = undefined as unknown as CopyWorld;
          const change = first(() => changing.put(NOTES, content));
          await inWorld({ ...options, sourceFaults: [{ on: 'read', nth, does: change }] }, async (world) => {
            changing = world;
            assertCopied(await world.copy(world.put(NOTES, BYTES)), 'stored');
            assert.ok(world.inTarget(NOTES)?.equals(content));
            assert.ok(world.counters.count('restartedObjects') > 0);
          });
        }
      }
    }
  });

  it('never mixes two versions of a source that does not look at which one it is asked for', async () => {
    const source = { hides: ['md5', 'checksums'] } as const;
    for (const nth of [2, PARTS]) {
      await inWorld({ source }, async (world) => {
        const { read } = world.sourceDriver.inner;
        let reads = 0;
        world.sourceDriver.inner.read = (ctx, key, into, { version: _, ...options }) => {
          reads += 1;
          if (reads === nth) world.put(NOTES, now);
          return read(ctx, key, into, options);
        };
        assertCopied(await world.copy(world.put(NOTES, BYTES)), 'none');
        assert.ok(world.inTarget(NOTES)?.equals(now));
      });
    }
  });

  it('is unsettled in a live pass and failed in a frozen one when it never holds still', async () => {
    for (const [isFrozen, state] of [
      [false, 'unsettled'],
      [true, 'failed'],
    ] as const) {
      let changing = undefined as unknown as CopyWorld;
      let round = 0;
      const change = first(() => {
        round += 1;
        changing.put(NOTES, seededBytes('fault', `round ${round}`, BYTES.length));
      });
      const sourceFaults: readonly Fault[] = [{ on: 'read', times: 'always', does: change }];
      await inWorld({ isFrozen, sourceFaults }, async (world) => {
        changing = world;
        assertNotCopied(await world.copy(world.put(NOTES, BYTES)), state, /changed each time/);
        world.assertAbsent(NOTES);
        assert.equal(world.targetDriver.callsOf('begin').length, 4);
      });
    }
  });

  it('is noticed by its size where the backend knows no versions', async () => {
    let changing = undefined as unknown as CopyWorld;
    const grown = Buffer.concat([BYTES, now]);
    const sourceFaults: readonly Fault[] = [
      { on: 'read', nth: 3, does: first(() => changing.put(NOTES, grown)) },
    ];
    await inWorld({ source: { hides: ['version', 'md5'] }, sourceFaults }, async (world) => {
      changing = world;
      assertCopied(await world.copy(world.put(NOTES, BYTES)), 'none');
      assert.ok(world.inTarget(NOTES)?.equals(grown));
    });
  });
});

describe('copyObject() in parts larger than any slab', () => {
  it('sends the same part again when its answer was lost', async () => {
    const targetFaults: readonly Fault[] = [
      { on: 'part', nth: 1, does: failsAfterwards('unavailable', { isTransient: true }) },
      { on: 'part', nth: 3, does: fails('unavailable', { isTransient: true }) },
    ];
    await copyBlob({ ...WIDE, wrap: retrying, targetFaults }, assertArrived);
  });

  it('asks the source when a server gave up on a part that had to wait for it, and sends the part again', async (t) => {
    t.mock.timers.enable({ apis: ['Date'] });
    const slow = first(() => t.mock.timers.tick(15_000));
    const givesUp = failsAfterwards('unavailable', { isTransient: true });
    // Reads 1-3 hash the first part, 4-6 send it.
    const sourceFaults: readonly Fault[] = [{ on: 'read', nth: 5, does: slow }];
    const once: readonly Fault[] = [{ on: 'part', does: givesUp }];
    await copyBlob({ ...WIDE, sourceFaults, targetFaults: once }, (outcome, world) => {
      assertArrived(outcome, world);
      assert.equal(world.sourceDriver.callsOf('stat').length, 1);
      assert.equal(world.counters.count('restartedObjects'), 0);
    });
    const gone: Fault = { on: 'stat', does: fails('unavailable', { isTransient: true }) };
    await copyBlob({ ...WIDE, sourceFaults: [...sourceFaults, gone], targetFaults: once }, (outcome) => {
      assertNotCopied(outcome, 'failed', /Cannot stat .*: scripted unavailable/);
    });
    const always: readonly Fault[] = [{ on: 'part', times: 4, does: givesUp }];
    const slowEachTime: readonly Fault[] = [{ on: 'read', nth: 4, times: 12, does: slow }];
    await copyBlob({ ...WIDE, sourceFaults: slowEachTime, targetFaults: always }, (outcome) => {
      assertNotCopied(outcome, 'failed', /was sent nothing for 15 s, as memory:.* was read too slowly/);
    });
    // A server that fails by itself is not asked more often than its retries do.
    await copyBlob({ ...WIDE, targetFaults: once }, (outcome, world) => {
      assertNotCopied(outcome, 'failed', /scripted unavailable$/);
      assert.equal(world.sourceDriver.callsOf('stat').length, 0);
    });
  });

  it('sends nothing that differs from what was hashed', async () => {
    // Reads 1-3 hash the first part, 4-6 send it.
    await copyBlob({ ...WIDE, sourceFaults: [{ on: 'read', nth: 5, does: flipsByte(9) }] }, assertArrived);
    await copyBlob({ ...WIDE, sourceFaults: [{ on: 'read', nth: 2, does: flipsByte(9) }] }, assertArrived);
  });

  it('leaves nothing when a read or a part fails', async () => {
    const faults: readonly (readonly ['sourceFaults' | 'targetFaults', Fault])[] = [
      ['sourceFaults', { on: 'read', nth: 2, does: fails('denied') }],
      ['sourceFaults', { on: 'read', nth: 5, does: fails('denied') }],
      ['targetFaults', { on: 'part', nth: 2, does: fails('denied') }],
    ];
    for (const [side, fault] of faults) {
      await copyBlob({ ...WIDE, [side]: [fault] }, (outcome, world) => {
        assertNotCopied(outcome, 'failed', /scripted denied/);
        world.assertAbsent(BLOB);
      });
    }
  });
});

describe('copyObject() in parts, aborted', () => {
  it('rejects with the reason, aborts the upload and leaves nothing, wherever it is', async () => {
    const places: readonly (readonly ['sourceFaults' | 'targetFaults', Fault['on'], number])[] = [
      ['targetFaults', 'begin', 1],
      ['sourceFaults', 'read', 1],
      ['sourceFaults', 'read', 4],
      ['targetFaults', 'part', 1],
      ['targetFaults', 'part', PARTS],
      ['targetFaults', 'complete', 1],
    ];
    for (const options of [{}, { slabBudgetBytes: PART_BYTES }]) {
      for (const [side, on, nth] of places) {
        const abort = new AbortController();
        const does = hangs(() => abort.abort(new Error('stopped by the user')));
        await inWorld({ ...options, signal: abort.signal, [side]: [{ on, nth, does }] }, async (world) => {
          await assert.rejects(world.copy(world.put(BLOB, BYTES)), /stopped by the user/);
          world.assertAbsent(BLOB);
        });
      }
    }
  });

  it('rejects while it waits for a slab that others hold', async () => {
    const abort = new AbortController();
    await inWorld({ signal: abort.signal }, async (world) => {
      const { slabs } = world.ctx;
      const held = await slabs.acquire(slabs.slabBytesMax, new AbortController().signal);
      const copied = assert.rejects(world.copy(world.put(BLOB, BYTES)), /stopped by the user/);
      while (world.targetDriver.callsOf('begin').length === 0) await settled();
      abort.abort(new Error('stopped by the user'));
      await copied;
      held.release();
    });
  });

  it('waits for an upload that is just being begun, so that it can be aborted and not stay open', async () => {
    const content = seededBytes('begin', 'abort', 3 * PART_BYTES);
    const gate = new Gate();
    const abort = new AbortController();
    const options = { signal: abort.signal, targetFaults: [{ on: 'begin', does: gate.effect }] } as const;
    await inWorld(options, async (world) => {
      const copying = world.copy(world.put(blobPath(content), content));
      await gate.reached;
      abort.abort(new Error('stopped by the user'));
      gate.open();
      await assert.rejects(copying, /stopped by the user/);
      assert.equal(world.targetDriver.callsOf('abort').length, 1);
      assert.equal(world.targetDriver.callsOf('part').length, 0);
    });
  });
});
