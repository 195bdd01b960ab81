// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the texts that users write.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { readYaml, s3Yaml } from './reading.ts';

const PLAIN = {
  kind: 's3',
  bucket: 'registry',
  rootDirectory: '',
  region: 'eu-west-1',
  isPathStyle: false,
  skipsTlsVerify: false,
  encrypt: false,
};

function specOf(...lines: readonly string[]): object {
  return readYaml(s3Yaml(...lines)).spec;
}

describe('a storage file', () => {
  it("may be the registry's whole configuration", () => {
    const text = `version: 0.1
log: { fields: { service: registry } }
storage:
  delete: { enabled: true }
  cache: { blobdescriptor: redis }
  s3:
    bucket: registry
    region: eu-west-1
  maintenance: { uploadpurging: { enabled: false } }
http: { addr: ":5000", secret: asecret }
`;
    const { spec, notes } = readYaml(text);
    assert.deepEqual(spec, PLAIN);
    assert.deepEqual(notes, [
      'old.yml:4: "delete" has no effect: it concerns the registry\'s service',
      'old.yml:5: "cache" has no effect: it concerns the registry\'s service',
      'old.yml:9: "maintenance" has no effect: it concerns the registry\'s service',
    ]);
  });

  it('may be the content of the storage section alone, also as JSON', () => {
    assert.deepEqual(readYaml(s3Yaml()), { spec: PLAIN, notes: [] });
    assert.deepEqual(readYaml('{"s3aws": {"bucket": "registry", "region": "eu-west-1"}}').spec, PLAIN);
  });

  it('may use anchors, aliases and merged sections; what a section says itself wins', () => {
    const text = `x-common: &common
  region: us-east-1
  bucket: registry
x-more: &more { rootdirectory: &root a/b, useragent: merged }
storage:
  s3:
    <<: [*common, *more]
    region: eu-west-1
    useragent: *root
`;
    assert.deepEqual(readYaml(text).spec, { ...PLAIN, rootDirectory: 'a/b', userAgent: 'a/b' });
  });

  it('whose merged sections go in circles is read all the same', () => {
    const text = 'x: &x\n  region: eu-west-1\n  <<: *x\nstorage:\n  s3:\n    <<: *x\n    bucket: registry\n';
    assert.deepEqual(readYaml(text).spec, PLAIN);
  });

  it('may name a backend without parameters', () => {
    const { spec, notes } = readYaml('storage: filesystem\n');
    assert.deepEqual(spec, { kind: 'fs', rootDirectory: '/var/lib/registry' });
    assert.deepEqual(notes, [
      'old.yml:1: "rootdirectory" is not given: it is /var/lib/registry, as for the registry',
    ]);
    assert.deepEqual(readYaml('filesystem:\n').spec, spec);
  });

  it('gives the folder of a file system as the registry takes it', () => {
    const rootOf = (text: string) => readYaml(`filesystem:\n  rootdirectory: ${text}\n`).spec;
    assert.deepEqual(rootOf('/srv/registry/'), { kind: 'fs', rootDirectory: '/srv/registry' });
    assert.deepEqual(rootOf('/srv/./a/../registry//x'), { kind: 'fs', rootDirectory: '/srv/registry/x' });
    assert.deepEqual(rootOf('/'), { kind: 'fs', rootDirectory: '/' });
    assert.deepEqual(rootOf('"/srv/mit Leerzeichen"'), { kind: 'fs', rootDirectory: '/srv/mit Leerzeichen' });
  });
});

describe('the parameters of s3', () => {
  it('come all together', () => {
    const spec = specOf(
      'accesskey: AKIA',
      'secretkey: "se/cret+"',
      'sessiontoken: token',
      'rootdirectory: /a/b/',
      'encrypt: true',
      'keyid: 1234-abcd',
      'storageclass: standard_ia',
      'objectacl: bucket-owner-full-control',
      'useragent: mover',
      'skipverify: yes',
    );
    assert.deepEqual(spec, {
      ...PLAIN,
      credentials: { accessKeyId: 'AKIA', secretAccessKey: 'se/cret+', sessionToken: 'token' },
      rootDirectory: '/a/b/',
      encrypt: true,
      kmsKeyId: '1234-abcd',
      storageClass: 'STANDARD_IA',
      objectAcl: 'bucket-owner-full-control',
      userAgent: 'mover',
      skipsTlsVerify: true,
    });
  });

  for (const [lines, part] of [
    // Path style and endpoints.
    [['regionendpoint: https://s3.example.com'], { endpoint: 'https://s3.example.com', isPathStyle: true }],
    [['regionendpoint: https://s3.example.com/'], { endpoint: 'https://s3.example.com', isPathStyle: true }],
    [
      ['regionendpoint: https://S3.example.com:443/gw/'],
      { endpoint: 'https://s3.example.com/gw', isPathStyle: true },
    ],
    [['regionendpoint: minio:9000'], { endpoint: 'https://minio:9000', isPathStyle: true }],
    [['regionendpoint: minio:9000', 'secure: false'], { endpoint: 'http://minio:9000', isPathStyle: true }],
    [['regionendpoint: minio:443', 'secure: false'], { endpoint: 'http://minio:443', isPathStyle: true }],
    [['regionendpoint: "[::1]:9000"', 'secure: no'], { endpoint: 'http://[::1]:9000', isPathStyle: true }],
    [['regionendpoint: https://x', 'forcepathstyle: false'], { endpoint: 'https://x', isPathStyle: false }],
    [['regionendpoint: ""'], {}],
    [['forcepathstyle: true'], { isPathStyle: true }],
    [['forcepathstyle: "true"'], { isPathStyle: true }],
    // AWS's own endpoints.
    [['secure: false'], { endpoint: 'http://s3.eu-west-1.amazonaws.com' }],
    [['usedualstack: true'], { endpoint: 'https://s3.dualstack.eu-west-1.amazonaws.com' }],
    [['usefipsendpoint: true'], { endpoint: 'https://s3-fips.eu-west-1.amazonaws.com' }],
    [
      ['usefipsendpoint: true', 'usedualstack: true'],
      { endpoint: 'https://s3-fips.dualstack.eu-west-1.amazonaws.com' },
    ],
    [['accelerate: true'], { endpoint: 'https://s3-accelerate.amazonaws.com' }],
    [['accelerate: 1', 'usedualstack: T'], { endpoint: 'https://s3-accelerate.dualstack.amazonaws.com' }],
    // What stays away.
    [['storageclass: NONE'], {}],
    [['keyid: 1234-abcd'], {}],
    [['accesskey: ""', 'secretkey: ""'], {}],
    [['accesskey:', 'secretkey:'], {}],
    [['chunksize: 10_485_760', 'multipartcopythresholdsize: 0', 'loglevel: off'], {}],
    [['v4auth: true'], {}],
    // Plain numbers and dollars as text.
    [['rootdirectory: 2024'], { rootDirectory: '2024' }],
    [['rootdirectory: "2024_01"'], { rootDirectory: '2024_01' }],
    [['rootdirectory: a$b$$c'], { rootDirectory: 'a$b$$c' }],
    [['rootdirectory: a$${b}'], { rootDirectory: 'a${b}' }],
  ] as const) {
    it(`${lines.join(', ')} gives ${JSON.stringify(part)}`, () => {
      assert.deepEqual(specOf(...lines), { ...PLAIN, ...part });
    });
  }

  it('put a bucket that fits no host name into the path', () => {
    for (const bucket of ['docker.example.com', 'My_Registry', 'UPPER']) {
      const text = `s3:\n  bucket: ${bucket}\n  region: eu-west-1\n`;
      assert.deepEqual(readYaml(text).spec, { ...PLAIN, bucket, isPathStyle: true });
    }
    const text = 's3:\n  bucket: docker.example.com\n  region: eu-west-1\n  secure: false\n';
    const endpoint = 'http://s3.eu-west-1.amazonaws.com';
    assert.deepEqual(readYaml(text).spec, { ...PLAIN, bucket: 'docker.example.com', endpoint });
  });

  it('find AWS in China by its own domain', () => {
    const { spec } = readYaml('s3:\n  bucket: registry\n  region: cn-north-1\n');
    assert.deepEqual(spec, {
      ...PLAIN,
      region: 'cn-north-1',
      endpoint: 'https://s3.cn-north-1.amazonaws.com.cn',
    });
  });

  it('take the region from the environment, as the AWS SDK does, and say so', () => {
    const text = 's3:\n  bucket: registry\n';
    const { spec, notes } = readYaml(text, { AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'us-east-1' });
    assert.deepEqual(spec, PLAIN);
    assert.deepEqual(notes, ['old.yml:1: the region is "eu-west-1", from AWS_REGION']);
    assert.deepEqual(readYaml(text, { AWS_REGION: '', AWS_DEFAULT_REGION: 'eu-west-1' }).spec, PLAIN);
    assert.deepEqual(readYaml(s3Yaml(), { AWS_REGION: 'us-east-1' }), { spec: PLAIN, notes: [] });
  });

  it('need no region beside an endpoint, where any name of a region goes', () => {
    const other = { ...PLAIN, endpoint: 'https://ceph', isPathStyle: true };
    const text = 's3:\n  bucket: registry\n  regionendpoint: ceph\n';
    assert.deepEqual(readYaml(text).spec, { ...other, region: 'us-east-1' });
    assert.deepEqual(readYaml(`${text}  region: Frankfurt\n`).spec, { ...other, region: 'Frankfurt' });
  });

  it('that do nothing are named, each with its line', () => {
    const text = s3Yaml(
      'chunksize: 10485760',
      'multipartcopymaxconcurrency: 50',
      'loglevel: debug',
      'redirectendpoint: https://pull.example.com',
      'keyid: abc',
      'regionendpoint: http://ceph:8080',
      'secure: true',
      'usedualstack: true',
      'maxretries: 3',
      'requestchecksumcalculation: WHEN_REQUIRED',
    );
    const parts = "concerns the registry's own transfers; blobferry chooses part sizes itself";
    assert.deepEqual(readYaml(text).notes, [
      `old.yml:4: "chunksize" of s3 has no effect: it ${parts}`,
      `old.yml:5: "multipartcopymaxconcurrency" of s3 has no effect: it ${parts}`,
      'old.yml:6: "loglevel" of s3 has no effect: it concerns the registry\'s own log',
      'old.yml:7: "redirectendpoint" of s3 has no effect: it concerns what the registry answers to pulls',
      'old.yml:8: "keyid" of s3 has no effect without "encrypt: true"',
      'old.yml:10: "secure: true" of s3 has no effect: "regionendpoint" says http',
      'old.yml:11: "usedualstack" of s3 has no effect: "regionendpoint" names the endpoint',
      'old.yml:12: "maxretries" of s3 has no effect: it concerns the registry\'s own requests; blobferry paces and repeats its requests itself',
      'old.yml:13: "requestchecksumcalculation" of s3 has no effect: it concerns the registry; blobferry finds out itself which checksums the server checks',
    ]);
  });

  it('of written objects are named as without effect where nothing is written', () => {
    const { notes } = readYaml(
      s3Yaml('encrypt: true', 'storageclass: NONE', 'objectacl: private'),
      {},
      'source',
    );
    assert.deepEqual(
      notes,
      ['encrypt', 'storageclass', 'objectacl'].map(
        (name, at) => `old.yml:${at + 4}: "${name}" of s3 has no effect: this storage is only read`,
      ),
    );
  });
});

describe('values from the environment', () => {
  it('stand for any value, whole or in part, quoted or not', () => {
    const text = s3Yaml(
      'rootdirectory: ${A}/${B_2}',
      "accesskey: '${KEY}'",
      'secretkey: "${SECRET}"',
      'secure: ${FLAG}',
      'chunksize: ${SIZE}',
    );
    const env = { A: 'x', B_2: 'y', KEY: 'AKIA', SECRET: '${A}', FLAG: 'false', SIZE: '5242880' };
    assert.deepEqual(readYaml(text, env).spec, {
      ...PLAIN,
      rootDirectory: 'x/y',
      // What comes from a variable is not searched for variables again.
      credentials: { accessKeyId: 'AKIA', secretAccessKey: '${A}' },
      endpoint: 'http://s3.eu-west-1.amazonaws.com',
    });
  });

  it('that are empty count as empty', () => {
    assert.deepEqual(readYaml(s3Yaml('rootdirectory: ${ROOT}'), { ROOT: '' }).spec, PLAIN);
  });

  it('are not looked for outside the storage section', () => {
    const text = `http:\n  secret: \${NOT_SET}\nstorage:\n  filesystem:\n    rootdirectory: /srv\n`;
    assert.deepEqual(readYaml(text).spec, { kind: 'fs', rootDirectory: '/srv' });
  });
});

describe('any text', () => {
  const words = fc.string({
    minLength: 1,
    unit: fc.constantFrom(...'abcXYZ019 -_./:$#&*!|>%@`,[]{}"\'\\=+~é日'),
  });

  it('reaches the storage as it was, if it was written as YAML wants it', () => {
    fc.assert(
      fc.property(words, words, words, (rootdirectory, accesskey, secretkey) => {
        fc.pre(![rootdirectory, accesskey, secretkey].some((text) => text.includes('${')));
        const s3 = { bucket: 'registry', region: 'eu-west-1', rootdirectory, accesskey, secretkey };
        const text = stringify({ storage: { s3 } }, { version: '1.1', lineWidth: 0 });
        assert.deepEqual(readYaml(text).spec, {
          ...PLAIN,
          rootDirectory: rootdirectory,
          credentials: { accessKeyId: accesskey, secretAccessKey: secretkey },
        });
      }),
      { numRuns: 500 },
    );
  });
});
