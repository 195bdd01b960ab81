import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { judgeWhole, statedMd5 } from '../../../src/copy/judge.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { msrLayout } from '../../../src/layout/msr.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import type { Effect, Fault } from '../../support/fault-driver.ts';
import {
  assertCopied,
  assertNotCopied,
  inWorld,
  PART_BYTES,
  type Shape,
  type WorldOptions,
} from './copy-world.ts';
import {
  blobPath,
  blobPathOf,
  layerLinkPath,
  linkText,
  otherPath,
  sha256,
  tagPath,
} from './registry-names.ts';

const BYTES = Buffer.from('the bytes of a layer');
const LARGE = Buffer.alloc(5 * PART_BYTES + 123, 'large');
const SILENT: Shape = { hides: ['md5', 'checksums'] };

/** The proof an object ends with; it must have arrived as it is. */
async function proofOf(options: WorldOptions, path: string, content: Uint8Array): Promise<string> {
  let proof = '';
  await inWorld(options, async (world) => {
    world.put(path, content);
    const outcome = await world.copy(path);
    assert.equal(outcome.state, 'copied', JSON.stringify(outcome));
    if (outcome.state === 'copied') proof = outcome.proof;
    assert.ok(world.inTarget(path)?.equals(content));
  });
  return proof;
}

describe('copyObject() proves', () => {
  it('blobs by the digest in their path, whatever their size', async () => {
    for (const content of [
      BYTES,
      LARGE,
      Buffer.alloc(0),
      Buffer.alloc(PART_BYTES),
      Buffer.alloc(PART_BYTES + 1),
    ]) {
      assert.equal(await proofOf({ source: SILENT }, blobPath(content), content), 'digest');
    }
  });

  it('blobs named by a sha512', async () => {
    for (const content of [BYTES, LARGE]) {
      const hex = hash('sha512', content, 'hex');
      const path = `docker/registry/v2/blobs/sha512/${hex.slice(0, 2)}/${hex}/data`;
      assert.equal(await proofOf({ source: SILENT }, path, content), 'digest');
    }
  });

  it('links by the digest in their path', async () => {
    const text = Buffer.from(linkText(BYTES));
    assert.equal(await proofOf({ source: SILENT }, layerLinkPath('app', BYTES), text), 'digest');
  });

  it('what has no digest by a checksum that the source keeps', async () => {
    const path = otherPath('notes');
    assert.equal(await proofOf({}, path, BYTES), 'stored');
    assert.equal(await proofOf({ source: { hides: ['checksums'] } }, path, BYTES), 'stored');
    assert.equal(await proofOf({ source: { hides: ['md5'] } }, path, BYTES), 'stored');
    assert.equal(await proofOf({}, path, LARGE), 'stored');
  });

  it('no blob of an MSR that is empty only because none of its parts is there', async () => {
    const nothing = Buffer.alloc(0);
    const partless = (driver: StorageDriver): StorageDriver => {
      const read: StorageDriver['read'] = async (...given) => {
        return { ...(await driver.read(...given)), lacksParts: true };
      };
      const get = (_: StorageDriver, name: string | symbol): unknown => {
        const value: unknown = name === 'read' ? read : Reflect.get(driver, name, driver);
        return typeof value === 'function' ? value.bind(driver) : value;
      };
      return new Proxy(driver, { get });
    };
    const byId = 'docker/registry/v2/blobs/id/3f/3f9c/data';
    for (const [isFrozen, state] of [
      [false, 'unsettled'],
      [true, 'damaged'],
    ] as const) {
      const options = { layout: msrLayout, source: SILENT, isFrozen, wrap: partless };
      await inWorld(options, async (world) => {
        world.put(byId, nothing);
        const outcome = await world.copy(byId);
        assert.equal(outcome.state, state);
        assert.match(('error' in outcome && outcome.error.message) || '', /none of its parts is there/);
        assert.equal(world.inTarget(byId), undefined);
      });
      // The registry makes the blob of no bytes so as well, and of an upload that has none yet.
      assert.equal(await proofOf(options, blobPath(nothing), nothing), 'digest');
      assert.equal(await proofOf({ ...options, layout: rawLayout }, byId, nothing), 'none');
    }
  });

  it('blobs of an MSR by nothing in their path', async () => {
    const path = 'docker/registry/v2/blobs/id/3f/3f9c/data';
    assert.equal(await proofOf({ layout: msrLayout, source: SILENT }, path, LARGE), 'none');
    assert.equal(
      await proofOf({ layout: msrLayout, source: SILENT, readsTwice: true }, path, LARGE),
      'twice',
    );
    assert.equal(await proofOf({ layout: msrLayout }, path, LARGE), 'stored');
  });

  it('by two equal reads over two connections where that is asked for and nothing else says', async () => {
    for (const content of [BYTES, LARGE]) {
      await inWorld({ source: SILENT, readsTwice: true }, async (world) => {
        world.put(otherPath('notes'), content);
        assertCopied(await world.copy(otherPath('notes')), 'twice');
        const fresh = world.sourceDriver.callsOf('read').filter((call) => call.isFresh);
        assert.equal(fresh.length * 2, world.sourceDriver.callsOf('read').length);
      });
    }
  });

  it('nothing by a difference from an MD5 that may be opaque: unproved, not damaged', async () => {
    const opaque: Shape = { hides: ['checksums'], md5Is: 'a'.repeat(32), facts: { md5MayBeOpaque: true } };
    for (const content of [BYTES, LARGE]) {
      for (const isFrozen of [false, true]) {
        assert.equal(await proofOf({ source: opaque, isFrozen }, otherPath('notes'), content), 'none');
      }
      assert.equal(await proofOf({ source: opaque, readsTwice: true }, otherPath('notes'), content), 'twice');
    }
  });

  it('damage by a stable difference from an MD5 that cannot be opaque', async () => {
    const lying: Shape = { hides: ['checksums'], md5Is: 'a'.repeat(32), facts: { md5MayBeOpaque: false } };
    for (const content of [BYTES, LARGE]) {
      await inWorld({ source: lying, isFrozen: true }, async (world) => {
        world.put(otherPath('notes'), content);
        assertNotCopied(await world.copy(otherPath('notes')), 'damaged', /MD5/);
        world.assertAbsent(otherPath('notes'));
      });
    }
  });

  it('a tag, which names some digest, by what the source keeps for it or not at all', async () => {
    const text = Buffer.from(linkText(BYTES));
    assert.equal(await proofOf({ source: SILENT }, tagPath('app', 'v1'), text), 'none');
    assert.equal(await proofOf({}, tagPath('app', 'v1'), text), 'stored');
  });

  it('nothing written in another order than read: owner and mode come along', async () => {
    const attributes = { uid: 12, gid: 34, mode: 0o640 };
    for (const content of [BYTES, LARGE]) {
      await inWorld({}, async (world) => {
        world.put(otherPath('notes'), content, attributes);
        assertCopied(await world.copy(otherPath('notes')), 'stored');
        assert.deepEqual(world.target.get(otherPath('notes'))?.attributes, attributes);
      });
    }
  });
});

describe('copyObject() of a source whose bytes are not what their name says', () => {
  const damaged = blobPath('what it should be');

  it('is damaged in a frozen pass, unsettled in a live one, and never reaches the target', async () => {
    for (const content of [BYTES, LARGE, Buffer.alloc(0)]) {
      for (const [isFrozen, state] of [
        [true, 'damaged'],
        [false, 'unsettled'],
      ] as const) {
        await inWorld({ isFrozen }, async (world) => {
          world.put(damaged, content);
          const outcome = await world.copy(damaged);
          assertNotCopied(outcome, state, new RegExp(`${sha256(content)}.*${sha256('what it should be')}`));
          world.assertAbsent(damaged);
          assert.ok(
            world.sourceDriver.calls.some((call) => call.isFresh),
            'no second opinion was asked for',
          );
        });
      }
    }
  });

  it('keeps what the target has under that name', async () => {
    await inWorld({ isFrozen: true }, async (world) => {
      world.put(damaged, LARGE);
      world.putTarget(damaged, 'what it should be');
      assertNotCopied(await world.copy(damaged), 'damaged', /digest/);
      assert.equal(world.inTarget(damaged)?.toString(), 'what it should be');
    });
  });

  it('is damaged where a checksum that the source keeps says so, digest or not', async () => {
    const wrong: Effect = {
      onRead: (_into, result) => ({ ...result, checksums: { sha256: '0'.repeat(64) } }),
    };
    const sourceFaults: readonly Fault[] = [{ on: 'read', times: 2, does: wrong }];
    await inWorld({ isFrozen: true, sourceFaults }, async (world) => {
      world.put(otherPath('notes'), BYTES);
      assertNotCopied(await world.copy(otherPath('notes')), 'damaged', /sha256 that the source keeps/);
      world.assertAbsent(otherPath('notes'));
    });
  });

  it('finds every kind of malformed link, of names and of tags', async () => {
    const digest = linkText(BYTES);
    const contents: readonly (readonly [string, RegExp])[] = [
      ['', /holds nothing/],
      [`${digest}\n`, /white space/],
      [linkText('another'), /instead of sha256:/],
      [digest.toUpperCase(), /no digest/],
      ['\0'.repeat(71), /zero bytes/],
      ['x'.repeat(10_240), /far too large for a link/],
    ];
    for (const [content, reason] of contents) {
      for (const [isFrozen, state] of [
        [true, 'damaged'],
        [false, 'unsettled'],
      ] as const) {
        await inWorld({ isFrozen }, async (world) => {
          const link = world.put(layerLinkPath('app', BYTES), content);
          assertNotCopied(await world.copy(link), state, reason);
          world.assertAbsent(link);
          if (content === linkText('another')) return;
          const tag = world.put(tagPath('app', 'v1'), content);
          assertNotCopied(await world.copy(tag), state, reason);
          world.assertAbsent(tag);
        });
      }
    }
  });
});

describe('statedMd5()', () => {
  const listed = { key: 'k', sizeBytes: 1, md5: 'listed', version: 'v1' };
  const read = { bytesRead: 1, totalBytes: 1 };

  it('is that of the read, or of a listing that speaks of the same version, or none', () => {
    assert.equal(statedMd5(listed, { ...read, md5: 'read', version: 'v2' }), 'read');
    assert.equal(statedMd5(listed, { ...read, version: 'v1' }), 'listed');
    assert.equal(statedMd5(listed, { ...read, version: 'v2' }), undefined);
    assert.equal(statedMd5(listed, read), undefined);
    assert.equal(statedMd5(listed, undefined), undefined);
  });
});

describe('copyObject() of a digest nobody can compute', () => {
  it('copies a blob of an unknown algorithm unproved', async () => {
    const hex = 'ab'.repeat(32);
    const path = blobPathOf(hex).replace('sha256', 'blake3');
    assert.equal(await proofOf({ source: SILENT }, path, BYTES), 'none');
  });
});

describe('a CRC-32C that the source keeps', () => {
  const classified = { objectClass: 'other', isImmutable: false, isLink: false } as const;
  const nine = Buffer.from('123456789');
  const judge = (bytes: Uint8Array, stated: { readonly md5?: string; readonly crc32c?: string }) => {
    const { md5, crc32c } = stated;
    const kept = crc32c === undefined ? {} : { checksums: { crc32c } };
    return judgeWhole(classified, bytes, hash('sha256', bytes, 'hex'), {
      md5,
      ...kept,
      md5MayBeOpaque: false,
    });
  };

  it('proves an object of which nothing better is known', () => {
    assert.deepEqual(judge(nine, { crc32c: 'e3069283' }), { is: 'right', by: 'stored' });
    assert.equal(judge(Buffer.from('123456780'), { crc32c: 'e3069283' }).is, 'wrong');
    assert.equal(judge(nine, {}).is, 'unknown');
  });

  it('is not asked where an MD5 is known', () => {
    assert.equal(judge(nine, { md5: hash('md5', nine, 'hex'), crc32c: '00000000' }).is, 'right');
    assert.equal(judge(nine, { md5: '0'.repeat(32), crc32c: 'e3069283' }).is, 'wrong');
  });
});
