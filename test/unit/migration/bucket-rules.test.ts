import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { bucketRules, ruleText } from '../../../src/cli/migration/bucket-rules.ts';
import type { S3Spec } from '../../../src/drivers/spec.ts';

const { signal } = new AbortController();
const NOTHING_SET =
  '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></VersioningConfiguration>';
const ENABLED = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';

/** Answers each question of a bucket with a status and a body. */
async function asked(
  answers: Readonly<Record<string, readonly [number, string]>>,
): Promise<readonly string[] | undefined> {
  const server = createServer((request, response) => {
    const rule = [...new URL(request.url ?? '', 'http://x').searchParams.keys()][0] ?? '';
    const [status, body] = answers[rule] ?? [404, '<Error><Code>NoSuchConfiguration</Code></Error>'];
    response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const spec: S3Spec = {
    kind: 's3',
    bucket: 'box',
    rootDirectory: '',
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    isPathStyle: true,
    skipsTlsVerify: false,
    encrypt: false,
    credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
  };
  try {
    return await bucketRules(spec, signal);
  } finally {
    server.close();
  }
}

describe('the rules of a target bucket', () => {
  it('are none where none is set, or where the service does not know the question', async () => {
    assert.deepEqual(await asked({ versioning: [200, NOTHING_SET] }), []);
    assert.deepEqual(await asked({ lifecycle: [501, '<Error><Code>NotImplemented</Code></Error>'] }), []);
  });

  it('are named, each in a sentence; one that may not be read as well', async () => {
    const lifecycle =
      '<LifecycleConfiguration><Rule><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule><Rule><Status>Disabled</Status><Transition></Transition></Rule></LifecycleConfiguration>';
    const found = await asked({
      versioning: [200, ENABLED],
      lifecycle: [200, lifecycle],
      'object-lock': [403, '<Error><Code>AccessDenied</Code><Message>no</Message></Error>'],
    });
    assert.equal(found?.length, 3);
    assert.match(found[0] ?? '', /^Versioning is enabled/);
    assert.match(found[1] ?? '', /^A lifecycle rule is enabled: it may remove objects; /);
    assert.match(found[2] ?? '', /^Whether bucket box has rules for object-lock could not be asked: /);
  });

  it('say what object lock and a suspended versioning mean', () => {
    const lock =
      '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode></DefaultRetention></Rule></ObjectLockConfiguration>';
    assert.match(ruleText('object-lock', lock) ?? '', /by default in mode COMPLIANCE/);
    assert.match(ruleText('versioning', ENABLED.replace('Enabled', 'Suspended')) ?? '', /suspended/);
    assert.equal(ruleText('object-lock', '<ObjectLockConfiguration></ObjectLockConfiguration>'), undefined);
  });

  it('are not asked of other storages', async () => {
    assert.equal(await bucketRules({ kind: 'fs', rootDirectory: '/nowhere' }, signal), undefined);
  });
});
