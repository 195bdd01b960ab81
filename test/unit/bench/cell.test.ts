import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allCells, CONDITIONS, chooseCells, ROUTES, SCHEMES, WORKLOADS } from '../../../bench/plan/cell.ts';

const ids = (patterns: readonly string[], isQuick = false): readonly string[] =>
  chooseCells(allCells(isQuick), patterns).map(({ id }) => id);

describe('cells', () => {
  it('are every workload on every route with every scheme under every condition', () => {
    const all = allCells(false).map(({ id }) => id);
    assert.equal(new Set(all).size, WORKLOADS.length * ROUTES.length * SCHEMES.length * CONDITIONS.length);
    assert.equal(all.length, new Set(all).size);
  });

  it('run by default so that every workload, route and scheme is among them, and every condition but in a quick bench', () => {
    for (const isQuick of [false, true]) {
      const parts = ids([], isQuick).map((id) => id.split('/'));
      const wanted = [WORKLOADS, ROUTES, SCHEMES, ...(isQuick ? [] : [CONDITIONS])];
      for (const [at, names] of wanted.entries()) {
        assert.deepEqual(new Set(parts.map((part) => part[at])), new Set(names));
      }
    }
  });

  it('are chosen by pattern, each once', () => {
    assert.deepEqual(ids(['small/s3-s3/http/loopback']), ['small/s3-s3/http/loopback']);
    assert.deepEqual(ids(['small/s3-s3/*/loopback', 'small/s3-s3/http']), [
      'small/s3-s3/http/loopback',
      'small/s3-s3/http/slow',
      'small/s3-s3/http/refused',
      'small/s3-s3/http/limited',
      'small/s3-s3/http/limited-silent',
      'small/s3-s3/http/old-target',
      'small/s3-s3/http/one-put',
      'small/s3-s3/https/loopback',
    ]);
    assert.equal(ids(['listing']).length, ROUTES.length * SCHEMES.length * CONDITIONS.length);
    assert.equal(ids(['*']).length, allCells(false).length);
  });

  it('that do not exist are said to be unknown', () => {
    for (const pattern of ['tiny', 'small/s3', 'small/s3-s3/http/loopback/x', 'http', 'sm.ll'])
      assert.throws(() => ids([pattern]), new RegExp(`No cell is called "${pattern}"`));
  });
});
