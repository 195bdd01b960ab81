import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { withNetwork } from '../../../src/cli/storage/network.ts';
import { readUrlStorage } from '../../../src/cli/storage/url-storage.ts';
import { storageName } from '../../../src/drivers/spec-name.ts';
import { readYaml, refusalOf } from './reading.ts';

function gcsYaml(...lines: readonly string[]): string {
  return ['gcs:', '  bucket: registry', ...lines.map((line) => `  ${line}`), ''].join('\n');
}

const PLAIN = {
  kind: 'gcs',
  bucket: 'registry',
  rootDirectory: '',
  access: { kind: 'default' },
  skipsTlsVerify: false,
};
const KMS = 'projects/p/locations/eu/keyRings/r/cryptoKeys/k';

describe('the gcs section', () => {
  for (const [what, lines, part] of [
    ['a bucket alone', [], {}],
    ['a key file', ['keyfile: /etc/key.json'], { access: { kind: 'keyfile', path: '/etc/key.json' } }],
    [
      'a key file from here',
      ['keyfile: key.json'],
      { access: { kind: 'keyfile', path: resolve('key.json') } },
    ],
    [
      'credentials',
      [
        'credentials:',
        '  type: service_account',
        '  private_key: "a\\nb"',
        '  client_id: 0123',
        `  note: "$\{NOTE}"`,
        '  nothing:',
      ],
      {
        access: {
          kind: 'credentials',
          credentials: { type: 'service_account', private_key: 'a\nb', client_id: '0123', note: 'noted' },
        },
      },
    ],
    ['a root', ['rootdirectory: /a/b/'], { rootDirectory: '/a/b/' }],
    [
      'an endpoint',
      ['endpoint: gcs.example:4443', 'skipverify: true'],
      { endpoint: 'https://gcs.example:4443', skipsTlsVerify: true },
    ],
    [
      'attributes of written objects',
      [
        `kmskeyname: ${KMS}`,
        'storageclass: nearline',
        'predefinedacl: project-private',
        'contenttype: text/plain',
      ],
      {
        kmsKeyName: KMS,
        storageClass: 'NEARLINE',
        predefinedAcl: 'project-private',
        contentType: 'text/plain',
      },
    ],
  ] as const) {
    it(`is read with ${what}`, () => {
      const { spec, notes } = readYaml(gcsYaml(...lines), { NOTE: 'noted' });
      assert.deepEqual([spec, notes], [{ ...PLAIN, ...part }, []]);
    });
  }

  it('is an S3 storage with HMAC keys', () => {
    const lines = ['accesskey: GOOG1', 'secretkey: hidden', 'storageclass: COLDLINE', 'rootdirectory: /a'];
    assert.deepEqual(readYaml(gcsYaml(...lines)).spec, {
      kind: 's3',
      bucket: 'registry',
      rootDirectory: '/a',
      region: 'auto',
      endpoint: 'https://storage.googleapis.com',
      isPathStyle: true,
      skipsTlsVerify: false,
      credentials: { accessKeyId: 'GOOG1', secretAccessKey: 'hidden' },
      encrypt: false,
      storageClass: 'COLDLINE',
    });
  });

  it('says what has no effect', () => {
    const { notes } = readYaml(
      gcsYaml('chunksize: 5242880', 'maxconcurrency: 50', 'storageclass: ARCHIVE'),
      {},
      'source',
    );
    assert.equal(notes.length, 3);
    for (const note of notes) assert.match(note, /^old\.yml:\d: "\w+" of gcs has no effect: /);
  });

  for (const [what, text, message] of [
    ['no bucket', 'gcs:\n  keyfile: /k\n', 'old.yml:1: gcs lacks "bucket"'],
    [
      'a bucket with capitals',
      'gcs:\n  bucket: Registry\n',
      'old.yml:2: "bucket" of gcs must be the name of a bucket',
    ],
    [
      'both kinds of a key',
      gcsYaml('keyfile: /k', 'credentials: { type: x }'),
      'old.yml:3: "keyfile" and "credentials" of gcs exclude each other',
    ],
    [
      'one half of an HMAC key',
      gcsYaml('secretkey: hidden'),
      'old.yml:3: "secretkey" of gcs is given without "accesskey"',
    ],
    [
      'a key file beside an HMAC key',
      gcsYaml('accesskey: a', 'secretkey: hidden', 'keyfile: /k'),
      'old.yml:5: "keyfile" and "accesskey" of gcs exclude each other',
    ],
    [
      'a KMS key beside an HMAC key',
      gcsYaml('accesskey: a', 'secretkey: hidden', `kmskeyname: ${KMS}`),
      'old.yml:5: "kmskeyname" of gcs cannot be asked for with HMAC keys',
    ],
    [
      'a KMS key that is none',
      gcsYaml('kmskeyname: k'),
      'old.yml:3: "kmskeyname" of gcs must be projects/P/',
    ],
    [
      'credentials that are a list',
      gcsYaml('credentials: [hidden]'),
      'old.yml:3: "credentials" of gcs must be a single value, not a list',
    ],
    [
      'credentials that are a text',
      gcsYaml('credentials: hidden'),
      'old.yml:3: "credentials" of gcs must be a section of names and values',
    ],
    [
      'credentials in credentials',
      gcsYaml('credentials:', '  a: { b: hidden }'),
      'old.yml:4: a value in "credentials" of gcs must be a single one',
    ],
    [
      'a variable that is not set',
      gcsYaml('credentials:', `  a: $\{NOT_SET}`),
      'old.yml:4: a value in "credentials" of gcs needs the environment variable',
    ],
    [
      'the type of unfinished uploads',
      gcsYaml('contenttype: application/x-docker-upload-session'),
      'old.yml:3: "contenttype" of gcs must not be that of unfinished uploads',
    ],
    [
      'an unknown class',
      gcsYaml('storageclass: GLACIER'),
      'old.yml:3: "storageclass" of gcs must be one of STANDARD,',
    ],
  ] as const) {
    it(`is refused with ${what}`, async () => {
      const refusal = await refusalOf(() => readYaml(text));
      assert.ok(refusal.message.startsWith(message), refusal.message);
      assert.doesNotMatch(`${refusal.message} ${refusal.hint}`, /hidden/);
    });
  }
});

describe('gs:// URLs', () => {
  it('name a bucket, a root and the way to it', () => {
    assert.deepEqual(readUrlStorage('gs://registry/a%20b', {}).spec, { ...PLAIN, rootDirectory: 'a b' });
    const { spec, notes } = readUrlStorage(
      'gs://registry?endpoint=http://host:1&keyfile=/k%2Bey.json&skipverify=yes',
      {},
    );
    const access = { kind: 'keyfile', path: '/k+ey.json' };
    assert.deepEqual(
      [spec, notes],
      [{ ...PLAIN, endpoint: 'http://host:1', access, skipsTlsVerify: true }, []],
    );
  });

  it('say where tokens come from when no key is given', () => {
    assert.match(readUrlStorage('gs://registry', {}).notes.join(), /come from gcloud's/);
    const env = { GOOGLE_APPLICATION_CREDENTIALS: '/k.json' };
    assert.match(readUrlStorage('gs://registry', env).notes.join(), /GOOGLE_APPLICATION_CREDENTIALS$/);
  });

  for (const [url, message] of [
    ['gs://', 'A gs URL names a bucket and has no fragment ("#")'],
    ['gs://registry#a', 'A gs URL names a bucket and has no fragment ("#")'],
    ['gs://me:hidden@registry', 'A gs URL begins with the bucket alone, without credentials, host or port'],
    ['gs://registry?secretkey=hidden', 'The gs URL holds credentials ("secretkey")'],
    ['gs://registry?colour=hidden', 'The gs URL has an unknown parameter "colour"'],
    ['gs://registry?keyfile=/a&keyfile=/b', 'The gs URL gives "keyfile" twice'],
    ['gs://registry?endpoint=ftp://x', '"endpoint" of the gs URL must begin with http:// or https://'],
    ['gs://registry/%', 'The gs URL holds a "%" that begins no percent-encoded character'],
    [
      'gs://Registry',
      'The bucket of the gs URL must be the name of a bucket (3 to 222 small letters, digits, ".", "_" or "-")',
    ],
  ] as const) {
    it(`are refused: ${url}`, async () => {
      const refusal = await refusalOf(() => readUrlStorage(url, {}));
      assert.equal(refusal.message, message);
      assert.doesNotMatch(refusal.hint ?? '', /hidden/);
    });
  }

  it('are reached through the proxy of the environment, except hosts that need none', () => {
    const { spec } = readUrlStorage('gs://registry', {});
    assert.ok(spec.kind === 'gcs');
    const env = { HTTPS_PROXY: 'http://proxy.example:3128' };
    const reached = withNetwork(spec, env);
    assert.equal(reached.spec.network?.proxies?.https?.host, 'proxy.example');
    assert.deepEqual(reached.notes, ['gs://registry is reached through the proxy http://proxy.example:3128']);
    assert.deepEqual(withNetwork(spec, { ...env, NO_PROXY: 'storage.googleapis.com' }).notes, []);
  });

  it('are shown without what may be secret', () => {
    const { spec } = readUrlStorage('gs://registry/a?keyfile=/k', {});
    assert.equal(storageName(spec), 'gs://registry/a');
    const other = readUrlStorage('gs://registry?endpoint=https://host/path', {});
    assert.equal(storageName(other.spec), 'gs://registry at https://host');
  });
});
