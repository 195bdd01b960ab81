import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import type { ShardOutcome } from '../../src/copy/run-shard.ts';
import type { ObjectInfo } from '../../src/drivers/driver.ts';
import { msrLayout } from '../../src/layout/msr.ts';
import { rawLayout } from '../../src/layout/raw.ts';
import { type Effect, type Fault, fails, first, flipsByte, Gate, hangs } from '../support/fault-driver.ts';
import { type CopyWorld, inWorld } from '../unit/copy/copy-world.ts';
import {
  blobPath,
  layerLinkPath,
  linkText,
  otherPath,
  revisionLinkPath,
  tagPath,
} from '../unit/copy/registry-names.ts';

function putRepository(world: CopyWorld, name: string, tags: readonly string[] = ['v1']): void {
  world.put(layerLinkPath(name, 'layer'), linkText('layer'));
  world.put(revisionLinkPath(name, 'manifest'), linkText('manifest'));
  for (const tag of tags) world.put(tagPath(name, tag), linkText('manifest'));
}

function states(outcome: ShardOutcome): readonly string[] {
  return outcome.exceptions.map(({ state, path }) => `${state} ${path}`).sort();
}

function stoppedBy(outcome: ShardOutcome): string {
  return outcome.stoppedBy instanceof Error ? outcome.stoppedBy.message : String(outcome.stoppedBy);
}

async function turns(count = 30): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await settled();
}

describe('runShard() and the tags of a repository', () => {
  it('write none before everything of the repository that comes before them is written', async () => {
    const gate = new Gate();
    const slow = layerLinkPath('app', 'layer');
    await inWorld({ targetFaults: [{ on: 'write', key: slow, does: gate.effect }] }, async (world) => {
      putRepository(world, 'app', ['v1', 'v2']);
      putRepository(world, 'zoo');
      const running = world.wholePhase('names');
      await gate.reached;
      await turns();
      world.assertAbsent(tagPath('app', 'v1'));
      world.assertAbsent(tagPath('app', 'v2'));
      assert.equal(world.targetDriver.callsOf('write', tagPath('app', 'v1')).length, 0);
      assert.ok(world.inTarget(tagPath('zoo', 'v1')), 'another repository waits as well');
      gate.open();
      assert.equal((await running).stoppedBy, undefined);
      assert.equal(world.inTarget(tagPath('app', 'v2'))?.toString(), linkText('manifest'));
      assert.equal(world.counters.objects('copied'), 7);
    });
  });

  it('wait with one object at a time just as well', async () => {
    await inWorld({ concurrency: 1 }, async (world) => {
      for (const name of ['app', 'app/sub', 'zoo']) putRepository(world, name, ['v1', 'v2']);
      assert.equal((await world.wholePhase('names')).stoppedBy, undefined);
      const order = world.targetDriver.callsOf('write').map((call) => call.key);
      for (const name of ['app', 'app/sub', 'zoo']) {
        const link = order.indexOf(revisionLinkPath(name, 'manifest'));
        assert.ok(link >= 0 && link < order.indexOf(tagPath(name, 'v1')), name);
      }
      assert.equal(order.length, 12);
    });
  });

  it('are held back, said as failed, when something before them failed; other repositories are not', async () => {
    const broken = revisionLinkPath('app', 'manifest');
    const targetFaults: readonly Fault[] = [{ on: 'write', key: broken, does: fails('denied') }];
    await inWorld({ isFrozen: true, targetFaults }, async (world) => {
      putRepository(world, 'app', ['v1', 'v2']);
      putRepository(world, 'app/sub');
      putRepository(world, 'zoo');
      const outcome = await world.wholePhase('names');
      assert.deepEqual(states(outcome), [
        `failed ${broken}`,
        `failed ${tagPath('app', 'v1')}`,
        `failed ${tagPath('app', 'v2')}`,
      ]);
      assert.match(outcome.exceptions.at(-1)?.error.message ?? '', /was held back/);
      world.assertAbsent(tagPath('app', 'v1'));
      assert.ok(world.inTarget(tagPath('app/sub', 'v1')) && world.inTarget(tagPath('zoo', 'v1')));
      assert.equal(world.counters.objects('failed', 'tag'), 2);
    });
  });

  it('are held back until the next pass, said as unsettled, when something before them is unsettled', async () => {
    await inWorld({ isFrozen: false }, async (world) => {
      putRepository(world, 'app');
      const broken = world.put(revisionLinkPath('app', 'manifest'), '');
      const outcome = await world.wholePhase('names');
      assert.deepEqual(states(outcome), [`unsettled ${broken}`, `unsettled ${tagPath('app', 'v1')}`]);
      world.assertAbsent(tagPath('app', 'v1'));
      assert.equal(world.counters.objects('failed'), 0);

      world.put(broken, linkText('manifest'));
      assert.deepEqual(states(await world.wholePhase('names')), []);
      assert.ok(world.inTarget(tagPath('app', 'v1')));
    });
  });

  it('are not held back by a link that vanished while people worked on', async () => {
    let gone = undefined as unknown as CopyWorld;
    const deleted = revisionLinkPath('app', 'an old manifest');
    const sourceFaults: readonly Fault[] = [
      { on: 'read', key: deleted, does: first(() => gone.source.remove(deleted)) },
    ];
    await inWorld({ isFrozen: false, sourceFaults }, async (world) => {
      gone = world;
      putRepository(world, 'app');
      world.put(deleted, linkText('an old manifest'));
      assert.deepEqual(states(await world.wholePhase('names')), [`vanished ${deleted}`]);
      assert.ok(world.inTarget(tagPath('app', 'v1')));
    });
  });

  it('are held back by a link that vanished from a frozen source', async () => {
    let gone = undefined as unknown as CopyWorld;
    const deleted = revisionLinkPath('app', 'manifest');
    const sourceFaults: readonly Fault[] = [
      { on: 'read', key: deleted, does: first(() => gone.source.remove(deleted)) },
    ];
    await inWorld({ isFrozen: true, sourceFaults }, async (world) => {
      gone = world;
      putRepository(world, 'app');
      assert.deepEqual(states(await world.wholePhase('names')), [
        `failed ${tagPath('app', 'v1')}`,
        `vanished ${deleted}`,
      ]);
    });
  });

  it('go along with damaged links: what they name was dangling in the source', async () => {
    await inWorld({ isFrozen: true }, async (world) => {
      putRepository(world, 'app');
      const damaged = world.put(layerLinkPath('app', 'layer'), linkText('another layer'));
      assert.deepEqual(states(await world.wholePhase('names')), [`damaged ${damaged}`]);
      assert.ok(world.inTarget(tagPath('app', 'v1')));
    });
  });

  it('are held back even where hundreds of other repositories lie between', async () => {
    const broken = layerLinkPath('org/app', 'layer');
    const targetFaults: readonly Fault[] = [{ on: 'write', key: broken, does: fails('denied') }];
    await inWorld({ isFrozen: true, targetFaults, concurrency: 2 }, async (world) => {
      putRepository(world, 'org/app');
      for (let at = 0; at < 200; at += 1) {
        putRepository(world, `before/${at}`);
        putRepository(world, `org/app/0${at}`);
        putRepository(world, `zoo/${at}`);
      }
      assert.deepEqual(states(await world.wholePhase('names')), [
        `failed ${broken}`,
        `failed ${tagPath('org/app', 'v1')}`,
      ]);
      assert.equal(world.counters.objects('copied', 'tag'), 600);
    });
  });
});

describe('runShard() and what it leaves out', () => {
  it('counts what is left out once, however many shards see it, and names the first ten', async () => {
    for (const asksBeforeFolders of [false, true]) {
      await inWorld({ source: { asksBeforeFolders }, threads: 4 }, async (world) => {
        for (let at = 0; at < 60; at += 1) {
          putRepository(world, `app${at}`);
          world.put(otherPath(`app${at}/_uploads/1/data`), 'half a layer');
        }
        const outcomes = await world.pass();
        assert.ok(outcomes.length > 10, 'too few shards to show anything');
        assert.equal(world.counters.count('leftOut'), 60);
        const named = outcomes.flatMap((outcome) => outcome.leftOut);
        assert.equal(new Set(named).size, named.length, 'something was named twice');
      });
    }
  });

  it('names no more than ten of one shard', async () => {
    await inWorld({}, async (world) => {
      for (let at = 0; at < 12; at += 1) world.put(otherPath(`app/_uploads/${at}/data`), 'half a layer');
      const outcome = await world.wholePhase('names');
      assert.equal(outcome.leftOut.length, 10);
      assert.equal(outcome.leftOut[0], otherPath('app/_uploads/0/data'));
      assert.equal(world.counters.count('leftOut'), 12);
    });
  });
});

describe('runShard() and what it counts', () => {
  it('counts objects and bytes by state and class, and what is unproved', async () => {
    const source = { hides: ['md5', 'checksums'] } as const;
    await inWorld({ isFrozen: true, source, target: source }, async (world) => {
      world.put(blobPath('a blob'), 'a blob');
      world.put(blobPath('there'), 'there');
      world.putTarget(blobPath('there'), 'there');
      world.put(blobPath('right'), 'wrong');
      putRepository(world, 'app');
      world.put(otherPath('app/note'), 'note');
      await world.pass();
      const { counters } = world;
      assert.deepEqual([counters.objects('copied', 'blob'), counters.bytes('copied', 'blob')], [1, 6]);
      assert.deepEqual([counters.objects('skipped', 'blob'), counters.bytes('skipped', 'blob')], [1, 5]);
      assert.deepEqual([counters.objects('damaged', 'blob'), counters.bytes('damaged', 'blob')], [1, 5]);
      assert.deepEqual([counters.objects('copied', 'link'), counters.bytes('copied', 'link')], [2, 142]);
      assert.deepEqual([counters.objects('copied', 'tag'), counters.objects('copied', 'other')], [1, 1]);
      // The tag and the note: nothing says what they should be.
      assert.equal(counters.count('unproved'), 2);
      assert.equal(counters.count('listedSource'), 7);
    });
  });

  it('makes what it wrote durable before it says that it is done', async () => {
    await inWorld({}, async (world) => {
      putRepository(world, 'app');
      await world.wholePhase('names');
      const calls = world.targetDriver.calls.map((call) => call.operation).filter((one) => one !== 'list');
      assert.deepEqual(calls, ['write', 'write', 'write', 'flush']);
    });
    await inWorld({ targetFaults: [{ on: 'flush', does: fails('no-space') }] }, async (world) => {
      putRepository(world, 'app');
      assert.match(stoppedBy(await world.wholePhase('names')), /scripted no-space/);
    });
  });
});

describe('runShard() that cannot go on', () => {
  it('stops at an error of the whole backend, with what it had found until then', async () => {
    const full: Fault = { on: 'write', nth: 5, does: fails('no-space', { scope: 'backend' }) };
    await inWorld(
      { layout: rawLayout, isFrozen: true, targetFaults: [full], concurrency: 2 },
      async (world) => {
        for (let at = 0; at < 500; at += 1) world.put(`key ${String(at).padStart(3, '0')}`, `content ${at}`);
        const outcome = await world.wholePhase('names');
        assert.match(stoppedBy(outcome), /scripted no-space/);
        assert.ok(world.targetDriver.callsOf('write').length < 10, 'it went on writing');
        assert.equal(world.targetDriver.callsOf('flush').length, 0);
      },
    );
  });

  it('stops when either side cannot be listed', async () => {
    for (const side of ['sourceFaults', 'targetFaults'] as const) {
      const broken: Fault = { on: 'list', nth: 2, does: fails('denied') };
      const shape = { pageObjectsMax: 2 };
      await inWorld({ [side]: [broken], source: shape, target: shape }, async (world) => {
        putRepository(world, 'app');
        world.putTarget(otherPath('app/0'), 'x');
        world.putTarget(otherPath('app/1'), 'x');
        world.putTarget(otherPath('app/2'), 'x');
        assert.match(stoppedBy(await world.wholePhase('names')), /scripted denied/);
      });
    }
  });

  it('stops the objects that still wait when another one, or a listing, ends the run', async () => {
    const full: Fault = { on: 'write', nth: 2, does: fails('no-space', { scope: 'backend' }) };
    const unlisted: Fault = { on: 'list', nth: 2, does: fails('denied') };
    for (const [side, fault, reason] of [
      ['targetFaults', full, /scripted no-space/],
      ['sourceFaults', unlisted, /scripted denied/],
    ] as const) {
      const waits: Fault = { on: 'write', nth: 1, does: hangs() };
      const targetFaults = side === 'targetFaults' ? [waits, fault] : [waits];
      const sourceFaults = side === 'sourceFaults' ? [fault] : [];
      const options = { layout: rawLayout, source: { pageObjectsMax: 2 }, sourceFaults, targetFaults };
      await inWorld(options, async (world) => {
        for (const key of ['a', 'b', 'c']) world.put(key, key);
        assert.match(stoppedBy(await world.wholePhase('names')), reason);
        world.assertAbsent('a');
      });
    }
  });

  it('stops after 10,000 failed objects, and names those', async () => {
    const targetFaults: readonly Fault[] = [{ on: 'write', times: 'always', does: fails('denied') }];
    await inWorld({ layout: rawLayout, targetFaults, concurrency: 4 }, async (world) => {
      for (let at = 0; at < 10_100; at += 1) world.put(`key ${at}`, 'content');
      const outcome = await world.wholePhase('names');
      assert.match(stoppedBy(outcome), /10000 objects of one shard failed, the last one: .*scripted denied/);
      assert.ok(outcome.exceptions.length >= 10_000 && outcome.exceptions.length < 10_010);
      assert.equal(world.counters.objects('failed'), outcome.exceptions.length);
    });
  });

  it('goes on, with lists that stay bounded, when garbage is collected under a live pass', async () => {
    let gone = undefined as unknown as CopyWorld;
    const removesAll = first(() => {
      for (const key of gone.source.keys()) if (key !== 'zzz') gone.source.remove(key);
    });
    const sourceFaults: readonly Fault[] = [{ on: 'read', does: removesAll }];
    const source = { pageObjectsMax: 20_000 };
    await inWorld({ layout: rawLayout, source, sourceFaults }, async (world) => {
      gone = world;
      for (let at = 0; at < 12_000; at += 1) world.put(`key ${at}`, 'content');
      world.put('zzz', 'the last one');
      const outcome = await world.wholePhase('names');
      assert.equal(outcome.stoppedBy, undefined);
      assert.equal(world.counters.objects('vanished'), 12_000);
      assert.equal(world.counters.objects('copied'), 1);
      assert.ok(outcome.exceptions.length > 0 && outcome.exceptions.length <= 10_000);
    });
  });

  it('ends soon after an abort, whatever it waits for, and leaves nothing half-done', async () => {
    const slow = layerLinkPath('app', 'layer');
    const places: readonly (readonly ['sourceFaults' | 'targetFaults', Fault['on'], string | undefined])[] = [
      ['sourceFaults', 'list', undefined],
      ['targetFaults', 'list', undefined],
      ['sourceFaults', 'read', slow],
      ['targetFaults', 'write', slow],
      ['targetFaults', 'flush', undefined],
    ];
    for (const [side, on, key] of places) {
      const abort = new AbortController();
      const does = hangs(() => abort.abort(new Error('stopped by the user')));
      const fault: Fault = { on, does, ...(key === undefined ? {} : { key }) };
      await inWorld({ signal: abort.signal, [side]: [fault], concurrency: 3 }, async (world) => {
        for (const name of ['app', 'bee', 'cat', 'dog']) putRepository(world, name, ['v1', 'v2', 'v3']);
        const outcome = await world.wholePhase('names');
        assert.match(stoppedBy(outcome), /stopped by the user/, `${side} ${on}`);
        assert.deepEqual(states(outcome), [], 'an abort is no failure of an object');
      });
    }
  });
});

describe('runShard() over listings out of order', () => {
  /** The first page of many comes with its last object first. */
  function swapsEnds(): Effect {
    return {
      onPage: ({ objects, prefixes }) => {
        const [head, ...rest] = objects;
        const last = rest.pop();
        const swapped: readonly ObjectInfo[] = head && last ? [last, ...rest, head] : objects;
        return { objects: swapped, prefixes };
      },
    };
  }

  it('sorts first, copies everything, counts each object once and says so once', async () => {
    const shape = { pageObjectsMax: 7 };
    for (const [side, pages] of [
      ['sourceFaults', [1, 2, 5]],
      ['targetFaults', [1, 2, 3]],
    ] as const) {
      for (const nth of pages) {
        const fault: Fault = { on: 'list', nth, times: 'always', does: swapsEnds() };
        await inWorld({ source: shape, target: shape, [side]: [fault] }, async (world) => {
          for (let at = 0; at < 30; at += 1) putRepository(world, `app${at}`);
          for (let at = 0; at < 15; at += 1) {
            world.putTarget(layerLinkPath(`app${at}`, 'layer'), linkText('layer'));
            world.put(otherPath(`app${at}/_uploads/1/data`), 'half');
          }
          world.putTarget(otherPath('z'), 'x');
          const outcome = await world.wholePhase('names');
          assert.equal(outcome.stoppedBy, undefined);
          assert.deepEqual(states(outcome), []);
          assert.equal(outcome.warnings.length, 1);
          assert.match(outcome.warnings[0] ?? '', /out of order.*names-1 sorts its listings first/);
          const { counters } = world;
          assert.equal(counters.count('sortedShards'), 1);
          assert.equal(counters.objects('copied') + counters.objects('skipped'), 90);
          assert.equal(counters.objects('skipped'), 15);
          assert.equal(counters.bytes('copied'), 75 * 71);
          assert.equal(counters.count('leftOut'), 15);
          assert.equal(counters.count('listedSource'), 105);
          for (let at = 0; at < 30; at += 1) assert.ok(world.inTarget(tagPath(`app${at}`, 'v1')));
        });
      }
    }
  });

  it('counts what failed or is damaged once as well', async () => {
    const broken = layerLinkPath('app0', 'layer');
    const shape = { pageObjectsMax: 7 };
    const sourceFaults: readonly Fault[] = [{ on: 'list', nth: 6, does: swapsEnds() }];
    const targetFaults: readonly Fault[] = [{ on: 'write', key: broken, times: 2, does: fails('denied') }];
    const options = { isFrozen: true, concurrency: 1, source: shape, sourceFaults, targetFaults };
    await inWorld(options, async (world) => {
      for (let at = 0; at < 20; at += 1) putRepository(world, `app${at}`);
      const damaged = world.put(layerLinkPath('app1', 'layer'), linkText('another'));
      const outcome = await world.wholePhase('names');
      assert.deepEqual(states(outcome), [
        `damaged ${damaged}`,
        `failed ${broken}`,
        `failed ${tagPath('app0', 'v1')}`,
      ]);
      assert.equal(world.counters.objects('failed'), 2);
      assert.equal(world.counters.objects('damaged'), 1);
      assert.equal(world.counters.objects('copied'), 57);
    });
  });

  it('sorts from the start, without a warning, where the backend promises no order', async () => {
    const unsorted = { pageObjectsMax: 4, facts: { listOrder: 'unsorted' } } as const;
    const shuffled: readonly Fault[] = [{ on: 'list', times: 'always', does: swapsEnds() }];
    await inWorld(
      { source: unsorted, target: unsorted, sourceFaults: shuffled, targetFaults: shuffled },
      async (world) => {
        for (let at = 0; at < 20; at += 1) putRepository(world, `app${at}`);
        const outcomes = await world.pass();
        assert.equal(world.counters.objects('copied'), 60);
        assert.deepEqual(
          outcomes.flatMap((outcome) => outcome.warnings),
          [],
        );
        await world.pass();
        assert.equal(world.counters.objects('skipped'), 60);
      },
    );
  });
});

describe('a whole pass over a source that changes', () => {
  it('copies in the second pass what the first one had to leave, and nothing else', async () => {
    let world1 = undefined as unknown as CopyWorld;
    const late = blobPath('a blob still being written');
    const sourceFaults: readonly Fault[] = [
      { on: 'read', key: late, times: 2, does: {} },
      { on: 'read', key: blobPath('flaky'), does: flipsByte(0) },
    ];
    await inWorld({ sourceFaults, layout: msrLayout }, async (world) => {
      world1 = world;
      world1.put(late, 'a blob still');
      world.put(blobPath('flaky'), 'flaky');
      putRepository(world, 'app');
      const [first] = await world.pass();
      assert.ok(first);
      assert.equal(world.counters.objects('unsettled'), 1);
      world.put(late, 'a blob still being written');
      world.put(tagPath('app', 'v1'), linkText('another manifest'));
      await world.pass();
      assert.equal(world.inTarget(late)?.toString(), 'a blob still being written');
      assert.equal(world.inTarget(tagPath('app', 'v1'))?.toString(), linkText('another manifest'));
      assert.equal(world.counters.objects('copied'), 6);
      assert.equal(world.counters.objects('skipped'), 3);
    });
  });
});
