import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { differenceTable, KNOWN_DIFFERENCES } from '../../../bench/s3-server/probe/known-differences.ts';
import {
  differences,
  PROBE_CASES,
  type ProbeResults,
  runProbe,
} from '../../../bench/s3-server/probe/probe.ts';
import { withServer } from './with-server.ts';

const BENCH = new URL('../../../bench/s3-server/', import.meta.url);
const CEPH = JSON.parse(readFileSync(new URL('probe/ceph-20.json', BENCH), 'utf8')) as ProbeResults;
const DOCUMENT = readFileSync(new URL('../../../docs/embedded-s3.md', import.meta.url), 'utf8');

describe('probe', () => {
  it('finds the differences from Ceph 20 that are written down, and no others', async () => {
    await withServer({}, async ({ server }) => {
      const results = await runProbe(server.endpoint);
      assert.deepEqual(
        Object.entries(results).filter(([, outcome]) => outcome.startsWith('failed')),
        [],
      );
      const found = differences(results, CEPH).map((one) => one.name);
      assert.deepEqual(found.sort(), KNOWN_DIFFERENCES.flatMap((one) => one.cases).sort());
    });
  });

  it('has a recorded answer for every case', () => {
    assert.deepEqual(Object.keys(CEPH).sort(), PROBE_CASES.map((one) => one.name).sort());
  });

  it('is what the table in the documentation says', () => {
    assert.ok(
      DOCUMENT.includes(differenceTable()),
      'docs/embedded-s3.md lacks the table; print it with differenceTable()',
    );
  });
});
