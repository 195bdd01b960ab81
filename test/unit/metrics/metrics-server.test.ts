import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { ConfigError } from '../../../src/core/errors.ts';
import { CopyMetrics } from '../../../src/metrics/copy-metrics.ts';
import { type MetricsServer, startMetricsServer } from '../../../src/metrics/metrics-server.ts';

async function withServer(use: (server: MetricsServer) => Promise<void>, registry?: Registry): Promise<void> {
  const metrics = new CopyMetrics({ backends: { source: 'fs', target: 's3' }, version: '0' });
  const server = await startMetricsServer({
    registry: registry ?? metrics.registry,
    host: '127.0.0.1',
    port: 0,
  });
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

describe('startMetricsServer()', () => {
  it('takes a free port for 0 and tells it, listening on the loopback address', async () => {
    await withServer(async ({ url, port }) => {
      assert.ok(port > 0);
      assert.equal(url, `http://127.0.0.1:${port}/metrics`);
    });
  });

  it('answers /metrics in the Prometheus text format', async () => {
    await withServer(async ({ url }) => {
      const response = await fetch(url);
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      assert.match(await response.text(), /^blobferry_objects_total\{class="blob",state="copied"\} 0$/m);
    });
  });

  it('answers /healthz, 404 for other paths and 405 for other methods', async () => {
    await withServer(async ({ url }) => {
      const healthz = await fetch(new URL('/healthz', url));
      assert.equal(healthz.status, 200);
      assert.equal(await healthz.text(), 'ok\n');
      assert.equal((await fetch(new URL('/', url))).status, 404);
      assert.equal((await fetch(new URL('/metrics/more', url))).status, 404);
      assert.equal((await fetch(new URL('/metrics?x=1', url))).status, 200);
      assert.equal((await fetch(url, { method: 'POST' })).status, 405);
      const head = await fetch(url, { method: 'HEAD' });
      assert.equal(head.status, 200);
      assert.equal(await head.text(), '');
    });
  });

  it('answers 500 and lives on when a metric cannot be collected', async () => {
    class Broken extends Registry {
      override async metrics(): Promise<string> {
        throw new Error('no counters');
      }
    }
    await withServer(async ({ url }) => {
      const response = await fetch(url);
      assert.equal(response.status, 500);
      assert.match(await response.text(), /no counters/);
      assert.equal((await fetch(new URL('/healthz', url))).status, 200);
    }, new Broken());
  });

  it('says in one sentence that the port is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    try {
      await assert.rejects(
        startMetricsServer({ registry: new Registry(), host: '127.0.0.1', port }),
        (error) =>
          error instanceof ConfigError &&
          error.message === `Cannot serve metrics on 127.0.0.1:${port}: another program uses this port` &&
          /--metrics-port/.test(error.hint ?? ''),
      );
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });

  it('says that an address is not this machine', async () => {
    await assert.rejects(
      startMetricsServer({ registry: new Registry(), host: '192.0.2.1', port: 0 }),
      (error) => error instanceof ConfigError && /does not have that address/.test(error.message),
    );
  });

  it('ends connections that are still open when it is closed', async () => {
    await withServer(async (server) => {
      await fetch(server.url);
      // fetch keeps its connection open; close() must not wait for it.
      await server.close();
      await assert.rejects(fetch(server.url));
    });
  });
});
