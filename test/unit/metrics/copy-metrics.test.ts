import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import {
  allocateCounters,
  CLASSES,
  CounterReader,
  CounterWriter,
  OBJECT_STATES,
  OPERATIONS,
  OUTCOMES,
} from '../../../src/core/counters.ts';
import { CopyMetrics } from '../../../src/metrics/copy-metrics.ts';
import { missingTools } from '../../support/tools.ts';

interface Counted {
  readonly metrics: CopyMetrics;
  /** Two threads' rows. */
  readonly writers: readonly [CounterWriter, CounterWriter];
}

function counted(): Counted {
  const memory = allocateCounters(2);
  const metrics = new CopyMetrics({ backends: { source: 'fs', target: 's3' }, version: '1.2.3' });
  metrics.useCounters(new CounterReader(memory));
  return { metrics, writers: [new CounterWriter(memory), new CounterWriter(memory)] };
}

/** Sample lines as `name{labels}` to value, labels in alphabetical order. */
async function scrape(metrics: CopyMetrics): Promise<ReadonlyMap<string, number>> {
  const samples = new Map<string, number>();
  for (const line of (await metrics.registry.metrics()).split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = (match[2]?.match(/\w+="[^"]*"/g) ?? []).sort().join(',');
    samples.set(`${match[1]}{${labels}}`, Number(match[3]));
  }
  return samples;
}

describe('CopyMetrics', () => {
  it('can be scraped while another thread goes on with a dead one’s shard, which is counted in advance', async () => {
    const { metrics, writers } = counted();
    writers[0].object('copied', 'blob', 1000, 2);
    writers[0].object('skipped', 'blob', -1000, -2);
    const samples = await scrape(metrics);
    assert.equal(samples.get('blobferry_objects_total{class="blob",state="skipped"}'), 0);
    assert.equal(samples.get('blobferry_object_bytes_total{class="blob",state="skipped"}'), 0);
    assert.equal(samples.get('blobferry_objects_total{class="blob",state="copied"}'), 2);
  });

  it('shows the sum of what all threads counted, at the moment of the scrape', async () => {
    const { metrics, writers } = counted();
    writers[0].object('copied', 'blob', 1000);
    writers[1].object('copied', 'blob', 234);
    const key = '{class="blob",state="copied"}';
    const first = await scrape(metrics);
    assert.equal(first.get(`blobferry_objects_total${key}`), 2);
    assert.equal(first.get(`blobferry_object_bytes_total${key}`), 1234);
    writers[0].object('copied', 'blob', 1);
    const second = await scrape(metrics);
    assert.equal(second.get(`blobferry_objects_total${key}`), 3);
    assert.equal(second.get(`blobferry_object_bytes_total${key}`), 1235);
  });

  it('labels requests with backend, side, operation and outcome', async () => {
    const { metrics, writers } = counted();
    writers[0].request('source', 'read', 'ok', 0.004);
    writers[0].request('target', 'write', 'throttled', 0.004);
    writers[0].retry('target', 'write');
    writers[1].wire('target', 77);
    const samples = await scrape(metrics);
    const read = 'backend="fs",operation="read",outcome="ok",side="source"';
    const write = 'backend="s3",operation="write",outcome="throttled",side="target"';
    assert.equal(samples.get(`blobferry_requests_total{${read}}`), 1);
    assert.equal(samples.get(`blobferry_requests_total{${write}}`), 1);
    assert.equal(samples.get('blobferry_retries_total{backend="s3",operation="write",side="target"}'), 1);
    assert.equal(samples.get('blobferry_wire_bytes_total{backend="s3",side="target"}'), 77);
  });

  it('exports the shared buckets as a cumulative histogram with sum and count', async () => {
    const { metrics, writers } = counted();
    for (const seconds of [0.0005, 0.004, 0.004, 0.7, 1000])
      writers[0].request('source', 'list', 'ok', seconds);
    writers[1].request('source', 'list', 'ok', 0.004);
    const samples = await scrape(metrics);
    const labels = 'operation="list",side="source"';
    const bucket = (le: string) =>
      samples.get(`blobferry_request_seconds_bucket{backend="fs",le="${le}",${labels}}`);
    assert.deepEqual(
      ['0.001', '0.0025', '0.005', '0.5', '1', '60', '+Inf'].map(bucket),
      [1, 1, 4, 4, 5, 5, 6],
    );
    assert.equal(samples.get(`blobferry_request_seconds_count{backend="fs",${labels}}`), 6);
    const sum = samples.get(`blobferry_request_seconds_sum{backend="fs",${labels}}`) ?? 0;
    assert.ok(Math.abs(sum - 1000.7125) < 1e-9);
  });

  it('shows every series that can be known beforehand as 0 before anything is counted', async () => {
    const metrics = new CopyMetrics({ backends: { source: 's3', target: 'fs' }, version: '0' });
    const samples = await scrape(metrics);
    const names = [...samples.keys()];
    const series = (name: string) => names.filter((key) => key.startsWith(`${name}{`)).length;
    assert.equal(series('blobferry_objects_total'), CLASSES.length * OBJECT_STATES.length);
    assert.equal(series('blobferry_requests_total'), 2 * OPERATIONS.length * OUTCOMES.length);
    for (const [key, value] of samples) {
      if (key.startsWith('blobferry_') && !key.startsWith('blobferry_build_info'))
        assert.equal(value, 0, key);
    }
  });

  it('counts damaged and conflicting objects as integrity failures', async () => {
    const { metrics, writers } = counted();
    writers[0].object('damaged', 'blob', 5);
    writers[0].object('conflict', 'link', 71);
    writers[0].object('failed', 'blob', 5);
    const samples = await scrape(metrics);
    const total = [...samples]
      .filter(([key]) => key.startsWith('blobferry_integrity_failures_total'))
      .reduce((sum, [, value]) => sum + value, 0);
    assert.equal(total, 2);
  });

  it('shows gauges as they are now and plain counters', async () => {
    const { metrics, writers } = counted();
    writers[0].gauge('bytesInFlight', 100);
    writers[1].gauge('bytesInFlight', 50);
    writers[0].gauge('bytesInFlight', -100);
    writers[0].gauge('workersBusy', 1);
    writers[0].count('unproved', 3);
    writers[1].count('listedTarget', 9);
    const samples = await scrape(metrics);
    assert.equal(samples.get('blobferry_bytes_in_flight{}'), 50);
    assert.equal(samples.get('blobferry_workers_busy{}'), 1);
    assert.equal(samples.get('blobferry_unproved_objects_total{}'), 3);
    assert.equal(samples.get('blobferry_listed_objects_total{backend="s3",side="target"}'), 9);
  });

  it('follows shards from planned to done, splits included', async () => {
    const { metrics } = counted();
    const shards = async () => {
      const samples = await scrape(metrics);
      return ['planned', 'running', 'done', 'failed'].map((state) =>
        samples.get(`blobferry_shards{state="${state}"}`),
      );
    };
    metrics.onEvent({ event: 'planned', phase: 'blobs', shards: 3 });
    assert.deepEqual(await shards(), [3, 0, 0, 0]);
    metrics.onEvent({ event: 'shard', shard: 'a', state: 'running' });
    metrics.onEvent({ event: 'shard', shard: 'b', state: 'running' });
    assert.deepEqual(await shards(), [1, 2, 0, 0]);
    metrics.onEvent({ event: 'shard', shard: 'a', state: 'done' });
    metrics.onEvent({ event: 'shard', shard: 'b', state: 'failed' });
    metrics.onEvent({ event: 'shard', shard: 'c', state: 'done' });
    metrics.onEvent({ event: 'split', shard: 'c', into: ['c.1'] });
    assert.deepEqual(await shards(), [1, 0, 2, 1]);
    assert.equal((await scrape(metrics)).get('blobferry_shards_split_total{}'), 1);
  });

  it('tells which backend is away, and for how long it was', async () => {
    const { metrics } = counted();
    const event = { event: 'backend', side: 'target', name: 's3://b', reason: 'x' } as const;
    const labels = '{backend="s3",side="target"}';
    metrics.onEvent({ ...event, state: 'waiting' });
    const during = await scrape(metrics);
    assert.equal(during.get(`blobferry_backend_waiting_threads${labels}`), 1);
    assert.equal(during.get('blobferry_backend_waiting_threads{backend="fs",side="source"}'), 0);
    metrics.onEvent({ ...event, state: 'back' });
    const afterwards = await scrape(metrics);
    assert.equal(afterwards.get(`blobferry_backend_waiting_threads${labels}`), 0);
    assert.ok((afterwards.get(`blobferry_backend_outage_seconds_total${labels}`) ?? 0) > 0);
  });

  it('tells its version, and shows the process', async () => {
    const samples = await scrape(counted().metrics);
    assert.equal(samples.get(`blobferry_build_info{node="${process.versions.node}",version="1.2.3"}`), 1);
    assert.ok((samples.get('process_resident_memory_bytes{}') ?? 0) > 1e6);
  });

  it('shows what requests are in flight and what bounds them, and no bound as infinite', async () => {
    const { metrics } = counted();
    metrics.useFlows((side, requestClass) => ({
      inFlight: side === 'target' && requestClass === 'write' ? 7 : 0,
      window: 48,
      perSecond: requestClass === 'write' ? 1_350 : undefined,
    }));
    const samples = await scrape(metrics);
    const of = (name: string, requestClass: string) =>
      samples.get(`blobferry_requests_${name}{backend="s3",class="${requestClass}",side="target"}`);
    assert.equal(of('in_flight', 'write'), 7);
    assert.equal(of('in_flight', 'list'), 0);
    assert.equal(of('in_flight_limit', 'read'), 48);
    assert.equal(of('per_second_limit', 'write'), 1_350);
    const page = await metrics.registry.metrics();
    assert.match(page, /^blobferry_requests_per_second_limit\{.*class="read".*\} \+Inf$/m);
  });
});

/** Names from `a="1",le="2"`, without the bucket's own, in alphabetical order. */
function labelNames(labels: string | undefined): string {
  const names = [...(labels ?? '').matchAll(/(\w+)="/g)].map(([, name]) => name);
  return names
    .filter((name) => name !== 'le')
    .sort()
    .join(',');
}

describe('docs/metrics.md', () => {
  it('names every metric with its type and labels, and no metric that is not there', async () => {
    const { metrics, writers } = counted();
    writers[0].request('source', 'read', 'ok', 0.01);
    const page = await metrics.registry.metrics();
    const exposed = [...page.matchAll(/^# TYPE (blobferry_\w+) (\w+)\n\w+(?:\{(.*)\})? /gm)].map(
      ([, name, type, labels]) => `${name} ${type} ${labelNames(labels)}`,
    );
    const text = await readFile(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
    const documented = [...text.matchAll(/^\| `(blobferry_\w+)` \| (\w+) \|([^|]*)\|/gm)].map(
      ([, name, type, labels]) => `${name} ${type} ${(labels?.match(/\w+/g) ?? []).sort().join(',')}`,
    );
    assert.ok(documented.length > 0);
    assert.deepEqual(documented.sort(), exposed.sort());
  });
});

describe('promtool check metrics', { skip: missingTools('promtool') }, () => {
  it('finds nothing to complain about', () => {
    const { metrics, writers } = counted();
    writers[0].request('source', 'read', 'ok', 0.01);
    return metrics.registry.metrics().then((text) => {
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
        input: text,
        encoding: 'utf8',
      });
      assert.equal(status, 0, `${stdout}${stderr}`);
    });
  });
});
