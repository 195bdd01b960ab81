import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TEMP_FOLDER } from '../../../src/drivers/fs/fs-keys.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import { TEMPORARY_FOLDER } from '../../../src/layout/left-out.ts';
import { msrLayout } from '../../../src/layout/msr.ts';
import { rawLayout } from '../../../src/layout/raw.ts';

const REPOSITORIES = 'docker/registry/v2/repositories/';

describe('what registry layouts leave out', () => {
  for (const [path, sizeBytes] of [
    [`${REPOSITORIES}app/_uploads/`, undefined],
    [`${REPOSITORIES}app/_uploads/0b1c/data`, 12],
    [`${REPOSITORIES}app/_uploads/0b1c/startedat`, 20],
    [`${REPOSITORIES}a/b/c/_uploads/0b1c/hashstates/sha256/0`, 0],
    [`${REPOSITORIES}_uploads/0b1c/data`, 12],
    [`${REPOSITORIES}app/`, 0],
    ['docker/', 0],
    ['.snapshot/', undefined],
    ['.snapshot/hourly.0/docker/registry/v2/x', 5],
    ['docker/.snapshot/x', 5],
    ['lost+found/', undefined],
    ['lost+found/#123', 9],
    ['docker/registry/v2/blobs/sha256/ab/.nfs00000000018c9d2f00000003', 9],
    ['.blobferry-tmp/', undefined],
    ['.blobferry-tmp/0001', 9],
  ] as const) {
    it(`holds ${path}${sizeBytes === undefined ? ' (the folder)' : ` of ${sizeBytes} bytes`}`, () => {
      assert.equal(distributionLayout.leavesOut(path, sizeBytes), true);
      assert.equal(msrLayout.leavesOut(path, sizeBytes), true);
    });
  }

  for (const [path, sizeBytes] of [
    [`${REPOSITORIES}app/`, undefined],
    [`${REPOSITORIES}app/_manifests/tags/_uploads/`, undefined],
    // A tag may be named like the folder of unfinished uploads; to lose it would be to lose an image.
    [`${REPOSITORIES}app/_manifests/tags/_uploads/current/link`, 71],
    [`${REPOSITORIES}app/_manifests/tags/_uploads/index/sha256/ab/link`, 71],
    [`${REPOSITORIES}app/_layers/_uploads/x`, 1],
    [`${REPOSITORIES}app/_uploads`, 1],
    [`${REPOSITORIES}app/_uploadsx/data`, 1],
    [`${REPOSITORIES}uploads/_layers/x`, 1],
    ['docker/registry/v2/_uploads/x', 1],
    ['_uploads/x', 1],
    ['docker/odd/', 5],
    ['docker/registry/v2/blobs/id/3f/3f2c/data', 0],
    ['docker/.snapshots/x', 1],
    ['docker/x.snapshot/x', 1],
    ['docker/.snapshot', 1],
    ['docker/lost+found.txt', 1],
    ['docker/x.nfs1', 1],
    ['docker/.blobferry-tmp/x', 1],
    ['.blobferry-tmp', 1],
    ['', undefined],
  ] as const) {
    it(`does not hold ${path === '' ? 'the root' : path} (${sizeBytes ?? 'a folder'})`, () => {
      assert.equal(distributionLayout.leavesOut(path, sizeBytes), false);
      assert.equal(msrLayout.leavesOut(path, sizeBytes), false);
    });
  }
});

describe('our own temporary folder', () => {
  it('is the one that the file-system driver writes into', () => {
    assert.equal(TEMPORARY_FOLDER, `${TEMP_FOLDER}/`);
  });
});

describe('what raw leaves out', () => {
  it('is the marker of the root, which is no object below it, but not the root as a folder', () => {
    assert.equal(rawLayout.leavesOut('', 0), true);
    assert.equal(rawLayout.leavesOut('', 3), false, 'content is content');
    assert.equal(rawLayout.leavesOut('', undefined), false);
  });

  it('is nothing else', () => {
    for (const path of [
      'a/',
      '.snapshot/x',
      'lost+found/x',
      '.nfs1',
      '.blobferry-tmp/x',
      '.blobferry-probe/x',
      `${REPOSITORIES}app/_uploads/x`,
    ]) {
      assert.equal(rawLayout.leavesOut(path, 0), false, path);
    }
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.option(fc.nat(), { nil: undefined }), (path, size) => {
        assert.equal(rawLayout.leavesOut(path, size), path === '' && size === 0);
      }),
    );
  });
});

describe('the list of what is left out', () => {
  const component = fc.constantFrom(
    'app',
    '_uploads',
    '_layers',
    '_manifests',
    'tags',
    '.snapshot',
    'lost+found',
    '.nfs01',
    '.blobferry-tmp',
    'data',
    '',
  );
  const path = fc
    .tuple(fc.constantFrom('', REPOSITORIES, 'docker/'), fc.array(component, { minLength: 1, maxLength: 6 }))
    .map(([root, parts]) => root + parts.join('/'));
  const layout = fc.constantFrom(distributionLayout, msrLayout, rawLayout);

  // A file system prunes folders, an object store asks for each key: both must leave out the same objects.
  it('holds everything below a folder it holds', () => {
    fc.assert(
      fc.property(layout, path, component, fc.nat(), ({ leavesOut }, folder, name, sizeBytes) => {
        if (!leavesOut(`${folder}/`, undefined)) return;
        assert.equal(leavesOut(`${folder}/${name}`, sizeBytes), true);
        assert.equal(leavesOut(`${folder}/${name}/`, undefined), true);
      }),
      { numRuns: 3000 },
    );
  });

  it('gives the same answer for the same object every time, whatever its size', () => {
    fc.assert(
      fc.property(layout, path, fc.integer({ min: 1 }), ({ leavesOut }, key, sizeBytes) => {
        assert.equal(leavesOut(key, sizeBytes), leavesOut(key, 1));
        if (key !== '' && !key.endsWith('/')) assert.equal(leavesOut(key, 0), leavesOut(key, 1));
      }),
      { numRuns: 3000 },
    );
  });
});
