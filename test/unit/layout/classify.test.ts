import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatDigest } from '../../../src/core/digest.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import { type Classified, type Layout, OBJECT_CLASSES } from '../../../src/layout/layout.ts';
import { msrLayout } from '../../../src/layout/msr.ts';
import { rawLayout } from '../../../src/layout/raw.ts';

const ROOT = 'docker/registry/v2/';
const S256 = 'ab'.repeat(32);
const S512 = 'cd'.repeat(64);
const LAYOUTS: readonly Layout[] = [distributionLayout, msrLayout, rawLayout];

/** One line for what is known about a path. */
function told(known: Classified): string {
  return [
    known.objectClass,
    known.isImmutable ? 'immutable' : 'mutable',
    known.contentDigest ? `content ${formatDigest(known.contentDigest).slice(0, 10)}` : '',
    known.linkDigest ? `link ${formatDigest(known.linkDigest).slice(0, 10)}` : '',
    known.isLink ? 'is a link' : '',
    known.repository === undefined ? '' : `of ${known.repository}`,
  ]
    .filter((word) => word !== '')
    .join(', ');
}

const SHARED: readonly (readonly [string, string])[] = [
  [`blobs/sha256/ab/${S256}/data`, 'blob, immutable, content sha256:aba'],
  [`blobs/sha512/cd/${S512}/data`, 'blob, immutable, content sha512:cdc'],
  [`blobs/sha384/ab/${S256}/data`, 'blob, immutable'],
  [`blobs/sha256/ac/${S256}/data`, 'other, mutable'],
  [`blobs/sha256/ab/${S256.toUpperCase()}/data`, 'other, mutable'],
  [`blobs/sha256/ab/${S256.slice(1)}/data`, 'other, mutable'],
  [`blobs/sha256/ab/${S256}ab/data`, 'other, mutable'],
  [`blobs/sha256/ab/${S256}/data/`, 'other, mutable'],
  [`blobs/sha256/ab/${S256}/data.tmp`, 'other, mutable'],
  [`blobs/sha256/ab/${S256}/x/data`, 'other, mutable'],
  [`blobs/sha256/${S256}/data`, 'other, mutable'],
  [`blobs/sha256/ab/${S256}/data\n`, 'other, mutable'],
  [`repositories/app/_layers/sha256/${S256}/link`, 'link, immutable, link sha256:aba, is a link, of app'],
  [`repositories/a/b/c/_layers/sha256/${S256}/link`, 'link, immutable, link sha256:aba, is a link, of a/b/c'],
  [
    `repositories/blobs/sha256/_layers/sha256/${S256}/link`,
    'link, immutable, link sha256:aba, is a link, of blobs/sha256',
  ],
  [
    `repositories/docker/registry/v2/repositories/_layers/sha256/${S256}/link`,
    'link, immutable, link sha256:aba, is a link, of docker/registry/v2/repositories',
  ],
  [`repositories/app/_layers/sha384/${S256}/link`, 'link, immutable, of app'],
  [`repositories/app/_layers/sha256/${S256.slice(2)}/link`, 'other, mutable, of app'],
  [`repositories/app/_layers/sha256/${S256}/link.tmp`, 'other, mutable, of app'],
  [`repositories/_layers/sha256/${S256}/link`, 'other, mutable'],
  [
    `repositories/app/_manifests/revisions/sha256/${S256}/link`,
    'link, immutable, link sha256:aba, is a link, of app',
  ],
  [`repositories/app/_manifests/revisions/sha256/${S256}/signatures/x`, 'other, mutable, of app'],
  [
    `repositories/app/_manifests/tags/v1/index/sha256/${S256}/link`,
    'link, immutable, link sha256:aba, is a link, of app',
  ],
  [
    `repositories/app/_manifests/tags/v1/index/sha512/${S512}/link`,
    'link, immutable, link sha512:cdc, is a link, of app',
  ],
  ['repositories/app/_manifests/tags/v1/current/link', 'tag, mutable, is a link, of app'],
  ['repositories/app/_manifests/tags/_layers/current/link', 'tag, mutable, is a link, of app'],
  ['repositories/app/_manifests/tags/_uploads/current/link', 'tag, mutable, is a link, of app'],
  ['repositories/app/_manifests/tags/index/current/link', 'tag, mutable, is a link, of app'],
  ['repositories/app/_manifests/tags/a/b/current/link', 'other, mutable, of app'],
  ['repositories/app/_manifests/tags/v1/current/link/x', 'other, mutable, of app'],
  ['repositories/app/notes', 'other, mutable'],
  ['charts/app-1.0.tgz', 'other, mutable'],
  ['', 'other, mutable'],
];

describe('the layout of distribution', () => {
  for (const [path, expected] of SHARED) {
    it(`takes ${JSON.stringify(path)} for ${expected}`, () => {
      assert.equal(told(distributionLayout.classify(ROOT + path)), expected);
    });
  }

  it('knows nothing of paths outside docker/registry/v2', () => {
    assert.equal(told(distributionLayout.classify(`blobs/sha256/ab/${S256}/data`)), 'other, mutable');
    assert.equal(
      told(distributionLayout.classify(`x/${ROOT}blobs/sha256/ab/${S256}/data`)),
      'other, mutable',
    );
    assert.equal(told(distributionLayout.classify(`/${ROOT}blobs/sha256/ab/${S256}/data`)), 'other, mutable');
  });

  it('names the digest of any content from its path', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom('sha256', 'sha512'), (content, algorithm) => {
        const hex = createHash(algorithm).update(content).digest('hex');
        const { contentDigest } = distributionLayout.classify(
          `${ROOT}blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`,
        );
        assert.deepEqual(contentDigest, { algorithm, hex });
      }),
    );
  });
});

describe('the layout of MSR', () => {
  for (const [path, expected] of SHARED) {
    it(`takes ${JSON.stringify(path)} for ${expected}, as distribution does`, () => {
      assert.equal(told(msrLayout.classify(ROOT + path)), expected);
    });
  }

  for (const [path, expected] of [
    ['blobs/id/3f/3f2c5a1e-7a2b-4a8e-9c1d-0123456789ab/data', 'blob, immutable'],
    [`blobs/id/ab/${S256}/data`, 'blob, immutable'],
    ['blobs/id/3f/3f/data', 'blob, immutable'],
    ['blobs/id/3f/4f2c/data', 'other, mutable'],
    ['blobs/id/3f/3f2c/data/x', 'other, mutable'],
    ['blobs/id/3f2c/data', 'other, mutable'],
    ['blobs/id/3f/3f2c/startedat', 'other, mutable'],
  ] as const) {
    it(`takes ${path} for ${expected}`, () => {
      assert.equal(told(msrLayout.classify(ROOT + path)), expected);
    });
  }
});

describe('the layout raw', () => {
  it('takes everything for other and mutable', () => {
    for (const [path] of SHARED) assert.equal(told(rawLayout.classify(ROOT + path)), 'other, mutable');
  });
});

/** Pieces of real paths in any order, so that near misses are common. */
const anyPath = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(
        fc.constantFrom(
          'docker',
          'registry',
          'v2',
          'blobs',
          'repositories',
          '_layers',
          '_manifests',
          '_uploads',
          'revisions',
          'tags',
          'current',
          'index',
          'link',
          'data',
          'id',
          'sha256',
          'ab',
          S256,
          'app',
          '',
        ),
      )
      .map((parts) => parts.join('/')),
  )
  .chain((path) => fc.constantFrom(path, ROOT + path, `${ROOT}repositories/${path}`, `${ROOT}blobs/${path}`));

describe('every layout', () => {
  it('classifies any path at all, without contradicting itself', () => {
    fc.assert(
      fc.property(anyPath, fc.constantFrom(...LAYOUTS), (path, layout) => {
        const known = layout.classify(path);
        assert.ok(OBJECT_CLASSES.includes(known.objectClass));
        assert.deepEqual(layout.classify(path), known);
        if (known.objectClass === 'other') assert.equal(known.isImmutable, false);
        if (known.objectClass === 'tag') assert.deepEqual([known.isImmutable, known.isLink], [false, true]);
        if (known.contentDigest) {
          assert.equal(known.objectClass, 'blob');
          assert.ok(path.includes(`/${known.contentDigest.hex}/`));
        }
        if (known.linkDigest) {
          assert.equal(known.isLink, true);
          assert.ok(path.endsWith(`/${known.linkDigest.hex}/link`));
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('keeps every blob under its blob prefixes, so that names come after it', () => {
    fc.assert(
      fc.property(anyPath, fc.constantFrom(...LAYOUTS), (path, layout) => {
        if (layout.classify(path).objectClass !== 'blob') return;
        assert.ok(layout.blobPrefixes.some((prefix) => path.startsWith(prefix)));
      }),
      { numRuns: 3000 },
    );
  });
});
