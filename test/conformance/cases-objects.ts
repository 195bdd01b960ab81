/** One object at a time: what is written is what is read, whatever its size and name. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { isStorageError } from '../../src/core/errors.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import {
  assertAbsent,
  assertHolds,
  assertNothingLeft,
  assertRefused,
  bodyInPieces,
  bytesFor,
  type DriverCase,
  get,
  listAll,
  put,
  putKeys,
  readInto,
  sha256Of,
} from './case.ts';

/** Around the sizes at which drivers change their ways: 64 KiB, 1 MiB. */
const SIZES = [0, 1, 100, 65_535, 65_536, 65_537, 1_048_576, 1_048_577];

/** Names that a wrong escape, a normalisation or a pattern would change. */
const ODD_KEYS = [
  'odd/a b',
  'odd/a+b',
  'odd/a%20b',
  'odd/%2F',
  'odd/100%',
  'odd/a&b=c',
  'odd/a?b',
  'odd/a#b',
  'odd/<a>"b\'',
  'odd/a;b,c:d@e!f$g',
  'odd/(a)[b]{c}|^`~*',
  'odd/a\\b',
  'odd/.hidden',
  'odd/...',
  'odd/end.',
  'odd/日本語/データ',
  'odd/\u00e9',
  'odd/e\u0301',
  'odd/\u{1f600}',
  'odd/\ufffd',
];

export const OBJECT_CASES: readonly DriverCase[] = [
  {
    name: 'read() gives back what write() took, from memory, at every size',
    run: async (driver, ctx) => {
      for (const sizeBytes of SIZES) {
        const bytes = bytesFor(`whole ${sizeBytes}`, sizeBytes);
        await put(driver, ctx, `size/${sizeBytes}`, bytes);
        await assertHolds(driver, ctx, `size/${sizeBytes}`, bytes);
        assert.equal((await driver.stat(ctx, `size/${sizeBytes}`)).sizeBytes, sizeBytes);
      }
    },
  },
  {
    name: 'read() gives back what write() took in pieces that share one buffer',
    run: async (driver, ctx) => {
      for (const sizeBytes of SIZES) {
        const bytes = bytesFor(`pieces ${sizeBytes}`, sizeBytes);
        await driver.write(ctx, `pieces/${sizeBytes}`, bodyInPieces(bytes, 40_000), {
          sha256: sha256Of(bytes),
        });
        await assertHolds(driver, ctx, `pieces/${sizeBytes}`, bytes);
      }
    },
  },
  {
    name: 'write() replaces an object, with a shorter one too, and gives it another version',
    run: async (driver, ctx) => {
      const versions: (string | undefined)[] = [];
      for (const sizeBytes of [5_000, 9_000, 10, 0]) {
        const bytes = bytesFor(`replace ${sizeBytes}`, sizeBytes);
        await put(driver, ctx, 'replaced', bytes);
        await assertHolds(driver, ctx, 'replaced', bytes);
        versions.push((await driver.stat(ctx, 'replaced')).version);
      }
      assert.equal(new Set(versions).size, versions.length, 'no two contents share a version');
      assert.deepEqual((await listAll(driver, ctx)).keys, ['replaced']);
    },
  },
  {
    name: 'write() of other bytes of the same size is seen by its version and by its bytes',
    run: async (driver, ctx) => {
      await put(driver, ctx, 'same-size', bytesFor('first', 71));
      const first = await driver.stat(ctx, 'same-size');
      await put(driver, ctx, 'same-size', bytesFor('second', 71));
      assert.notEqual((await driver.stat(ctx, 'same-size')).version, first.version);
      await assertHolds(driver, ctx, 'same-size', bytesFor('second', 71));
    },
  },
  {
    name: 'write(), stat(), read() and list() agree on the version where they give one',
    run: async (driver, ctx) => {
      const written = await driver.write(ctx, 'versioned', bodyOfBytes(bytesFor('versioned', 900)), {});
      const { version } = await driver.stat(ctx, 'versioned');
      assert.notEqual(version, undefined, 'stat() gives a version');
      const { result } = await readInto(driver, ctx, 'versioned', 900, {});
      assert.equal(result.version, version);
      assert.ok(
        written.version === undefined || written.version === version,
        'write() gives the same version',
      );
      const listed = (await listAll(driver, ctx)).objects[0];
      assert.ok(listed?.version === undefined || listed.version === version, 'list() gives the same version');
    },
  },
  {
    name: 'read() of one version refuses another one',
    run: async (driver, ctx) => {
      const first = bytesFor('first', 3_000);
      await put(driver, ctx, 'changing', first);
      const { version } = await driver.stat(ctx, 'changing');
      assert.ok(version !== undefined);
      const { bytes } = await readInto(driver, ctx, 'changing', 100, { version, offset: 1_000 });
      assert.deepEqual(bytes, first.slice(1_000, 1_100));
      await put(driver, ctx, 'changing', bytesFor('second', 3_000));
      const buffer = new Uint8Array(100);
      await assertRefused(
        driver.read(ctx, 'changing', buffer, { version }),
        driver,
        'precondition',
        'changing',
      );
      const later = driver.read(ctx, 'changing', buffer, { version, offset: 1_000 });
      await assertRefused(later, driver, 'precondition', 'changing');
    },
  },
  {
    name: 'read() gives ranges inside, to the end and over the end, and says how long the object is',
    run: async (driver, ctx) => {
      const whole = bytesFor('ranges', 200_000);
      await put(driver, ctx, 'ranges', whole);
      const ranges: readonly (readonly [offset: number, bufferBytes: number])[] = [
        [0, 1],
        [0, 199_999],
        [1, 1],
        [70_000, 65_536],
        [99_999, 100_001],
        [199_999, 1],
        [199_999, 500],
        [150_000, 100_000],
        [0, 300_000],
      ];
      for (const [offset, bufferBytes] of ranges) {
        const { bytes, result } = await readInto(driver, ctx, 'ranges', bufferBytes, { offset });
        const expected = whole.slice(offset, offset + bufferBytes);
        assert.equal(result.bytesRead, expected.byteLength, `${bufferBytes} bytes from ${offset}`);
        assert.ok(Buffer.compare(bytes, expected) === 0, `${bufferBytes} bytes from ${offset}`);
        assert.equal(result.totalBytes, whole.byteLength);
      }
    },
  },
  {
    name: 'read() from behind the end gives no bytes and says how long the object is',
    run: async (driver, ctx) => {
      await put(driver, ctx, 'short', bytesFor('short', 10));
      for (const offset of [10, 11, 5_000]) {
        const { result } = await readInto(driver, ctx, 'short', 20, { offset });
        assert.deepEqual([result.bytesRead, result.totalBytes], [0, 10]);
      }
    },
  },
  {
    name: 'read() of an empty object gives no bytes',
    run: async (driver, ctx) => {
      await put(driver, ctx, 'empty', new Uint8Array(0));
      for (const bufferBytes of [0, 1, 100]) {
        const { result } = await readInto(driver, ctx, 'empty', bufferBytes, {});
        assert.deepEqual([result.bytesRead, result.totalBytes], [0, 0]);
      }
      assert.deepEqual(
        (await listAll(driver, ctx)).objects.map((object) => object.sizeBytes),
        [0],
      );
    },
  },
  {
    name: 'checksums that read(), stat() and list() give are those of the content',
    run: async (driver, ctx) => {
      const bytes = bytesFor('checksums', 12_345);
      await put(driver, ctx, 'checksums', bytes);
      const { result } = await readInto(driver, ctx, 'checksums', bytes.byteLength, { isWhole: true });
      const { sha256, crc32: crc } = result.checksums ?? {};
      assert.ok(sha256 === undefined || sha256 === sha256Of(bytes), 'the stored sha256');
      assert.ok(crc === undefined || Number.parseInt(crc, 16) === crc32(bytes), 'the stored CRC-32');
      const md5 = hash('md5', bytes, 'hex');
      const stats = await driver.stat(ctx, 'checksums');
      const listed = (await listAll(driver, ctx)).objects;
      for (const info of [result, stats, ...listed]) {
        const isRight = info.md5 === undefined || driver.facts.md5MayBeOpaque || info.md5 === md5;
        assert.ok(isRight, `the MD5 ${info.md5}`);
      }
      const part = await readInto(driver, ctx, 'checksums', 100, { offset: 5 });
      assert.equal(part.result.checksums, undefined, 'a range says nothing about the whole');
    },
  },
  {
    name: 'a key that is missing is not found, and remove() of it succeeds',
    run: async (driver, ctx) => {
      await put(driver, ctx, 'there/object', bytesFor('there', 10));
      for (const key of ['missing', 'there', 'there/objec', 'there/object2', 'missing/too']) {
        await assertRefused(driver.stat(ctx, key), driver, 'not-found', key);
        await assertRefused(driver.read(ctx, key, new Uint8Array(5), {}), driver, 'not-found', key);
        await driver.remove(ctx, key);
      }
      await assertHolds(driver, ctx, 'there/object', bytesFor('there', 10));
    },
  },
  {
    name: 'remove() takes away the object it names and no other',
    run: async (driver, ctx) => {
      const keys = ['r/a', 'r/a-b', 'r/ab', 'r/b/c', 'r/b/d', 'r2'];
      await putKeys(driver, ctx, keys);
      for (const [index, key] of keys.entries()) {
        await driver.remove(ctx, key);
        await assertAbsent(driver, ctx, key);
        assert.deepEqual([...(await listAll(driver, ctx)).keys].sort(), keys.slice(index + 1));
        await driver.remove(ctx, key);
      }
    },
  },
  {
    name: 'a removed key can be written again',
    run: async (driver, ctx) => {
      for (const round of [1, 2, 3]) {
        const bytes = bytesFor(`round ${round}`, 100 * round);
        await put(driver, ctx, 'again/and/again', bytes);
        await assertHolds(driver, ctx, 'again/and/again', bytes);
        await driver.remove(ctx, 'again/and/again');
        await assertNothingLeft(driver, ctx);
      }
    },
  },
  {
    name: 'odd keys are kept as they are',
    run: async (driver, ctx, { refusedKeys }) => {
      for (const key of refusedKeys) {
        assert.ok(ODD_KEYS.includes(key), `"${key}" is one of the odd keys`);
        const written = driver.write(ctx, key, bodyOfBytes(bytesFor(key, 5)), {});
        await assertRefused(written, driver, 'invalid-name', key);
      }
      const odd = ODD_KEYS.filter((key) => !refusedKeys.includes(key));
      await putKeys(driver, ctx, odd);
      for (const key of odd) {
        assert.equal(Buffer.from(await get(driver, ctx, key)).toString(), key);
        assert.equal((await driver.stat(ctx, key)).key, key);
      }
      const { keys } = await listAll(driver, ctx);
      assert.deepEqual([...keys].sort(), [...odd].sort());
      for (const key of odd) await driver.remove(ctx, key);
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'keys of 1,024 bytes are kept, and they differ in their last byte',
    run: async (driver, ctx) => {
      const start = `${`${'k'.repeat(200)}/`.repeat(5)}${'\u00e9'.repeat(9)}`;
      assert.equal(Buffer.byteLength(start), 1_023);
      await putKeys(driver, ctx, [`${start}a`, `${start}b`]);
      assert.equal(Buffer.from(await get(driver, ctx, `${start}b`)).toString(), `${start}b`);
      const { keys } = await listAll(driver, ctx, { prefix: start });
      assert.deepEqual([...keys].sort(), [`${start}a`, `${start}b`]);
    },
  },
  {
    name: 'owner and mode come back as they were given',
    requires: ['attributes'],
    run: async (driver, ctx) => {
      const uid = process.getuid?.() ?? 0;
      const gid = process.getgid?.() ?? 0;
      for (const mode of [0o600, 0o644, 0o664, 0o444]) {
        const attributes = { uid, gid, mode };
        await driver.write(ctx, `modes/${mode}`, bodyOfBytes(bytesFor('mode', 50)), { attributes });
        const { result } = await readInto(driver, ctx, `modes/${mode}`, 50, {});
        assert.deepEqual(result.attributes, attributes);
      }
    },
  },
  {
    name: 'parallel writers of one key leave one whole object, and readers never meet half of one',
    run: async (driver, ctx, { lacks }) => {
      const contents = Array.from({ length: 8 }, (_, writer) =>
        bytesFor(`writer ${writer}`, 70_000 + writer * 9_000),
      );
      const known = new Set(contents.map(sha256Of));
      await put(driver, ctx, 'contended', bytesFor('writer 0', 70_000));
      const write = async (bytes: Uint8Array) => {
        for (let round = 0; round < 4; round += 1) {
          await driver.write(ctx, 'contended', bodyInPieces(bytes, 10_000), { sha256: sha256Of(bytes) });
        }
      };
      const settles = !lacks.includes('settledRaces');
      let isWriting = true;
      const writers = Promise.allSettled(contents.map(write)).finally(() => {
        isWriting = false;
      });
      const buffer = new Uint8Array(200_000);
      try {
        do {
          const bytesRead = await driver.read(ctx, 'contended', buffer, { isWhole: true }).then(
            (read) => read.bytesRead,
            (error: unknown) => assert.ok(!settles && isStorageError(error), String(error)),
          );
          if (bytesRead === undefined) continue;
          assert.ok(known.has(sha256Of(buffer.subarray(0, bytesRead))), 'a reader meets one whole content');
        } while (isWriting);
      } finally {
        const failed = (await writers).filter((writer) => writer.status === 'rejected');
        const bad = failed.filter(
          ({ reason }) => settles || !isStorageError(reason) || !reason.details.isTransient,
        );
        assert.deepEqual(bad, [], 'every writer succeeds, or may try again where races are not settled');
      }
      assert.ok(known.has(sha256Of(await get(driver, ctx, 'contended'))), 'one whole content is left');
    },
  },
  {
    name: 'parallel writes and removals of neighbours do not disturb each other',
    run: async (driver, ctx) => {
      const work = async (worker: number) => {
        for (let round = 0; round < 10; round += 1) {
          const key = `shared/deep/folder/w${worker}/data`;
          await put(driver, ctx, key, bytesFor(key, 30));
          await driver.remove(ctx, key);
        }
        await put(driver, ctx, `shared/deep/kept-${worker}`, bytesFor(`${worker}`, 30));
        await driver.remove(ctx, `shared/deep/kept-${worker}`);
      };
      await Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'flush() succeeds with and without anything to do, and another driver sees what was written',
    run: async (driver, ctx, { reopen }) => {
      await driver.flush(ctx);
      await putKeys(driver, ctx, ['flushed/a', 'flushed/b/c']);
      await Promise.all([driver.flush(ctx), driver.flush(ctx)]);
      const other = await reopen();
      assert.deepEqual((await listAll(other, ctx)).keys, ['flushed/a', 'flushed/b/c']);
      assert.equal(Buffer.from(await get(other, ctx, 'flushed/a')).toString(), 'flushed/a');
    },
  },
  {
    name: 'streamUpload takes bodies below and above the size of a part',
    requires: ['streamUpload'],
    run: async (driver, ctx) => {
      for (const sizeBytes of [0, 1, 6_000_000]) {
        const bytes = bytesFor(`streamed ${sizeBytes}`, sizeBytes);
        await driver.streamUpload?.upload(ctx, `streamed/${sizeBytes}`, bodyInPieces(bytes, 300_000), {});
        await assertHolds(driver, ctx, `streamed/${sizeBytes}`, bytes);
      }
    },
  },
];
