import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  type BenchObject,
  expectedSha256,
  mixedSizes,
  normalQuantile,
  objectsOf,
  trialObjects,
} from '../../../bench/data/objects.ts';
import { WORKLOADS } from '../../../bench/plan/cell.ts';
import { FULL, QUICK } from '../../../bench/plan/parameters.ts';

function digestOf({ pieces }: BenchObject): { readonly sha256: string; readonly bytes: number } {
  const digest = createHash('sha256');
  let bytes = 0;
  for (const piece of pieces()) {
    digest.update(piece);
    bytes += piece.length;
  }
  return { sha256: digest.digest('hex'), bytes };
}

describe('objects of a workload', () => {
  for (const workload of WORKLOADS) {
    it(`hold what their paths say, twice asked the same: ${workload}`, () => {
      const paths = new Set<string>();
      for (const object of objectsOf(workload, QUICK)) {
        const expected = { sha256: expectedSha256(object.path), bytes: object.sizeBytes };
        assert.deepEqual(digestOf(object), expected, object.path);
        assert.deepEqual(digestOf(object), expected, object.path);
        paths.add(object.path);
      }
      const counts = { small: 200, medium: 12, large: 2, mixed: 13, listing: 3_000 };
      assert.equal(paths.size, counts[workload]);
    });

    it(`are in the half to half: ${workload}`, () => {
      const objects = [...objectsOf(workload, QUICK)];
      const half = objects.filter(({ isInHalf }) => isInHalf).length;
      assert.ok(Math.abs(half - objects.length / 2) <= 0.5, `${half} of ${objects.length}`);
    });
  }

  it('differ with the seed', () => {
    const [one] = objectsOf('medium', QUICK);
    const [other] = objectsOf('medium', { ...QUICK, seed: 'another' });
    assert.notEqual(one?.path, other?.path);
  });

  it('of the trials need parts, and names beside blobs', () => {
    const objects = [...trialObjects(QUICK)];
    assert.ok(objects.some(({ sizeBytes }) => sizeBytes > 2 * QUICK.partBytes));
    assert.ok(objects.some(({ path }) => path.endsWith('/link')));
  });

  it('are small ones of 1 to 5 KiB and links of 71 bytes', () => {
    for (const { path, sizeBytes } of objectsOf('small', QUICK)) {
      if (path.endsWith('/link')) assert.equal(sizeBytes, 71);
      else assert.ok(sizeBytes >= 1024 && sizeBytes <= 5 * 1024, `${sizeBytes}`);
    }
  });
});

describe('mixed sizes', () => {
  it('are log-normal, with the tail among them and not at an end', () => {
    const sizes = mixedSizes(FULL);
    assert.equal(sizes.length, FULL.mixed + FULL.mixedTail);
    const ofTail = sizes.flatMap((size, at) => (size === FULL.mixedTailBytes ? [at] : []));
    assert.equal(ofTail.length, FULL.mixedTail);
    const layers = sizes.filter((size) => size !== FULL.mixedTailBytes).sort((a, b) => a - b);
    const logs = layers.map((size) => Math.log(size / FULL.mixedMedianBytes));
    const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
    const deviation = Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / logs.length);
    assert.ok(Math.abs(mean) < 0.01, `mean ${mean}`);
    assert.ok(Math.abs(deviation - FULL.mixedSigma) < 0.03, `deviation ${deviation}`);
    assert.notDeepEqual(
      sizes.slice(0, 100),
      sizes.slice(0, 100).toSorted((a, b) => a - b),
    );
  });

  it('come from the quantiles that tables of the normal distribution have', () => {
    for (const [probability, deviation] of [
      [0.5, 0],
      [0.8413, 1],
      [0.975, 1.96],
      [0.00135, -3],
    ] as const) {
      assert.ok(Math.abs(normalQuantile(probability) - deviation) < 1e-3, `${probability}`);
    }
  });
});
