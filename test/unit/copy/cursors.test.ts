/** A thread that dies, at whatever moment, has its shard gone on with from its cursor: nothing is lost or counted twice. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import fc from 'fast-check';
import type { ShardOutcome } from '../../../src/copy/run-shard.ts';
import type { Shard, WorkerReport } from '../../../src/copy/shard.ts';
import { allocateCounters, CounterReader, CounterWriter, restoreRow } from '../../../src/core/counters.ts';
import { type Effect, type Fault, fails, first, Gate } from '../../support/fault-driver.ts';
import { type CopyWorld, inWorld, type WorldOptions } from './copy-world.ts';
import { figures } from './figures.ts';
import { blobPath, layerLinkPath, linkText, otherPath, revisionLinkPath, tagPath } from './registry-names.ts';

type Cursor = Extract<WorkerReport, { type: 'cursor' }>;

const NAMES: Shard = { id: 'names-1', phase: 'names', range: { prefix: '' } };

interface Entry {
  readonly path: string;
  readonly text: string;
  /** `equal`: in the target already; `extra`: only there; `unreadable` and `wrong` end as exceptions. */
  readonly is: 'new' | 'equal' | 'extra' | 'unreadable' | 'wrong';
}

const entry: fc.Arbitrary<Entry> = fc
  .record({
    repository: fc.constantFrom('a', 'a/b', 'b', 'lib/x', 'z'),
    kind: fc.constantFrom('layer', 'layer', 'revision', 'tag', 'other', 'upload', 'blob'),
    number: fc.integer({ min: 0, max: 20 }),
    is: fc.constantFrom<Entry['is']>(
      ...(['new', 'new', 'new', 'equal', 'equal', 'extra', 'unreadable', 'wrong'] as const),
    ),
  })
  .map(({ repository, kind, number, is }) => {
    const content = `content ${number}`;
    if (kind === 'layer') return { path: layerLinkPath(repository, content), text: linkText(content), is };
    if (kind === 'revision')
      return { path: revisionLinkPath(repository, content), text: linkText(content), is };
    if (kind === 'tag') return { path: tagPath(repository, `v${number}`), text: linkText(content), is };
    if (kind === 'blob') return { path: blobPath(content), text: content, is };
    const folder = kind === 'upload' ? `_uploads/${number}/data` : `note ${number}`;
    return { path: otherPath(`${repository}/${folder}`), text: content, is };
  });

const tree = fc
  .array(entry, { minLength: 1, maxLength: 40 })
  .map((entries) => [...new Map(entries.map((one) => [one.path, one])).values()]);

/** Only links can be wrong by themselves: their path says what they must hold. */
function isWrong({ is, path }: Entry): boolean {
  return is === 'wrong' && path.endsWith('/link') && !path.includes('/tags/');
}

/** Of blobs and uploads this phase reads nothing, and tags may be held back. */
function isAlwaysRead(path: string): boolean {
  return /\/repositories\/(?!.*\/(_uploads|tags)\/)/.test(path);
}

function worldOptions(entries: readonly Entry[], given: WorldOptions): WorldOptions {
  const sourceFaults: Fault[] = [];
  for (const { path, is } of entries) {
    if (is === 'unreadable' && isAlwaysRead(path))
      sourceFaults.push({ on: 'read', key: path, times: 'always', does: fails('denied') });
  }
  return { ...given, sourceFaults };
}

function fill(world: CopyWorld, entries: readonly Entry[]): void {
  for (const one of entries) {
    if (one.is !== 'extra') world.put(one.path, isWrong(one) ? linkText('something else') : one.text);
    if (one.is === 'equal' || one.is === 'extra') world.putTarget(one.path, one.text);
  }
}

function exceptions(outcome: ShardOutcome): readonly string[] {
  return outcome.exceptions.map(({ state, path }) => `${state} ${path}`).sort();
}

function extras({ extras: named, extrasUnnamed, extrasKept }: ShardOutcome): unknown {
  return { named, extrasUnnamed, extrasKept };
}

interface Death {
  readonly last: Cursor;
  readonly outcome: ShardOutcome;
}

/** A thread with a row of its own, that dies at one of its reports. */
async function thread(
  world: CopyWorld,
  shard: Shard,
  counters: CounterWriter,
  diesAtReport: number,
): Promise<Death> {
  const stop = new AbortController();
  const cursors: Cursor[] = [];
  const outcome = await world.shard(shard, {
    counters,
    signal: stop.signal,
    report: (report) => {
      if (report.type === 'cursor' && !stop.signal.aborted) cursors.push(report);
      if (cursors.length === diesAtReport) stop.abort(new Error('out of memory'));
    },
  });
  const last = cursors.at(-1);
  assert.ok(last, 'a thread reported nothing');
  return { last, outcome };
}

function cursorsOf(world: CopyWorld): readonly Cursor[] {
  return world.reports.filter((report) => report.type === 'cursor');
}

function putNotes(world: CopyWorld, count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => world.put(otherPath(`app/note ${at}`), `note ${at}`));
}

describe('The cursor of a shard', () => {
  it('is told at its start without a place, and then as often as asked for', async () => {
    await inWorld({ concurrency: 1, lookAheadBytes: 0, cursorObjects: 3 }, async (world) => {
      const notes = putNotes(world, 10);
      await world.shard(NAMES);
      const [start, ...cursors] = cursorsOf(world);
      assert.deepEqual(start, { type: 'cursor', shard: 'names-1', row: 0, values: start?.values });
      assert.ok(start?.values.every((value) => value === 0));
      assert.ok(cursors.length >= 2, `${cursors.length} cursors`);
      let told = 0;
      for (const { after, row, values } of cursors) {
        const counted = allocateCounters(1);
        restoreRow(counted, row, values);
        const reached = notes.indexOf(after ?? '') + 1;
        assert.ok(reached >= told + 3, `it stands at ${after}, ${reached - told} objects further`);
        told = reached;
        // What the copy holds of them went over as copied before; the row that is set back here had none.
        assert.equal(new CounterReader(counted).objects('skipped'), reached);
      }
      const places = cursors.map(({ after }) => after ?? '');
      assert.deepEqual(places, [...places].sort(), 'it went back');
    });
  });

  it('is told only once what lies before it survives a power cut, and not at all if that fails', async () => {
    const flushing = new Gate();
    const slow = {
      concurrency: 2,
      cursorObjects: 2,
      targetFaults: [{ on: 'flush', does: flushing.effect }],
    } as const;
    await inWorld(slow, async (world) => {
      putNotes(world, 5);
      const running = world.shard(NAMES);
      await flushing.reached;
      for (let turn = 0; turn < 50; turn += 1) await settled();
      assert.equal(cursorsOf(world).length, 1, 'it was told before the flush');
      flushing.open();
      assert.equal((await running).stoppedBy, undefined);
      assert.ok(cursorsOf(world).length > 1);
    });
    const full: Fault = { on: 'flush', does: fails('no-space') };
    await inWorld({ cursorObjects: 2, targetFaults: [full] }, async (world) => {
      putNotes(world, 50);
      const { stoppedBy } = await world.shard(NAMES);
      assert.match(String(stoppedBy), /scripted no-space/);
      assert.equal(cursorsOf(world).length, 1);
    });
  });

  it('does not pass what is still on its way, nor the tags that wait for it', async () => {
    const gate = new Gate();
    const slow = layerLinkPath('app', 'layer');
    const targetFaults: readonly Fault[] = [{ on: 'write', key: slow, does: gate.effect }];
    await inWorld({ cursorObjects: 1, concurrency: 20, targetFaults }, async (world) => {
      const note = world.put(otherPath('aaa/note'), 'before all others');
      world.put(slow, linkText('layer'));
      world.put(tagPath('app', 'v1'), linkText('layer'));
      for (let at = 0; at < 10; at += 1) world.put(layerLinkPath(`zoo${at}`, 'layer'), linkText('layer'));
      const running = world.shard(NAMES);
      await gate.reached;
      for (let turn = 0; turn < 50; turn += 1) await settled();
      assert.ok(world.inTarget(layerLinkPath('zoo9', 'layer')), 'nothing else went on');
      assert.deepEqual(
        cursorsOf(world)
          .map(({ after }) => after)
          .slice(1),
        [note],
      );
      gate.open();
      await running;
    });
  });

  it('passes what vanished while people worked on, but not from a frozen source', async () => {
    for (const isFrozen of [false, true]) {
      let gone = undefined as unknown as CopyWorld;
      const deleted = otherPath('app/note 1');
      const sourceFaults: readonly Fault[] = [
        { on: 'read', key: deleted, does: first(() => gone.source.remove(deleted)) },
      ];
      await inWorld(
        { isFrozen, concurrency: 1, lookAheadBytes: 0, cursorObjects: 1, sourceFaults },
        async (world) => {
          gone = world;
          const notes = putNotes(world, 9);
          await world.shard(NAMES);
          const last = cursorsOf(world).at(-1)?.after ?? '';
          assert.ok(isFrozen ? last === notes[0] : last > deleted, `it stands at ${last}`);
        },
      );
    }
  });

  it('goes back to the start when the listing turns out to be out of order', async () => {
    const swaps: Effect = { onPage: (page) => ({ ...page, objects: [...page.objects].reverse() }) };
    const options: WorldOptions = {
      cursorObjects: 1,
      concurrency: 1,
      source: { pageObjectsMax: 3 },
      sourceFaults: [{ on: 'list', nth: 3, does: swaps }],
    };
    await inWorld(options, async (world) => {
      putNotes(world, 9);
      assert.equal((await world.shard(NAMES)).stoppedBy, undefined);
      const places = cursorsOf(world).map(({ after }) => after);
      const again = places.lastIndexOf(undefined);
      assert.ok(again > 1, 'no cursor before it, or none after');
      const before = cursorsOf(world)[again];
      assert.ok(before);
      assert.equal(world.counters.objects('copied'), 9);
      assert.equal(world.counters.objects('skipped'), 0);
    });
  });
});

describe('A shard that is gone on with from its cursor', () => {
  const options: fc.Arbitrary<WorldOptions> = fc
    .record({
      isFrozen: fc.boolean(),
      concurrency: fc.integer({ min: 1, max: 6 }),
      lookAheadBytes: fc.constantFrom(0, 0, 4_096, 1024 ** 2),
      cursorObjects: fc.integer({ min: 1, max: 6 }),
      // One of them in three runs, so that in the others cursors go far.
      extrasMax: fc.constantFrom(...[0, 2, 100].flatMap((max) => [max, undefined, undefined])),
      source: fc.record({ pageObjectsMax: fc.constantFrom(2, 7, 1000), asksBeforeFolders: fc.boolean() }),
      target: fc.record({ pageObjectsMax: fc.constantFrom(3, 1000) }),
    })
    .map(({ extrasMax, ...rest }) => (extrasMax === undefined ? rest : { ...rest, extrasMax }));
  const deaths = fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 4 });

  it('counts every object once, names every exception and loses none, whenever threads die', async () => {
    await fc.assert(
      fc.asyncProperty(tree, options, deaths, async (entries, given, deathsAt) => {
        const reference = await undisturbed(entries, given);
        await inWorld(worldOptions(entries, given), async (world) => {
          fill(world, entries);
          const memory = allocateCounters(deathsAt.length + 1);
          let shard = NAMES;
          let outcome: ShardOutcome | undefined;
          for (const diesAt of [...deathsAt, Number.POSITIVE_INFINITY]) {
            const counters = new CounterWriter(memory);
            const death = await thread(world, shard, counters, diesAt);
            outcome = death.outcome;
            if (outcome.stoppedBy === undefined) break;
            counters.gauge('objectsInFlight', 3);
            restoreRow(memory, death.last.row, death.last.values);
            const { after } = death.last;
            if (after !== undefined) shard = { ...shard, range: { ...shard.range, after } };
          }
          assert.ok(outcome);
          assert.equal(outcome.stoppedBy, undefined);
          assert.deepEqual(exceptions(outcome), reference.exceptions);
          assert.deepEqual(extras(outcome), reference.extras);
          assert.deepEqual(figures(new CounterReader(memory)), reference.figures);
          assert.deepEqual([...world.target.keys()].sort(), reference.keys);
        });
      }),
      { numRuns: 400 },
    );
  });

  async function undisturbed(entries: readonly Entry[], given: WorldOptions) {
    const found = {
      figures: {},
      exceptions: [] as readonly string[],
      keys: [] as readonly string[],
      extras: {},
    };
    await inWorld(worldOptions(entries, { ...given, cursorObjects: 1_000 }), async (one) => {
      fill(one, entries);
      const outcome = await one.shard(NAMES);
      assert.equal(outcome.stoppedBy, undefined);
      found.exceptions = exceptions(outcome);
      found.extras = extras(outcome) as object;
      found.figures = figures(one.counters);
      found.keys = [...one.target.keys()].sort();
    });
    return found;
  }
});
