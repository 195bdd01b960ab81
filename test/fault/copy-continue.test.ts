/** Uploads that a killed run left open: what of them is believed, and that the right bytes arrive whatever they hold. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { MultipartFacet, Upload } from '../../src/drivers/driver.ts';
import { type Fault, fails, first, hangs } from '../support/fault-driver.ts';
import { seededBytes } from '../support/seeded.ts';
import {
  assertCopied,
  assertNotCopied,
  type CopyWorld,
  inWorld,
  type LeftPart,
  PART_BYTES,
  type Shape,
  type WorldOptions,
} from '../unit/copy/copy-world.ts';
import { blobPath, otherPath } from '../unit/copy/registry-names.ts';

const PARTS = 6;
const BYTES = seededBytes('continue', 'object', (PARTS - 1) * PART_BYTES + 7);
const OTHER = seededBytes('continue', 'other', BYTES.length);
const BLOB = blobPath(BYTES);
const NOTES = otherPath('notes');
const CHECKSUMS: readonly MultipartFacet['partChecksum'][] = ['none', 'crc32', 'sha256'];

function partOf(number: number, content: Uint8Array = BYTES, partBytes = PART_BYTES): LeftPart {
  return { number, bytes: content.subarray((number - 1) * partBytes, number * partBytes) };
}

function sentParts(world: CopyWorld): number {
  return world.targetDriver.callsOf('part').length;
}

function refuseToListParts(world: CopyWorld, ...why: Parameters<typeof fails>): void {
  const { multipart } = world.targetDriver;
  assert.ok(multipart);
  multipart.listParts = async ({ signal }) => {
    await fails(...why).before?.({ operation: 'list', key: BLOB, signal });
    return [];
  };
}

function closed(upload: Upload) {
  return { type: 'upload', upload, state: 'closed' };
}

/** A blob whose upload holds these parts is copied. */
async function goesOn(
  options: WorldOptions,
  parts: readonly LeftPart[],
  judge: (world: CopyWorld, upload: Upload) => void,
): Promise<void> {
  await inWorld(options, async (world) => {
    world.put(BLOB, BYTES);
    const upload = await world.leaveUpload(BLOB, parts);
    assertCopied(await world.goOn(BLOB, [upload]), 'digest');
    assert.ok(world.inTarget(BLOB)?.equals(BYTES), 'other bytes arrived');
    assert.equal(world.targetDriver.callsOf('write').length, 0);
    judge(world, upload);
  });
}

describe('An upload that a killed run left open', () => {
  it('is continued: only the parts that it does not hold are sent, and every byte is read and hashed', async () => {
    for (const partChecksum of CHECKSUMS) {
      const target: Shape = { multipart: { partChecksum } };
      await goesOn({ target }, [partOf(1), partOf(4), partOf(PARTS)], (world, upload) => {
        assert.equal(sentParts(world), 3);
        assert.equal(world.targetDriver.callsOf('begin').length, 0);
        assert.equal(world.targetDriver.callsOf('abort').length, 0);
        assert.equal(world.sourceDriver.callsOf('read').length, PARTS);
        assert.equal(world.counters.count('partsReused'), 3);
        assert.equal(world.counters.count('bytesReused'), 2 * PART_BYTES + 7);
        assert.equal(world.counters.count('restartedObjects'), 0);
        assert.deepEqual(world.reports, [closed(upload)]);
      });
    }
  });

  it('needs nothing sent when all its parts are there', async () => {
    const all = Array.from({ length: PARTS }, (_, at) => partOf(at + 1));
    await goesOn({}, all, (world) => {
      assert.equal(sentParts(world), 0);
      assert.equal(world.counters.count('bytesReused'), BYTES.length);
    });
  });

  it('is continued in parts that no slab can hold', async () => {
    const wide: WorldOptions = {
      slabBudgetBytes: PART_BYTES,
      target: { multipart: { partBytesMin: 3 * PART_BYTES, partChecksum: 'crc32' } },
    };
    for (const keepsOfParts of [['md5'], ['crc32'], ['md5', 'crc32']] as const) {
      const target: Shape = { ...wide.target, keepsOfParts };
      await goesOn({ ...wide, target }, [partOf(1, BYTES, 3 * PART_BYTES)], (world) => {
        assert.equal(sentParts(world), 1);
        // Three ranges to hash each part, and three more to send the second.
        assert.equal(world.sourceDriver.callsOf('read').length, 9);
      });
      await goesOn({ ...wide, target }, [partOf(1, OTHER, 3 * PART_BYTES)], (world) => {
        assert.equal(sentParts(world), 2);
      });
    }
  });

  it('is believed in by a checksum that the service keeps, and by nothing else', async () => {
    for (const [keepsOfParts, sent] of [
      [[], PARTS],
      [['md5'], PARTS - 2],
      [['crc32'], PARTS - 2],
      [['md5', 'crc32'], PARTS - 2],
    ] as const) {
      await goesOn({ target: { keepsOfParts } }, [partOf(1), partOf(2)], (world) => {
        assert.equal(sentParts(world), sent, `kept: ${keepsOfParts.join(', ')}`);
        assert.equal(world.counters.count('partsReused'), PARTS - sent);
      });
      await goesOn({ target: { keepsOfParts } }, [partOf(1, OTHER), partOf(2, OTHER)], (world) => {
        assert.equal(sentParts(world), PARTS, `kept: ${keepsOfParts.join(', ')}`);
      });
    }
  });

  it('is not believed in where only one of two checksums agrees, unless the other may be none', async () => {
    // As an ETag of a part under SSE-KMS: of the form of an MD5, but another one.
    const noMd5 = { md5: '0'.repeat(32) };
    for (const [md5MayBeOpaque, wrong, sent] of [
      [false, noMd5, PARTS],
      [true, noMd5, PARTS - 1],
      [false, { crc32: 1 }, PARTS],
      [true, { crc32: 1 }, PARTS],
    ] as const) {
      await inWorld({ target: { facts: { md5MayBeOpaque } } }, async (world) => {
        world.put(BLOB, BYTES);
        const upload = await world.leaveUpload(BLOB, [partOf(1)]);
        const parts = world.target.uploads.get(upload.id)?.parts;
        const stored = parts?.get(1);
        assert.ok(parts && stored);
        parts.set(1, { ...stored, receipt: { ...stored.receipt, ...wrong } });
        assertCopied(await world.goOn(BLOB, [upload]), 'digest');
        assert.equal(sentParts(world), sent);
        assert.ok(world.inTarget(BLOB)?.equals(BYTES));
      });
    }
  });

  it('makes way for a new one when its parts are cut otherwise, or when it holds none', async () => {
    const lefts: readonly (readonly LeftPart[])[] = [
      [],
      [partOf(1), partOf(2, BYTES, PART_BYTES / 2)],
      [partOf(1), { number: PARTS + 1, bytes: BYTES.subarray(0, PART_BYTES) }],
      [{ number: PARTS, bytes: BYTES.subarray(0, PART_BYTES) }],
    ];
    for (const parts of lefts) {
      await goesOn({}, parts, (world, upload) => {
        assert.equal(sentParts(world), PARTS);
        assert.equal(world.targetDriver.callsOf('begin').length, 1);
        assert.equal(world.targetDriver.callsOf('abort').length, 1);
        assert.deepEqual(world.reports[0], closed(upload));
        assert.equal(world.counters.count('partsReused'), 0);
      });
    }
  });

  it('is continued in parts as large as its own, where the run that died had more or less memory', async () => {
    for (const partBytes of [PART_BYTES / 2, 2 * PART_BYTES, 3_000]) {
      await goesOn({}, [partOf(1, BYTES, partBytes), partOf(2, BYTES, partBytes)], (world) => {
        assert.equal(world.counters.count('bytesReused'), 2 * partBytes);
        assert.equal(sentParts(world), Math.ceil(BYTES.length / partBytes) - 2);
        assert.equal(world.targetDriver.callsOf('begin').length, 0);
      });
    }
    // Parts that no slab can hold would be read twice.
    await goesOn({ slabBudgetBytes: PART_BYTES }, [partOf(1, BYTES, 2 * PART_BYTES)], (world) => {
      assert.equal(sentParts(world), PARTS);
      assert.equal(world.targetDriver.callsOf('begin').length, 1);
    });
  });

  it('brings the right bytes whatever its parts hold, in whatever combination', async () => {
    const left = fc.constantFrom('right', 'changed', 'missing');
    const cases = fc.record({
      lefts: fc.array(left, { minLength: PARTS, maxLength: PARTS }),
      partChecksum: fc.constantFrom(...CHECKSUMS),
      keepsOfParts: fc.constantFrom<Shape['keepsOfParts']>(['md5'], ['crc32'], ['md5', 'crc32']),
      slabBudgetBytes: fc.constantFrom(PART_BYTES, 2 * PART_BYTES, 4 * PART_BYTES),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ lefts, partChecksum, keepsOfParts, slabBudgetBytes }) => {
        const parts = lefts.flatMap((is, at) =>
          is === 'missing' ? [] : [partOf(at + 1, is === 'right' ? BYTES : OTHER)],
        );
        const target: Shape = { multipart: { partChecksum }, ...(keepsOfParts ? { keepsOfParts } : {}) };
        await goesOn({ slabBudgetBytes, target }, parts, (world) => {
          const right = lefts.filter((is) => is === 'right').length;
          assert.equal(world.counters.count('partsReused'), right);
          assert.equal(sentParts(world), PARTS - right);
        });
      }),
      { numRuns: 100 },
    );
  });

  it('is used once where there are several for a key, and the others are aborted', async () => {
    await inWorld({}, async (world) => {
      world.put(BLOB, BYTES);
      const empty = await world.leaveUpload(BLOB, []);
      const good = await world.leaveUpload(BLOB, [partOf(1), partOf(2)]);
      const third = await world.leaveUpload(BLOB, [partOf(1), partOf(2), partOf(3)]);
      assertCopied(await world.goOn(BLOB, [empty, good, third]), 'digest');
      assert.equal(sentParts(world), PARTS - 2);
      assert.deepEqual(world.reports, [closed(empty), closed(third), closed(good)]);
    });
  });

  it('is left to whoever sweeps at the end when its object needs no upload any more', async () => {
    for (const content of [BYTES, BYTES.subarray(0, 10)]) {
      await inWorld({}, async (world) => {
        const path = world.put(blobPath(content), content);
        if (content === BYTES) world.putTarget(path, content);
        const upload = await world.leaveUpload(path, [partOf(1)]);
        const { state } = await world.goOn(path, [upload]);
        assert.equal(state, content === BYTES ? 'skipped' : 'copied');
        assert.deepEqual(world.reports, []);
        assert.equal(world.target.uploads.size, 1);
        world.target.uploads.clear();
      });
    }
  });
});

describe('A source that changed between the kill and the next run', () => {
  it('arrives as it is now, whether its size stayed or not', async () => {
    const now = [
      OTHER,
      Buffer.concat([BYTES.subarray(0, 2 * PART_BYTES), OTHER.subarray(2 * PART_BYTES)]),
      BYTES.subarray(0, 3 * PART_BYTES),
      BYTES.subarray(0, BYTES.length - 1),
      Buffer.concat([BYTES, OTHER]),
    ];
    for (const [at, content] of now.entries()) {
      await inWorld({}, async (world) => {
        world.put(NOTES, content);
        const all = Array.from({ length: PARTS }, (_, number) => partOf(number + 1));
        const upload = await world.leaveUpload(NOTES, all);
        assertCopied(await world.goOn(NOTES, [upload]), 'stored');
        assert.ok(world.inTarget(NOTES)?.equals(content), `change ${at}`);
        assert.equal(world.counters.count('partsReused'), at === 1 ? 2 : 0);
      });
    }
  });

  it('is begun again with a new upload when it changes while it is continued', async () => {
    for (const nth of [2, PARTS]) {
      let changing = undefined as unknown as CopyWorld;
      const change = first(() => changing.put(NOTES, OTHER));
      await inWorld({ sourceFaults: [{ on: 'read', nth, does: change }] }, async (world) => {
        changing = world;
        world.put(NOTES, BYTES);
        const upload = await world.leaveUpload(NOTES, [partOf(1), partOf(2)]);
        assertCopied(await world.goOn(NOTES, [upload]), 'stored');
        assert.ok(world.inTarget(NOTES)?.equals(OTHER));
        assert.equal(world.targetDriver.callsOf('begin').length, 1);
        assert.equal(world.counters.count('partsReused'), 0, 'all parts of what arrived were sent');
        assert.equal(world.counters.count('bytesReused'), 0);
      });
    }
  });
});

describe('An upload that cannot be continued', () => {
  it('makes way for a new one within the same object, wherever that shows', async () => {
    const places: readonly Fault[] = [
      { on: 'part', nth: 1, does: fails('not-found') },
      { on: 'part', nth: PARTS - 2, does: fails('unexpected') },
      { on: 'complete', does: fails('not-found') },
      { on: 'complete', does: fails('unexpected') },
      { on: 'complete', does: fails('corrupt', { isTransient: true }) },
    ];
    for (const fault of places) {
      await goesOn({ targetFaults: [fault] }, [partOf(1), partOf(2)], (world, upload) => {
        assert.equal(world.targetDriver.callsOf('begin').length, 1);
        assert.equal(world.counters.count('restartedObjects'), 1);
        const [first, second] = world.reports;
        assert.deepEqual(first, closed(upload));
        assert.equal(second?.type === 'upload' && second.state, 'open');
      });
    }
  });

  it('is told by its list of parts: gone, or refused', async () => {
    for (const isGone of [true, false]) {
      await inWorld({}, async (world) => {
        world.put(BLOB, BYTES);
        const upload = await world.leaveUpload(BLOB, [partOf(1)]);
        if (isGone) world.target.uploads.clear();
        else refuseToListParts(world, 'unsupported');
        assertCopied(await world.goOn(BLOB, [upload]), 'digest');
        assert.equal(world.targetDriver.callsOf('begin').length, 1);
        assert.deepEqual(world.reports[0], closed(upload));
      });
    }
  });

  it('fails as a new one would, once, when it is not the upload’s fault', async () => {
    const denied: Fault = { on: 'part', times: 2, does: fails('denied') };
    await inWorld({ targetFaults: [denied], concurrency: 1, slabBudgetBytes: PART_BYTES }, async (world) => {
      world.put(BLOB, BYTES);
      const upload = await world.leaveUpload(BLOB, [partOf(1)]);
      assertNotCopied(await world.goOn(BLOB, [upload]), 'failed', /scripted denied/);
      world.assertAbsent(BLOB);
      assert.equal(world.targetDriver.callsOf('begin').length, 1);
    });
    const down: Fault = { on: 'part', does: fails('unavailable', { isTransient: true }) };
    await inWorld({ targetFaults: [down] }, async (world) => {
      world.put(BLOB, BYTES);
      const upload = await world.leaveUpload(BLOB, [partOf(1)]);
      assertNotCopied(await world.goOn(BLOB, [upload]), 'failed', /scripted unavailable/);
      assert.equal(world.targetDriver.callsOf('begin').length, 0);
    });
  });

  it('ends the run for an error of the whole backend, and stays for the next one when it was not touched', async () => {
    await inWorld({}, async (world) => {
      world.put(BLOB, BYTES);
      const upload = await world.leaveUpload(BLOB, [partOf(1)]);
      refuseToListParts(world, 'denied', { scope: 'backend' });
      await assert.rejects(world.goOn(BLOB, [upload]), /scripted denied/);
      assert.equal(world.targetDriver.callsOf('abort').length, 0);
      assert.equal(world.target.uploads.size, 1);
      world.target.uploads.clear();
    });
  });

  it('is aborted when the run is stopped while it is continued', async () => {
    const abort = new AbortController();
    const does = hangs(() => abort.abort(new Error('stopped by the user')));
    const options = { signal: abort.signal, targetFaults: [{ on: 'part', does }] } as const;
    await inWorld(options, async (world) => {
      world.put(BLOB, BYTES);
      const upload = await world.leaveUpload(BLOB, [partOf(1)]);
      await assert.rejects(world.goOn(BLOB, [upload]), /stopped by the user/);
      assert.deepEqual(world.reports, [closed(upload)]);
    });
  });
});

describe('A new upload', () => {
  it('is told of before its first part is sent, and when it is over', async () => {
    let seen = undefined as unknown as CopyWorld;
    const atFirstPart: unknown[] = [];
    const look = first(() => atFirstPart.push(...seen.reports));
    await inWorld({ targetFaults: [{ on: 'part', does: look }] }, async (world) => {
      seen = world;
      assertCopied(await world.copy(world.put(BLOB, BYTES)), 'digest');
      const [open, end] = world.reports;
      assert.ok(open?.type === 'upload' && open.state === 'open' && open.upload.key === BLOB);
      assert.deepEqual(atFirstPart, [open]);
      assert.deepEqual(end, closed(open.upload));
      assert.equal(world.reports.length, 2);
    });
  });

  it('stays told of as open when it can be neither completed nor aborted', async () => {
    const targetFaults: readonly Fault[] = [
      { on: 'part', does: fails('unavailable') },
      { on: 'abort', does: fails('unavailable') },
    ];
    await inWorld({ targetFaults }, async (world) => {
      assertNotCopied(await world.copy(world.put(BLOB, BYTES)), 'failed', /scripted unavailable/);
      assert.equal(world.reports.length, 1);
      world.target.uploads.clear();
    });
  });
});
