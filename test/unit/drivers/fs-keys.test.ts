import assert from 'node:assert/strict';
import { lstatSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isStorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import {
  folderOfPrefix,
  parentOf,
  whyInvalidFolder,
  whyInvalidKey,
} from '../../../src/drivers/fs/fs-keys.ts';
import { ctx, keysOf, makeWorld } from './fs-world.ts';

/** Strings made of what could lead out of a folder, and of anything else. */
const evilKey = fc.oneof(
  fc
    .array(
      fc.constantFrom(
        '..',
        '.',
        '/',
        '//',
        '\0',
        '\\',
        'a',
        '~',
        '%2e%2e',
        '%2f',
        '.blobferry-tmp',
        ' ',
        '\ud83d',
        '-',
      ),
      { maxLength: 8 },
    )
    .map((pieces) => pieces.join('')),
  fc
    .array(fc.constantFrom('..', '.', '', 'a', 'b', '...', '.blobferry-tmp'), { maxLength: 6 })
    .map((names) => names.join('/')),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

describe('whyInvalidKey()', () => {
  it('lets through only what names one file below the root, under exactly that name', () => {
    fc.assert(
      fc.property(evilKey, (key) => {
        if (whyInvalidKey(key) !== undefined) return;
        assert.equal(resolve('/the/root', key), `/the/root/${key}`);
        assert.equal(Buffer.from(key).toString(), key);
      }),
      { numRuns: 5_000 },
    );
  });

  it('lets through every key of segments that a file system can hold', () => {
    const segment = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
      .filter(
        (name) => !/[/\0]/.test(name) && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 255,
      );
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), (segments) => {
        fc.pre(segments[0] !== '.blobferry-tmp');
        assert.equal(whyInvalidKey(segments.join('/')), undefined);
      }),
    );
  });

  it('counts bytes, not characters: 255 are a name, 256 are not', () => {
    for (const name of ['x'.repeat(255), `${'\u00e9'.repeat(127)}x`, '\u{1f600}'.repeat(63)]) {
      assert.equal(whyInvalidKey(`a/${name}/b`), undefined);
      assert.match(
        whyInvalidKey(`a/${name}${'y'.repeat(256 - Buffer.byteLength(name))}/b`) ?? '',
        /255 bytes/,
      );
    }
  });

  it('says why', () => {
    const reasons: readonly (readonly [key: string, why: RegExp])[] = [
      ['', /empty/],
      ['a/', /ends in "\/"/],
      ['/a', /begins with "\/"/],
      ['a//b', /"\/\/"/],
      ['a/../b', /folder "\.\."/],
      ['./a', /folder "\."/],
      ['a\0', /NUL/],
      ['a\ud83d', /well-formed/],
      ['.blobferry-tmp/a', /temporary files/],
      ['.blobferry-tmp', /temporary files/],
    ];
    for (const [key, why] of reasons) assert.match(whyInvalidKey(key) ?? '', why, key);
    assert.equal(whyInvalidKey('a/.blobferry-tmp/b'), undefined);
  });
});

describe('folders of keys and prefixes', () => {
  it('parentOf() and folderOfPrefix() cut at the last slash', () => {
    assert.deepEqual(['a', 'a/b', 'a/b/c'].map(parentOf), ['', 'a', 'a/b']);
    assert.deepEqual(['', 'a', 'a/', 'a/b', 'a/b/'].map(folderOfPrefix), ['', '', 'a/', 'a/', 'a/b/']);
    assert.equal(whyInvalidFolder(''), undefined);
    assert.equal(whyInvalidFolder('a/b/'), undefined);
    for (const folder of ['/', '../', 'a//', 'a/./']) assert.notEqual(whyInvalidFolder(folder), undefined);
  });
});

describe('a file-system driver that is given any key', () => {
  it('never makes, changes, reads or removes anything outside its root', async (t) => {
    const world = await makeWorld(t);
    await world.file('secret', 'secret');
    await world.file('root2/secret', 'secret');
    const driver = await world.open('target');
    const before = statSync(world.outside, { bigint: true });
    const body = bodyOfBytes(Buffer.from('planted'));
    const tolerant = async (call: Promise<unknown>): Promise<unknown> => {
      try {
        return await call;
      } catch (error) {
        assert.ok(isStorageError(error, 'invalid-name', 'not-found'), String(error));
        return undefined;
      }
    };
    await fc.assert(
      fc.asyncProperty(evilKey, async (key) => {
        const isValid = whyInvalidKey(key) === undefined;
        const written = await tolerant(driver.write(ctx, key, body, {}));
        if (written !== undefined) {
          assert.ok(isValid);
          assert.ok(lstatSync(join(world.root, key)).isFile());
          assert.deepEqual(await keysOf(driver), [key]);
        }
        const buffer = Buffer.alloc(10);
        await tolerant(driver.read(ctx, key, buffer, {}));
        assert.notEqual(buffer.toString('utf8', 0, 6), 'secret');
        await tolerant(
          driver.multipart?.begin(ctx, key).then((upload) => driver.multipart?.abort(ctx, upload)) ??
            Promise.resolve(),
        );
        await tolerant(keysOf(driver, { prefix: key }));
        await tolerant(driver.remove(ctx, key));
        assert.deepEqual(await keysOf(driver), []);
      }),
      { numRuns: 300 },
    );
    assert.deepEqual((await readdir(world.outside)).sort(), ['root', 'root2', 'secret']);
    assert.deepEqual(await readdir(join(world.outside, 'root2')), ['secret']);
    assert.equal(statSync(world.outside, { bigint: true }).mtimeNs, before.mtimeNs);
  });
});
