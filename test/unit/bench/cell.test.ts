import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  allCells,
  CONDITIONS,
  chooseCells,
  hasService,
  ROUTES,
  SCHEMES,
  WORKLOADS,
} from '../../../bench/plan/cell.ts';

const OWN_ROUTES = ROUTES.filter((route) => !hasService(route));

const ids = (patterns: readonly string[], isQuick = false): readonly string[] =>
  chooseCells(allCells(isQuick), patterns).map(({ id }) => id);

describe('cells', () => {
  it('are every workload on every route between buckets and files with every scheme under every condition', () => {
    const all = allCells(false).filter(({ route }) => !hasService(route));
    const conditions = CONDITIONS.filter((condition) => condition !== 'unbound');
    assert.equal(all.length, WORKLOADS.length * OWN_ROUTES.length * SCHEMES.length * conditions.length);
    assert.equal(all.length, new Set(all.map(({ id }) => id)).size);
  });

  it('are three workloads to and from each other service, and to it without its checksum', () => {
    const all = allCells(false).filter(({ route }) => hasService(route));
    const ofAzure = all.filter(({ route }) => route.includes('azure')).map(({ id }) => id);
    assert.equal(all.length, 3 * ofAzure.length);
    assert.deepEqual(
      new Set(ofAzure),
      new Set(
        ['small', 'medium', 'large'].flatMap((workload) => [
          `${workload}/s3-azure/http/loopback`,
          `${workload}/s3-azure/http/unbound`,
          `${workload}/azure-s3/http/loopback`,
        ]),
      ),
    );
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
    assert.equal(ids(['listing']).length, OWN_ROUTES.length * SCHEMES.length * (CONDITIONS.length - 1));
    assert.equal(ids(['*']).length, allCells(false).length);
  });

  it('that do not exist are said to be unknown', () => {
    for (const pattern of ['tiny', 'small/s3', 'small/s3-s3/http/loopback/x', 'http', 'sm.ll'])
      assert.throws(() => ids([pattern]), new RegExp(`No cell is called "${pattern}"`));
  });
});
