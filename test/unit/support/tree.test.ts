import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sha256Hex } from '../../support/seeded.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { compareTrees, isUnfinishedUpload, readTree, type Tree } from '../../support/tree.ts';

const file = (text: string): { sizeBytes: number; sha256: string } => ({
  sizeBytes: text.length,
  sha256: sha256Hex(text),
});

describe('readTree()', () => {
  it('hashes every file, in folders and with names that begin with a dot', async (t) => {
    const root = await tempFolderFor(t);
    await mkdir(join(root, 'a/b'), { recursive: true });
    await writeFile(join(root, 'a/b/c'), 'deep');
    await writeFile(join(root, 'a/.hidden'), '');
    assert.deepEqual([...(await readTree(root))].sort(), [
      ['a/.hidden', file('')],
      ['a/b/c', file('deep')],
    ]);
  });

  it('does not open what is left out, and refuses what is no file', async (t) => {
    const root = await tempFolderFor(t);
    await symlink('/nowhere', join(root, 'link'));
    await assert.rejects(readTree(root), /link" is neither a file nor a folder/);
    assert.equal((await readTree(root, (path) => path === 'link')).size, 0);
  });
});

describe('compareTrees()', () => {
  it('says every difference, and nothing of what is the same', () => {
    const expected: Tree = new Map([
      ['same', file('1')],
      ['gone', file('2')],
      ['longer', file('3')],
      ['other', file('4')],
    ]);
    const actual: Tree = new Map([
      ['same', file('1')],
      ['new', file('2')],
      ['longer', file('33')],
      ['other', file('5')],
    ]);
    assert.deepEqual(compareTrees(expected, actual), [
      'gone is missing',
      'longer has 2 bytes instead of 1',
      'new should not be there',
      'other has other content',
    ]);
    assert.deepEqual(compareTrees(expected, expected), []);
  });
});

describe('isUnfinishedUpload()', () => {
  it('knows uploads of repositories from everything that only has the word in it', () => {
    const repositories = 'docker/registry/v2/repositories';
    assert.ok(isUnfinishedUpload(`${repositories}/app/_uploads/id/data`));
    assert.ok(isUnfinishedUpload(`${repositories}/a/b/c/_uploads/id/hashstates/sha256/0`));
    assert.ok(!isUnfinishedUpload(`${repositories}/app/_manifests/tags/_uploads/current/link`));
    assert.ok(!isUnfinishedUpload(`${repositories}/uploads/_layers/x/link`));
    assert.ok(!isUnfinishedUpload('docker/registry/v2/blobs/_uploads/data'));
  });
});
