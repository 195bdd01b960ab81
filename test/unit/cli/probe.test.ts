import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { openDriver } from '../../../src/cli/composition.ts';
import { type ProbeOptions, type ProbeReport, probeStorage } from '../../../src/cli/probe.ts';
import { probeText } from '../../../src/cli/probe-command.ts';
import { openMemoryDriver } from '../../../src/drivers/memory/memory-driver.ts';
import { forgetStore, storeNamed } from '../../../src/drivers/memory/memory-store.ts';
import type { S3Spec, SwiftSpec } from '../../../src/drivers/spec.ts';
import { S3Bucket } from '../../support/s3-bucket.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { sha256 } from '../verify/fake-store.ts';

const HEX = sha256('content');
const BLOB = `docker/registry/v2/blobs/sha256/${HEX.slice(0, 2)}/${HEX}/data`;

function outcomes(report: ProbeReport): readonly string[] {
  return report.findings.map(({ check, outcome }) => `${check} ${outcome}`);
}

describe('probeStorage()', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3Server({ buckets: ['full', 'empty'] });
    await server.put('full', [{ key: `root/${BLOB}`, body: Buffer.from('content') }]);
  });
  after(() => server.close());

  function s3(bucket: string, more: Partial<S3Spec> = {}): S3Spec {
    return {
      kind: 's3',
      bucket,
      rootDirectory: '/root',
      region: 'us-east-1',
      endpoint: server.endpoint,
      isPathStyle: true,
      skipsTlsVerify: false,
      encrypt: false,
      credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
      ...more,
    };
  }

  function probe(storage: ProbeOptions['storage'], more: Partial<ProbeOptions> = {}): Promise<ProbeReport> {
    return probeStorage({
      storage,
      role: 'source',
      layout: 'auto',
      engine: 'direct',
      isWriting: false,
      openDriver,
      signal: new AbortController().signal,
      ...more,
    });
  }

  it('finds a source usable, tells layout, key rule and first objects, and writes nothing', async () => {
    const report = await probe(s3('full'));
    assert.deepEqual(outcomes(report), [
      'reach ok',
      'list ok',
      'clock ok',
      'keys ok',
      'layout ok',
      'read ok',
    ]);
    assert.equal(report.isUsable, true);
    assert.equal(report.layout, 'distribution');
    assert.equal(report.keyPrefix, 'root/');
    assert.deepEqual(report.firstObjects, [{ path: BLOB, sizeBytes: 7, class: 'blob' }]);
    assert.ok(Math.abs(report.clockSkewSeconds ?? Number.NaN) < 2);
    assert.equal((await server.keys('full')).length, 1);
  });

  it('writes, reads back and removes, sees which checks are made, and leaves nothing behind', async () => {
    const report = await probe(s3('empty'), { role: 'target', isWriting: true });
    assert.deepEqual(outcomes(report), [
      'reach ok',
      'list ok',
      'clock ok',
      'keys open',
      'layout ok',
      'read open',
      'write ok',
      'remove ok',
      'checks ok',
    ]);
    assert.match(report.findings.at(-1)?.text ?? '', /refuse a wrong payload sha256/);
    assert.deepEqual(await server.keys('empty'), []);
  });

  it('removes what one of its name that was killed had written and begun, and nothing else', async (t) => {
    const bucket = new S3Bucket(
      { endpoint: server.endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
      'empty',
    );
    t.after(() => bucket.close());
    const folder = 'root/.blobferry-probe/';
    await server.put('empty', [
      { key: `${folder}move-1`, body: Buffer.from('left') },
      { key: `${folder}1-another`, body: Buffer.from('of somebody else') },
    ]);
    await bucket.beginUpload(`${folder}move-2`);
    const report = await probe(s3('empty'), { role: 'target', isWriting: true, name: 'move' });
    assert.ok(report.isUsable);
    assert.deepEqual([await bucket.names(), await bucket.openUploads()], [[`${folder}1-another`], []]);
    await bucket.remove(`${folder}1-another`);
  });

  it('notices a target that gives back other bytes than it took', async () => {
    const fault = await server.misbehave({
      fault: { kind: 'flip-response', offset: 3 },
      operation: 'GetObject',
      times: 1,
    });
    const report = await probe(s3('empty'), { role: 'target', isWriting: true });
    await fault.assertUsedUp();
    assert.ok(outcomes(report).includes('write failed'), outcomes(report).join());
    assert.equal(report.isUsable, false);
  });

  it('does not call a registry missing in a target, and does in a source', async () => {
    const source = await probe(s3('empty'));
    assert.ok(outcomes(source).includes('layout failed'));
    const target = await probe(s3('empty'), { role: 'target' });
    assert.deepEqual(outcomes(target).slice(3), ['keys open', 'layout ok', 'read open', 'write open']);
    assert.equal(target.isUsable, true);
  });

  it('blames a wrong secret, not a permission', async () => {
    const credentials = { accessKeyId: 'testkey', secretAccessKey: 'wrong' };
    const report = await probe(s3('full', { credentials }));
    assert.deepEqual(outcomes(report), ['reach ok', 'list failed', 'clock ok']);
    assert.deepEqual(report.missingPermissions, []);
  });

  const DENIALS = [
    { operation: 'ListObjectsV2', permission: 's3:ListBucket', failed: 'list failed' },
    { operation: 'GetObject', permission: 's3:GetObject', failed: 'read failed' },
    { operation: 'PutObject', permission: 's3:PutObject', failed: 'write failed' },
    { operation: 'DeleteObject', permission: 's3:DeleteObject', failed: 'remove failed' },
  ] as const;
  for (const { operation, permission, failed } of DENIALS) {
    it(`names the missing permission ${permission}`, async () => {
      const fault = await server.misbehave({
        fault: { kind: 'status', status: 403, code: 'AccessDenied' },
        operation,
        times: 100,
      });
      try {
        const report = await probe(s3('full'), { role: 'target', isWriting: true });
        assert.ok(outcomes(report).includes(failed), outcomes(report).join());
        assert.ok(report.missingPermissions.includes(permission), report.missingPermissions.join());
        assert.equal(report.isUsable, false);
        assert.match(
          probeText(report, (_, text) => text),
          new RegExp(`missing permissions\\n(?:.*\\n)*? +${permission}`),
        );
      } finally {
        await fault.remove();
      }
      const left = (await server.keys('full')).map(({ key }) => key).filter((key) => !key.endsWith('/data'));
      for (const key of left) assert.ok(key.startsWith('root/.blobferry-probe/'), key);
    });
  }

  it('says that a bucket is missing, and that nobody answers', async () => {
    const missing = await probe(s3('nowhere'));
    assert.deepEqual(outcomes(missing), ['reach ok', 'list failed', 'clock ok']);
    assert.match(missing.findings[1]?.text ?? '', /NoSuchBucket/);
    const silent = await probe(s3('full', { endpoint: 'http://127.0.0.1:1' }));
    assert.deepEqual(outcomes(silent), ['reach failed']);
  });

  it('notices a clock that is too far off for signatures, which is no failure', async () => {
    // Answers every request with an empty listing and a clock that is twenty minutes ahead.
    const ahead = createServer((_, response) => {
      response.sendDate = false;
      response.setHeader('date', new Date(Date.now() + 20 * 60_000).toUTCString());
      response.end('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');
    });
    await new Promise<void>((resolve) => ahead.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = ahead.address() as AddressInfo;
      const report = await probe(s3('full', { endpoint: `http://127.0.0.1:${port}` }), { role: 'target' });
      const clock = report.findings.find(({ check }) => check === 'clock');
      assert.equal(clock?.outcome, 'open');
      assert.match(clock?.hint ?? '', /Set the clock that is wrong/);
      assert.equal(report.isUsable, true);
      assert.match(clock?.text ?? '', /(?:20 min 0\d|19 min 5\d) s ahead of ours/);
      assert.ok(Math.abs((report.clockSkewSeconds ?? 0) - 1200) < 3);
    } finally {
      ahead.closeAllConnections();
      ahead.close();
    }
  });

  it('probes a folder, and one that a copy would make, without making it', async (t) => {
    const root = await tempFolderFor(t);
    const fs = { kind: 'fs', rootDirectory: `${root}/new` } as const;
    const missing = await probe(fs);
    assert.deepEqual(outcomes(missing), ['reach failed']);
    const target = await probe(fs, { role: 'target' });
    assert.deepEqual(outcomes(target), ['reach ok']);
    assert.match(target.findings[0]?.text ?? '', /a copy makes it/);
    const written = await probe(fs, { role: 'target', isWriting: true });
    assert.deepEqual(outcomes(written).slice(-2), ['write ok', 'remove ok']);
  });

  describe('of Swift', () => {
    const swift: SwiftSpec = {
      kind: 'swift',
      container: 'registry',
      prefix: 'old',
      access: {
        authUrl: 'http://swift/auth/v1.0',
        authVersion: 1,
        user: 'a:b',
        password: 'p',
        endpointType: 'public',
      },
      skipsTlsVerify: false,
    };
    // The keys alone matter here: the service is tried elsewhere.
    const probeOf = async (key: string, more: Partial<ProbeOptions> = {}): Promise<ProbeReport> => {
      const name = 'probe-of-swift';
      storeNamed(name).put(key, Buffer.from('content'), undefined);
      const memory = openMemoryDriver({ kind: 'memory', name });
      const list: typeof memory.list = async function* (ctx, query) {
        for await (const page of memory.list(ctx, query)) {
          const hidden = page.objects.map(
            (info) => ({ key: info.key, sizeBytes: 0, isSizeUnsure: true }) as const,
          );
          yield { ...page, objects: hidden };
        }
      };
      const { stat, read, write, remove, close } = memory;
      const driver = Object.assign(Object.create(memory), {
        list,
        ...Object.fromEntries(
          Object.entries({ stat, read, write, remove, close }).map(([at, call]) => [at, call.bind(memory)]),
        ),
      });
      try {
        return await probe(swift, { openDriver: async () => driver, ...more });
      } finally {
        forgetStore(name);
      }
    };

    it('says which rule keys follow, and the true size of a large object', async () => {
      const report = await probeOf(`old/files/${BLOB}`);
      assert.deepEqual(outcomes(report), ['reach ok', 'list ok', 'keys ok', 'layout ok', 'read ok']);
      assert.deepEqual([report.keyPrefix, report.layout], ['old/files/', 'distribution']);
      assert.deepEqual(report.firstObjects, [{ path: BLOB, sizeBytes: 7, class: 'blob' }]);
      const text = probeText(report, (_, words) => words);
      assert.match(text, /keys are "old\/files\/" \+ the registry's own path \(keyrule: distribution\)/);
    });

    for (const [stray, hint] of [
      ['old/', /^set keyrule: plain; in a URL swift:\/\/registry\/old\?keyrule=plain$/],
      ['', /^set keyrule: plain and prefix: ""; in a URL swift:\/\/registry\?keyrule=plain$/],
      ['files/', /^set prefix: ""; in a URL swift:\/\/registry\?keyrule=distribution$/],
    ] as const) {
      it(`says that a registry lies at "${stray}", where its driver does not look`, async () => {
        const report = await probeOf(`${stray}${BLOB}`);
        const keys = report.findings.find(({ check }) => check === 'keys');
        assert.equal(keys?.outcome, 'failed');
        assert.match(
          keys?.text ?? '',
          new RegExp(
            `a registry lies at "${stray}docker/registry/v2/" .*, but the settings say that keys are`,
          ),
        );
        assert.match(keys?.hint ?? '', hint);
        assert.equal(report.otherRegistries[0]?.keyPrefix, stray);
        assert.equal(report.isUsable, false);
        const target = await probeOf(`${stray}${BLOB}`, { role: 'target' });
        assert.equal(target.findings.find(({ check }) => check === 'keys')?.outcome, 'open');
        assert.equal(target.isUsable, true);
      });
    }
  });

  it('rejects when it is stopped', async () => {
    await assert.rejects(probe(s3('full'), { signal: AbortSignal.abort(new Error('stopped')) }), /stopped/);
  });
});
