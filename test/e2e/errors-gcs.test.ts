/** Rows of docs/errors.md about Google Cloud Storage: over the strict fake, with tokens by workload identity. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { open, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeCertificate } from '../../bench/support/certificate.ts';
import { blobferry, copy, errorTests, type RowTest } from '../support/error-tests.ts';
import { TREE, treeUrl } from '../support/error-world.ts';
import { Front } from '../support/front.ts';
import { type GcsCliWorld, gcsCliWorldFor } from '../support/gcs-cli-world.ts';
import { TestProxy } from '../support/proxy.ts';
import { tempFolderFor } from '../support/temp.ts';

const SECRET = 'hiddenHiddenHidden';

/** Runs `probe` with a gcs section of these lines; nothing is reached. */
function section(...lines: readonly string[]): RowTest {
  return async (t, row) => {
    const file = join(await tempFolderFor(t, 'gcs'), 'old.yml');
    await writeFile(file, ['gcs:', ...lines.map((line) => `  ${line}`), ''].join('\n'));
    row.check(await blobferry(['probe', file], { secrets: [SECRET] }));
  };
}

/** Runs `probe` with this URL; nothing is reached. */
function url(text: string): RowTest {
  return async (_t, row) => row.check(await blobferry(['probe', text], { secrets: [SECRET] }));
}

/** Runs `probe --write` after something was done to the world. */
function probing(change: (world: GcsCliWorld) => Promise<string | undefined> | string | undefined): RowTest {
  return async (t, row) => {
    const world = await gcsCliWorldFor(t);
    const storage = (await change(world)) ?? world.url('root');
    row.check(await blobferry(['probe', '--write', storage], { env: world.env, secrets: [SECRET] }));
    assert.equal(world.fake.bucket.objects.size, 0);
  };
}

function answering(status: number, code: string): RowTest {
  return probing(({ fake }) => {
    const body = JSON.stringify({ error: { code: status, message: 'No.', errors: [{ reason: code }] } });
    fake.intercept = () => ({ status, body });
    return undefined;
  });
}

/** A key file with these fields besides its type. */
function keyFile(fields: Readonly<Record<string, string>>, type = 'service_account'): RowTest {
  return probing(async ({ folder, url: urlOf }) => {
    await writeFile(join(folder, 'key.json'), JSON.stringify({ type, ...fields }));
    return `${urlOf('')}&keyfile=${join(folder, 'key.json')}`;
  });
}

const HOST = 'oauth2.googleapis.com';

/** The token service of Google, behind a proxy that knows where it really is. */
async function googleFor(t: TestContext, description: string) {
  const authority = makeCertificate({ names: ['authority.example'] });
  const { cert, key } = makeCertificate({ names: [HOST], issuer: authority });
  const google = createServer({ cert, key }, (asked, answer) => {
    asked.resume().on('end', () => {
      const json = JSON.stringify({ error: 'invalid_grant', error_description: description });
      answer.writeHead(400, { 'content-type': 'application/json' }).end(json);
    });
  });
  google.listen(0, '127.0.0.1');
  await once(google, 'listening');
  const { port } = google.address() as AddressInfo;
  const proxy = await TestProxy.start({ routes: { [`${HOST}:443`]: `127.0.0.1:${port}` } });
  t.after(async () => {
    google.closeAllConnections();
    google.close();
    await proxy.close();
  });
  return { proxy, authority: authority.cert };
}

/** A right key file, and a token service that has this to say of it. */
function saysGoogle(description: string): RowTest {
  return async (t, row) => {
    const { folder, fake, url: urlOf } = await gcsCliWorldFor(t);
    const { proxy, authority } = await googleFor(t, description);
    await writeFile(join(folder, 'ca.pem'), authority);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const account = {
      type: 'service_account',
      client_email: 'a@p.iam.gserviceaccount.com',
      private_key: pem,
    };
    await writeFile(join(folder, 'key.json'), JSON.stringify(account));
    const env = { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') };
    const storage = `${urlOf('')}&keyfile=${join(folder, 'key.json')}`;
    const secrets = [pem, ...pem.split('\n').filter((line) => line.length > 40)];
    row.check(await blobferry(['probe', '--write', storage], { env, secrets }));
    assert.deepEqual([...new Set(proxy.tunnels)], [`${HOST}:443`]);
    assert.equal(fake.seen.length, 0);
  };
}

/** A copy to the fake, the first writes of which are answered so. */
function copying(count: number, answer: { readonly status: number; readonly code: string }): RowTest {
  return async (t, row) => {
    const world = await gcsCliWorldFor(t);
    const { fake } = world;
    const when: number[] = [];
    fake.intercept = ({ method, target }) => {
      if (method !== 'PUT' || !target.includes('/data')) return undefined;
      when.push(Date.now());
      const body = `<Error><Code>${answer.code}</Code><Message>No.</Message></Error>`;
      return when.length > count
        ? undefined
        : { status: answer.status, headers: { 'retry-after': '1' }, body };
    };
    row.check(await copy(t, await treeUrl(t), world.url('root'), { env: world.env }));
    assert.equal(fake.bucket.objects.size, TREE.objects.size);
    assert.equal(when.length, TREE.blobs.length + count, 'each refused request was repeated once');
    assert.ok((when.at(-1) ?? 0) - (when[0] ?? 0) >= 1_000, 'it waits as long as it is asked to');
  };
}

errorTests(import.meta.filename, {
  'no bucket of Cloud Storage': section('rootdirectory: a'),
  'two kinds of credentials of Cloud Storage': section(
    'bucket: registry',
    'keyfile: /k',
    'credentials: { a: b }',
  ),
  'one half of an HMAC key': section('bucket: registry', `secretkey: ${SECRET}`),
  'a KMS key beside HMAC keys': section(
    'bucket: registry',
    'accesskey: GOOG1',
    `secretkey: ${SECRET}`,
    'kmskeyname: projects/p/locations/l/keyRings/r/cryptoKeys/k',
  ),
  'a secret in a gs URL': url(`gs://registry?secretkey=${SECRET}`),
  'a key file that is not there': probing(({ url: urlOf }) => `${urlOf('')}&keyfile=/nowhere/key.json`),
  'a key file that is no JSON': probing(async ({ folder, url: urlOf }) => {
    await writeFile(join(folder, 'key.json'), SECRET);
    return `${urlOf('')}&keyfile=${join(folder, 'key.json')}`;
  }),
  'a file in GOOGLE_APPLICATION_CREDENTIALS that is not there': probing(async ({ folder }) => {
    await rm(join(folder, 'account.json'));
    return undefined;
  }),
  'a file in GOOGLE_APPLICATION_CREDENTIALS that is no JSON': probing(async ({ folder }) => {
    // A parser quotes what stands around the mistake.
    await writeFile(join(folder, 'account.json'), `{"private_key":${SECRET}`);
    return undefined;
  }),
  'no credentials of Google anywhere': async (t, row) => {
    const { url: urlOf, folder } = await gcsCliWorldFor(t);
    const machine = await Front.start();
    t.after(() => machine.close());
    machine.rules = { before: () => ({ status: 403 }) };
    const env = { CLOUDSDK_CONFIG: folder, GCE_METADATA_HOST: new URL(machine.origin).host };
    const from = await treeUrl(t);
    const result = await copy(t, from, urlOf('root'), { env });
    row.check(result);
    assert.doesNotMatch(result.stderr, /Warning/, 'what a library tells programmers is not for users');
  },
  'an account that Google refuses': probing(async ({ folder }) => {
    await writeFile(join(folder, 'subject'), SECRET);
    return undefined;
  }),
  'a bucket that Cloud Storage does not have': probing(({ url: urlOf }) =>
    urlOf('root').replace('gs://bucket/', 'gs://other-bucket/'),
  ),
  'an account without rights on the bucket': answering(403, 'forbidden'),
  'an account without the right to write to the bucket': async (t, row) => {
    const { fake, url: urlOf, env } = await gcsCliWorldFor(t);
    const details =
      'a@p.iam.gserviceaccount.com does not have storage.objects.create access to the Google Cloud Storage object.';
    const body = `<Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>${details}</Details></Error>`;
    fake.intercept = ({ method }) => (method === 'PUT' ? { status: 403, body } : undefined);
    row.check(await copy(t, await treeUrl(t), urlOf('root'), { env }));
    const probe = await blobferry(['probe', '--write', urlOf('root')], { env });
    assert.match(probe.stdout, /missing permissions\n {4}storage\.objects\.create/);
    assert.equal(fake.bucket.objects.size, 0);
  },
  'a bucket that asks for fewer requests': copying(1, { status: 429, code: 'TooManyRequests' }),
  'a Cloud Storage that is busy': copying(2, { status: 503, code: 'ServiceUnavailable' }),
  'a token of Google that ends on the way': async (t, row) => {
    const world = await gcsCliWorldFor(t);
    let writes = 0;
    world.fake.intercept = ({ method }) => {
      writes += method === 'PUT' ? 1 : 0;
      if (writes === 8) {
        world.fake.tokens.clear();
        world.fake.tokens.add(SECRET);
        world.token = SECRET;
      }
      return undefined;
    };
    row.check(await copy(t, await treeUrl(t), world.url('root'), { env: world.env, secrets: [SECRET] }));
    assert.equal(world.fake.bucket.objects.size, TREE.objects.size);
    assert.ok(world.fake.seen.some(({ headers }) => headers.authorization === `Bearer ${SECRET}`));
    assert.equal(world.logIns, 2, 'one for all threads that were refused');
  },
  'a key file of another kind': keyFile({ audience: SECRET }, 'external_account'),
  'a key file without its key': keyFile({ client_email: 'a@p.iam.gserviceaccount.com' }),
  'a key file whose key is none': keyFile({
    client_email: 'a@p.iam.gserviceaccount.com',
    private_key: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`,
  }),
  'a key that was deleted at Google': saysGoogle('Invalid JWT Signature.'),
  'a clock that is not the one of Google': saysGoogle(
    'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
  ),
  'a web page in the place of Cloud Storage': probing(({ fake }) => {
    fake.intercept = () => ({ status: 200, body: '<html>Welcome</html>' });
    return undefined;
  }),
  'an endpoint of Cloud Storage that knows no such page': probing(({ fake }) => {
    fake.intercept = () => ({ status: 404, body: '<html>Not found</html>' });
    return undefined;
  }),
  'an object that is larger than Cloud Storage keeps': async (t, row) => {
    const { fake, url: urlOf, env } = await gcsCliWorldFor(t);
    const folder = await tempFolderFor(t, 'large');
    await writeFile(join(folder, 'small'), 'small');
    const file = await open(join(folder, 'huge'), 'w');
    // Sparse: it takes no room.
    await file.truncate(5 * 1024 ** 4 + 1);
    await file.close();
    const more = ['--layout', 'raw'];
    row.check(await copy(t, `file://${folder}`, urlOf('root'), { env, more }));
    assert.deepEqual([...fake.bucket.objects.keys()], ['root/small']);
    assert.equal(fake.uploads.count, 0);
    const args = ['plan', '--from', `file://${folder}`, '--to', urlOf('plan'), '--sample', '0', ...more];
    assert.match(
      (await blobferry(args, { env })).stdout,
      /5497558138881 bytes are more than one upload takes/,
    );
  },
});
