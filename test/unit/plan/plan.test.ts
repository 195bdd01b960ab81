import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { StorageError } from '../../../src/core/errors.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import { planExitCodeOf } from '../../../src/plan/summary.ts';
import { passAndDelete } from '../coordinator/deletion-world.ts';
import type { CopyWorld } from '../copy/copy-world.ts';
import { blobPath, layerLinkPath, linkText, tagPath } from '../copy/registry-names.ts';
import { assertAsPlanned, contentOf, copySeen, inPlanWorld, planOf, takeListings } from './plan-world.ts';

/** One object of a source, and what the target has in its place. */
interface Entry {
  readonly path: string;
  readonly content: string;
  readonly target: 'none' | 'same' | 'other' | 'longer';
}

const content = fc
  .integer({ min: 0, max: 30 })
  .map((number) => `content ${number}`.padEnd(number * 700, '.'));
const repository = fc.constantFrom('a', 'library/b', 'c-d');
const object = fc.oneof(
  content.map((text) => ({ path: blobPath(text), content: text })),
  fc.tuple(repository, content).map(([name, text]) => ({
    path: layerLinkPath(name, text),
    content: linkText(text),
  })),
  fc.tuple(repository, fc.constantFrom('latest', 'v1'), content).map(([name, tag, text]) => ({
    path: tagPath(name, tag),
    content: linkText(text),
  })),
  fc.tuple(repository, content).map(([name, text]) => ({
    path: `docker/registry/v2/repositories/${name}/_uploads/${text.slice(0, 10)}/data`,
    content: text,
  })),
  fc.tuple(fc.constantFrom('a', 'docker/b', 'docker/registry/v2/c'), content).map(([path, text]) => ({
    path,
    content: text,
  })),
);
const entries = fc.uniqueArray(
  fc
    .tuple(object, fc.constantFrom('none', 'same', 'other', 'longer' as const))
    .map(([one, target]) => ({ ...one, target }) as Entry),
  { selector: ({ path }) => path, maxLength: 40 },
);

function fill(world: CopyWorld, all: readonly Entry[]): void {
  for (const { path, content: text, target } of all) {
    world.put(path, text);
    if (target === 'same') world.putTarget(path, text);
    if (target === 'longer') world.putTarget(path, `${text} and more`);
    // The same length, and other bytes: what a listing without checksums cannot tell.
    if (target === 'other') world.putTarget(path, text.replaceAll(/[a-z0-9]/g, 'x'));
  }
}

describe('runPlan()', () => {
  it('counts and asks for what the copy after it does and asks for, and writes nothing itself', async () => {
    const shapes = fc.constantFrom<readonly ('md5' | 'version')[]>([], ['md5'], ['md5', 'version']);
    const input = fc.record({ all: entries, ownsTarget: fc.boolean(), hides: shapes, raw: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(input, async ({ all, ownsTarget, hides, raw }) => {
        const side = { hides: [...hides], pageObjectsMax: 7, multipart: { partChecksum: 'crc32' } } as const;
        const options = {
          source: side,
          target: side,
          ownsTarget,
          targetPrefix: 'new/',
          ...(raw ? { layout: rawLayout } : {}),
        };
        await inPlanWorld(options, async (world) => {
          fill(world, all);
          const before = contentOf(world.target);
          const plan = await planOf(world, { ownedBefore: async () => ownsTarget });
          assert.deepEqual(contentOf(world.target), before);
          // A conflict holds its repository's tags back, which is the copy's business and not foretold.
          if (plan.objects.conflicting.objects > 0) {
            assert.equal(planExitCodeOf(plan), 3);
            return;
          }
          assert.equal(planExitCodeOf(plan), 0);
          const planned = takeListings(world);
          assertAsPlanned(plan, world, await copySeen(world));
          // Besides, a plan looks whether the target is empty, which a copy does once per job.
          const look = `${world.targetDriver.name}: {"prefix":"new/"}`;
          assert.deepEqual(planned, [...takeListings(world), look].sort());
        });
      }),
      { numRuns: 150 },
    );
  });

  it('counts what only the target has as --delete-extra then finds it, and says what of it goes', async () => {
    const input = fc.record({ all: entries, theirs: entries, hasFolders: fc.boolean(), raw: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(input, async ({ all, theirs, hasFolders, raw }) => {
        const options = {
          isFrozen: true,
          extrasMax: 100,
          targetPrefix: 'new/',
          target: { facts: { hasFolders }, pageObjectsMax: 3 },
          ...(raw ? { layout: rawLayout } : {}),
        };
        await inPlanWorld(options, async (world) => {
          for (const { path, content: text } of all) world.put(path, text);
          for (const { path, content: text } of theirs) world.putTarget(path, text);
          const plan = await planOf(world);
          const expected = theirs
            .filter(({ path }) => !all.some((one) => one.path === path))
            .filter(({ path, content: text }) => !world.ctx.layout.leavesOut(path, text.length));
          // Shard by shard, those of the blobs first.
          const isOfNames = (path: string) =>
            !world.ctx.layout.blobPrefixes.some((one) => path.startsWith(one));
          const paths = expected.map(({ path }) => path).sort(compareUtf8);
          const inOrder = [...paths.filter((path) => !isOfNames(path)), ...paths.filter(isOfNames)];
          assert.deepEqual(plan.extra, inOrder.slice(0, 10));
          const { summary } = await passAndDelete(world);
          assert.equal(plan.objectsToDelete, summary.objectsExtra);
          const found = Object.values(plan.extraByClass);
          assert.equal(
            found.reduce((sum, { objects }) => sum + objects, 0),
            summary.objectsExtra + summary.objectsExtraKept,
          );
          assert.equal(
            found.reduce((sum, { bytes }) => sum + bytes, 0),
            expected.reduce((sum, { content: text }) => sum + text.length, 0),
          );
        });
      }),
      { numRuns: 150 },
    );
  });

  it('promises no removal from a target that was not empty', async () => {
    await inPlanWorld({ ownsTarget: false }, async (world) => {
      world.put(tagPath('a', 'v1'), linkText('x'));
      world.putTarget(tagPath('a', 'v2'), linkText('x'));
      const plan = await planOf(world);
      assert.deepEqual(
        [plan.mayDeleteExtra, plan.objectsToDelete, plan.extraByClass.tag.objects],
        [false, 0, 1],
      );
    });
  });

  it('foretells no copies inside the service that are to be read back for a target that was not empty', async () => {
    for (const ownsTarget of [true, false]) {
      await inPlanWorld({ ownsTarget }, async (world) => {
        world.put(tagPath('app', 'v1'), linkText('any'));
        const found = { way: 'read-back', why: 'found' } as const;
        const { serverSide } = await planOf(world, { serverSide: async () => found });
        assert.equal(serverSide.way, ownsTarget ? 'read-back' : 'none');
        assert.match(serverSide.why, ownsTarget ? /^found$/ : /held something before/);
      });
    }
  });

  it('sees an object of the source where the target has a folder behind its last object', async () => {
    const target = { facts: { hasFolders: true }, pageObjectsMax: 2 };
    await inPlanWorld({ target, layout: rawLayout }, async (world) => {
      world.put('b', 'where a folder is');
      for (let at = 0; at < 9; at += 1) world.putTarget(`b/${at}`, 'in the folder');
      const plan = await planOf(world);
      assert.deepEqual(
        plan.impossible.map(({ path }) => path),
        ['b'],
      );
      assert.equal(plan.objectsToDelete, 9);
    });
  });

  it('names what stands in the way of a copy', async () => {
    await inPlanWorld({ ownsTarget: false, target: { facts: { hasFolders: true } } }, async (world) => {
      const layout = rawLayout;
      for (const path of ['a', 'a-b', 'a/b', 'a/c', 'x/y', 'z', 'too long']) world.put(path, path);
      world.putTarget('x', 'where the folder of x/y would be');
      world.putTarget('z/1', 'in the folder that z would be');
      world.putTarget('z/2', 'as well');
      const plan = await planOf(world, {
        detect: async () => layout,
        whyInvalidKey: (key) => (key.startsWith('too') ? 'it is too long' : undefined),
      });
      assert.deepEqual(
        plan.impossible.map(({ path, why }) => `${path}: ${why?.split(' ')[0]}`),
        ['a/b: "a"', 'a/c: "a"', 'too long: it', 'x/y: "x"', 'z: "z/1"'],
      );
      assert.deepEqual(plan.objects.impossible, { objects: 5, bytes: 3 + 3 + 8 + 3 + 1 });
      assert.deepEqual(plan.objects.missing, { objects: 2, bytes: 4 });
      assert.equal(plan.requests.target.write, 2);
      assert.equal(planExitCodeOf(plan), 1);
    });
  });

  it('sees an object where a later shard has the folder', async () => {
    await inPlanWorld({ target: { facts: { hasFolders: true } } }, async (world) => {
      world.put('docker/registry/v2/blobs', 'an object of this name');
      world.put(blobPath('x'), 'x');
      world.put(tagPath('a', 'latest'), linkText('x'));
      world.putTarget('docker/registry/v2/repositories/a', 'where a repository would be');
      const plan = await planOf(world);
      assert.deepEqual(
        plan.impossible.map(({ path }) => path),
        [blobPath('x'), tagPath('a', 'latest')],
      );
    });
  });

  it('tells an empty target from one that needs --into-nonempty, and from one of this job', async () => {
    await inPlanWorld({}, async (world) => {
      world.put(blobPath('x'), 'x');
      const ownedBefore = async () => undefined;
      const empty = await planOf(world, { ownedBefore });
      assert.partialDeepStrictEqual(empty, { targetIsEmpty: true, needsIntoNonempty: false });
      assert.equal(empty.targetHolds, undefined);
      world.putTarget('other', 'of someone');
      world.putTarget(blobPath('x'), 'longer than x');
      const full = await planOf(world, { ownedBefore });
      assert.partialDeepStrictEqual(full, { targetIsEmpty: false, needsIntoNonempty: true });
      assert.equal(full.targetHolds, blobPath('x'));
      assert.equal(full.objects.conflicting.objects, 1);
      const own = await planOf(world, { ownedBefore: async () => true });
      assert.partialDeepStrictEqual(own, { targetIsEmpty: false, needsIntoNonempty: false });
      assert.equal(own.objects.differing.objects, 1);
    });
  });

  it('compares small objects that listings do not tell apart, and says how many it did not', async () => {
    const hides = ['md5'] as const;
    await inPlanWorld({ layout: rawLayout, source: { hides }, target: { hides } }, async (world) => {
      for (let number = 0; number < 1_500; number += 1) {
        world.put(`object-${number}`, `same ${number}`);
        world.putTarget(`object-${number}`, `same ${number}`);
      }
      world.put('z-large', Buffer.alloc(100_000));
      world.putTarget('z-large', Buffer.alloc(100_000));
      const plan = await planOf(world);
      assert.equal(plan.objects.equal.objects, 1_000);
      assert.equal(plan.objects.undecided.objects, 501);
      // Each is one request to each side, but the large one, which takes 25 parts of 4 KiB.
      assert.equal(plan.requests.source.read, 1_500 + 25);
      assert.equal(plan.requests.target.read, 1_500 + 25);
      const seen = await copySeen(world);
      assert.equal(seen.source['read'], 1_500 + 25);
      assert.equal(plan.bytesRead.target, plan.bytesRead.source);
      assert.equal(
        plan.bytesRead.source,
        world.source.keys().reduce((sum, key) => sum + sizeOf(world, key), 0),
      );
    });
  });

  it('reads a sample within its budget, from which it says how long a copy may take', async () => {
    await inPlanWorld({ layout: rawLayout }, async (world) => {
      for (let number = 0; number < 400; number += 1) world.put(`small-${number}`, `${number}`.padEnd(1_000));
      for (let number = 0; number < 4; number += 1) world.put(`large-${number}`, Buffer.alloc(400_000));
      const { sample, expected } = await planOf(world, { sampleBytes: 1_000_000 });
      assert.equal(sample.small.objects, 250);
      assert.equal(sample.small.bytes, 250_000);
      assert.equal(sample.large.bytes, 750_000);
      assert.ok(expected && expected.secondsLeast > 0 && expected.secondsMost >= expected.secondsLeast);
      const before = world.sourceDriver.calls.filter(({ operation }) => operation === 'read').length;
      const without = await planOf(world, { sampleBytes: 0 });
      assert.equal(without.sample.small.objects + without.sample.large.objects, 0);
      assert.equal(without.expected, undefined);
      const after = world.sourceDriver.calls.filter(({ operation }) => operation === 'read').length;
      assert.equal(after, before);
    });
  });

  it('names objects of the sample that cannot be read, and passes by those that are gone', async () => {
    const denied = storageError('denied');
    const faults = [
      { on: 'read', key: 'one', does: { before: () => Promise.reject(denied) } },
      { on: 'read', key: 'two', does: { before: () => Promise.reject(storageError('not-found')) } },
    ] as const;
    await inPlanWorld({ layout: rawLayout, sourceFaults: faults }, async (world) => {
      for (const path of ['one', 'two', 'three']) world.put(path, path);
      const plan = await planOf(world);
      assert.deepEqual(plan.sample.unreadable, [{ path: 'one', why: denied.message }]);
      assert.equal(plan.sample.vanished, 1);
      assert.equal(plan.sample.small.objects, 1);
      assert.equal(planExitCodeOf(plan), 1);
    });
  });

  it('ends with what would end a copy, and when it is stopped', async () => {
    const broken = storageError('denied', 'backend');
    const faults = [{ on: 'list', nth: 3, does: { before: () => Promise.reject(broken) } }] as const;
    await inPlanWorld({ sourceFaults: faults }, async (world) => {
      world.put(blobPath('x'), 'x');
      await assert.rejects(planOf(world), broken);
    });
    const stop = new AbortController();
    await inPlanWorld({ signal: stop.signal }, async (world) => {
      world.put(blobPath('x'), 'x');
      const reason = new Error('stopped');
      const onProgress = () => stop.abort(reason);
      await assert.rejects(planOf(world, { onProgress }), reason);
    });
  });

  it('sorts a listing that is out of order despite its word, as the copy does', async () => {
    const swap = {
      onPage: (page: { objects: readonly unknown[]; prefixes: readonly string[] }) =>
        ({ ...page, objects: page.objects.toReversed() }) as never,
    };
    const faults = [{ on: 'list', key: '', times: 'always', does: swap }] as const;
    await inPlanWorld({ layout: rawLayout, sourceFaults: faults }, async (world) => {
      for (const path of ['a', 'b', 'c']) world.put(path, path);
      world.putTarget('b', 'b');
      const plan = await planOf(world);
      assert.equal(plan.warnings.length, 1);
      assert.match(plan.warnings[0] ?? '', /out of order/);
      assert.equal(plan.objects.missing.objects, 2);
      assert.equal(plan.objects.equal.objects, 1);
    });
  });
});

function sizeOf(world: CopyWorld, key: string): number {
  return world.source.get(key)?.bytes.length ?? 0;
}

function storageError(kind: 'denied' | 'not-found', scope: 'object' | 'backend' = 'object'): StorageError {
  const details = { kind, backend: 'memory://x', operation: 'read', isTransient: false, scope } as const;
  return new StorageError(`Cannot read: ${kind}`, details);
}
