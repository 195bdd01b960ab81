import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ListedMd5s } from '../../../src/copy/listed-md5s.ts';

function trusted(md5s: ListedMd5s, times: number): number {
  return Array.from({ length: times }, () => md5s.trusts()).filter((isTrusted) => isTrusted).length;
}

describe('listed MD5s that differ', () => {
  it('say nothing before two have agreed', () => {
    assert.equal(trusted(new ListedMd5s(), 20), 0);
  });

  it('are trusted then, save for the first and each eighth after it', () => {
    const md5s = new ListedMd5s();
    md5s.agreed();
    assert.deepEqual([md5s.trusts(), trusted(md5s, 7), md5s.trusts()], [false, 7, false]);
  });

  it('say nothing any more once contents were equal all the same, whatever agrees after that', () => {
    const md5s = new ListedMd5s();
    md5s.agreed();
    md5s.misled();
    md5s.agreed();
    assert.equal(trusted(md5s, 20), 0);
  });
});
