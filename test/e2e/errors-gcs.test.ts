/** Rows of docs/errors.md about Google Cloud Storage: over the strict fake, with tokens by workload identity. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blobferry, errorTests, type RowTest } from '../support/error-tests.ts';
import { type GcsCliWorld, gcsCliWorldFor } from '../support/gcs-cli-world.ts';
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
  'an account that Google refuses': probing(async ({ folder }) => {
    await writeFile(join(folder, 'subject'), SECRET);
    return undefined;
  }),
  'a bucket that Cloud Storage does not have': probing(({ url: urlOf }) =>
    urlOf('root').replace('gs://bucket/', 'gs://other-bucket/'),
  ),
  'an account without rights on the bucket': answering(403, 'forbidden'),
});
