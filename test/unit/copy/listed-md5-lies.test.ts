/** MD5s in listings that cannot be true, as some gateways give them: never the reason why an object is not copied. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { differenceByListing } from '../../../src/copy/equal.ts';
import { ListedMd5s } from '../../../src/copy/listed-md5s.ts';
import { OpenUploads } from '../../../src/copy/open-uploads.ts';
import { BufferPool } from '../../../src/verify/buffers.ts';
import { verdictFromListings } from '../../../src/verify/check-pair.ts';
import { FakeStore } from '../verify/fake-store.ts';

const OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e';
const ZEROS = '0'.repeat(32);
const TRUE = 'ab'.repeat(16);
const TAG = { objectClass: 'tag', isImmutable: false, isLink: true } as const;

function byCopy(md5: string, sizeBytes: number): string {
  const object = { key: 'tag', sizeBytes, md5 };
  const item = { path: 'tag', classified: TAG, source: object, targetKey: 'tag', target: object };
  return differenceByListing(item, {
    ownsTarget: true,
    uploads: new OpenUploads(),
    listedMd5s: new ListedMd5s(),
  });
}

function byVerify(md5: string, sizeBytes: number): unknown {
  const side = { path: 'tag', info: { key: 'tag', sizeBytes, md5 } };
  const verdict = verdictFromListings(
    { path: 'tag', source: side, target: side, classified: TAG },
    {
      source: new FakeStore('source'),
      target: new FakeStore('target'),
      isDeep: false,
      buffers: new BufferPool(1),
      signal: new AbortController().signal,
      onBytes: () => undefined,
    },
  );
  return verdict && 'ground' in verdict ? verdict.ground : undefined;
}

describe('MD5s that two listings agree on', () => {
  it('show two objects to be equal where they may be true', () => {
    assert.deepEqual([byCopy(TRUE, 71), byVerify(TRUE, 71)], ['equal', 'md5']);
    assert.deepEqual([byCopy(OF_NOTHING, 0), byVerify(OF_NOTHING, 0)], ['equal', 'md5']);
  });

  it('show nothing where they are that of an empty object, and it is not, or zeros', () => {
    for (const md5 of [OF_NOTHING, ZEROS]) {
      assert.deepEqual([byCopy(md5, 71), byVerify(md5, 71)], ['compare', undefined], md5);
    }
  });
});
