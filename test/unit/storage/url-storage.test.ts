import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readUrlStorage } from '../../../src/cli/storage/url-storage.ts';
import { refusalOf } from './reading.ts';

const PLAIN = {
  kind: 's3',
  bucket: 'bucket',
  rootDirectory: '',
  region: 'eu-west-1',
  isPathStyle: false,
  skipsTlsVerify: false,
  encrypt: false,
};
const HERE = { endpoint: 'http://localhost:9000', isPathStyle: true };

describe('a file URL', () => {
  for (const [url, rootDirectory] of [
    ['file:///srv/registry', '/srv/registry'],
    ['file:///srv/registry/', '/srv/registry'],
    ['FILE://localhost/srv', '/srv'],
    ['file:///', '/'],
    ['file:///srv/mit%20Leerzeichen', '/srv/mit Leerzeichen'],
    ['file:///srv/mit Leerzeichen', '/srv/mit Leerzeichen'],
    ['file:///srv/%C3%BC%3F%23%25', '/srv/ü?#%'],
    ['file:///srv/a+b', '/srv/a+b'],
    ['file:///srv/../x', '/x'],
  ] as const) {
    it(`${url} is the folder ${rootDirectory}`, () => {
      assert.deepEqual(readUrlStorage(url, {}), { spec: { kind: 'fs', rootDirectory }, notes: [] });
    });
  }

  it('leads to any folder whose name was percent-encoded', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => /^[^/\p{Cc}.][^/\p{Cc}]*$/u.test(text));
    fc.assert(
      fc.property(fc.array(name, { minLength: 1 }), (names) => {
        const url = `file:///${names.map((one) => encodeURIComponent(one)).join('/')}`;
        assert.deepEqual(readUrlStorage(url, {}).spec, { kind: 'fs', rootDirectory: `/${names.join('/')}` });
      }),
    );
  });
});

describe('an S3 URL', () => {
  for (const [url, part] of [
    ['s3://bucket?region=eu-west-1', {}],
    ['S3://bucket/?region=eu-west-1', {}],
    ['s3://bucket/a/b/?region=eu-west-1', { rootDirectory: 'a/b/' }],
    ['s3://bucket/%C3%BC%3F%23?region=eu-west-1', { rootDirectory: 'ü?#' }],
    ['s3://bucket/a+b?region=eu-west-1', { rootDirectory: 'a+b' }],
    ['s3://bucket?region=eu-west-1&endpoint=http://localhost:9000', HERE],
    ['s3://bucket?region=eu-west-1&endpoint=http%3A%2F%2Flocalhost%3A9000%2F', HERE],
    ['s3://bucket?region=eu-west-1&endpoint=localhost:9000', { ...HERE, endpoint: 'https://localhost:9000' }],
    ['s3://bucket?endpoint=http://localhost:9000', { ...HERE, region: 'us-east-1' }],
    [
      's3://bucket?region=x&endpoint=http://localhost:9000&pathstyle=false',
      { ...HERE, region: 'x', isPathStyle: false },
    ],
    ['s3://bucket?region=eu-west-1&pathstyle=true', { isPathStyle: true }],
    ['s3://bucket?region=eu-west-1&skipverify=true&profile=a%20b', { skipsTlsVerify: true, profile: 'a b' }],
    ['s3://my.bucket?region=eu-west-1', { bucket: 'my.bucket', isPathStyle: true }],
    [
      's3://tenant%3Abucket?endpoint=http://localhost:9000',
      { ...HERE, bucket: 'tenant:bucket', region: 'us-east-1' },
    ],
  ] as const) {
    it(`${url} gives ${JSON.stringify(part)}`, () => {
      assert.deepEqual(readUrlStorage(url, {}), { spec: { ...PLAIN, ...part }, notes: [] });
    });
  }

  it('takes the region from the environment and says so', () => {
    assert.deepEqual(readUrlStorage('s3://bucket', { AWS_DEFAULT_REGION: 'eu-west-1' }), {
      spec: PLAIN,
      notes: ['the region is "eu-west-1", from AWS_DEFAULT_REGION'],
    });
  });
});

describe('mistakes in a URL', () => {
  for (const [url, message] of [
    ['file://srv/registry', 'A file URL holds an absolute path and nothing else'],
    ['file:srv', 'A file URL holds an absolute path and nothing else'],
    ['file:///srv?x=1', 'A file URL holds an absolute path and nothing else'],
    ['file:///srv/100%', 'The path of the file URL holds a "%" that begins no percent-encoded character'],
    ['file:///srv/%00', 'The path of the file URL must not hold line breaks or other control characters'],
    ['s3://', 'An S3 URL names a bucket and has no fragment ("#")'],
    ['s3:bucket/root', 'An S3 URL names a bucket and has no fragment ("#")'],
    ['s3:///root', 'An S3 URL names a bucket and has no fragment ("#")'],
    ['s3://bucket/a#b?region=x', 'An S3 URL names a bucket and has no fragment ("#")'],
    ['s3://bucket', 'The S3 URL lacks a region'],
    ['s3://bucket?region=', 'The S3 URL lacks a region'],
    [
      's3://b?region=eu-west-1',
      'The bucket of the S3 URL must be the name of a bucket (3 to 255 letters, digits, ".", "_" or "-")',
    ],
    [
      's3://bucket%2Fa?region=eu-west-1',
      'The bucket of the S3 URL must be the bucket alone (the rest belongs into rootdirectory)',
    ],
    [
      's3://bucket?region=Frankfurt',
      '"region" of the S3 URL is no region of AWS, and no "endpoint" names another service',
    ],
    ['s3://bucket?regoin=eu-west-1', 'The S3 URL has an unknown parameter "regoin"; did you mean "region"?'],
    ['s3://bucket?colour=red', 'The S3 URL has an unknown parameter "colour"'],
    ['s3://bucket?region=a&region=b', 'The S3 URL gives "region" twice'],
    ['s3://bucket?endpoint=ftp://x', '"endpoint" of the S3 URL must begin with http:// or https://'],
    ['s3://bucket?region=eu-west-1&pathstyle=maybe', '"pathstyle" of the S3 URL must be true or false'],
    ['s3://bucket?region=%', '"region" of the S3 URL holds a "%" that begins no percent-encoded character'],
    [
      's3://localhost:9000/bucket',
      'An S3 URL begins with the bucket alone, without credentials, host or port',
    ],
    ['https://s3.example.com/bucket', 'A storage is not given as https://'],
    ['nfs://host/export', 'Storage at nfs:// is not known'],
  ] as const) {
    it(`${url}: ${message.slice(0, 80)}`, async () => {
      assert.equal((await refusalOf(() => readUrlStorage(url, {}))).message, message);
    });
  }

  for (const url of [
    's3://AKIAEXAMPLE:hidden@bucket/root?region=eu-west-1',
    's3://AKIAEXAMPLE:hid/hidden@bucket/root?region=eu-west-1',
    's3://AKIAEXAMPLE:hid#hidden@bucket?region=eu-west-1',
    's3:AKIAEXAMPLE:hidden@bucket',
    's3://bucket?secretkey=hidden&accesskey=AKIAEXAMPLE',
    's3://bucket?x-amz-security-token=hidden',
    's3://bucket?hidden/hidden=1',
    's3://bucket?endpoint=https://AKIAEXAMPLE:hidden@host',
    'https://AKIAEXAMPLE:hidden@host/bucket',
  ]) {
    it(`with credentials are refused without repeating them: ${url}`, async () => {
      const { message, hint } = await refusalOf(() => readUrlStorage(url, {}));
      assert.doesNotMatch(`${message} ${hint}`, /hidden|AKIA/);
    });
  }

  it('with credentials say where to put them', async () => {
    const { hint } = await refusalOf(() => readUrlStorage('s3://AKIA:hidden@bucket', {}));
    assert.match(hint ?? '', /AWS_ACCESS_KEY_ID .* profile .* YAML file/);
  });
});
