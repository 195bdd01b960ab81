// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the texts that users write.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readYaml, refusalOf, s3Yaml } from './reading.ts';

/** What is wrong, the file, and the whole message expected. */
const MISTAKES: readonly (readonly [string, string, string])[] = [
  // The form of the file.
  ['an empty file', '', 'old.yml: the file is empty'],
  ['a file of comments', '# nothing yet\n', 'old.yml: the file is empty'],
  ['a certificate', '-----BEGIN X-----\nabc\n', 'old.yml:1: not a storage description'],
  ['a list', '- s3\n', 'old.yml:1: not a storage description'],
  ['tabs', 's3:\n\tbucket: a\n', 'old.yml:2: a tab indents this line; YAML allows spaces only'],
  [
    'no space behind a colon',
    's3:\n  bucket:registry\n  region: x\n',
    'old.yml:2: a name without a value; is the space behind the colon missing?',
  ],
  [
    'a name given twice',
    s3Yaml('secure: true', 'secure: false'),
    'old.yml:5: this name is given twice in the same section',
  ],
  [
    'a section given twice',
    's3:\n  bucket: a-b\ns3:\n  bucket: c-d\n',
    'old.yml:3: this name is given twice in the same section',
  ],
  [
    'a quote that is not closed',
    's3:\n  bucket: "registry\n  region: eu-west-1\n',
    'old.yml:3: something is missing: a closing quote or bracket, or the colon behind a name',
  ],
  [
    'a line indented too far',
    's3:\n  bucket: registry\n    region: eu-west-1\n',
    'old.yml:2: a second value in one line, or the next line is indented too far',
  ],
  [
    'a line indented too little',
    's3:\n   bucket: registry\n  region: eu-west-1\n',
    'old.yml:3: the indentation fits no line above',
  ],
  [
    'an unquoted value with a reserved character',
    s3Yaml('accesskey: AKIA', 'secretkey: @secret'),
    'old.yml:5: the value begins with a character that YAML reserves',
  ],
  [
    'a backslash between double quotes',
    s3Yaml('rootdirectory: "a\\qb"'),
    'old.yml:4: a backslash between double quotes that stands for nothing',
  ],
  [
    'a variable in braces without quotes',
    's3: {bucket: ${BUCKET}, region: eu-west-1}\n',
    'old.yml:1: something that YAML does not allow here',
  ],
  [
    'two documents',
    's3: {}\n---\ns3: {}\n',
    'old.yml:2: a second YAML document begins here; one is expected',
  ],
  [
    'an alias of nothing',
    s3Yaml('rootdirectory: *root'),
    'old.yml:4: "rootdirectory" of s3 must be a single value, not an alias (*) of no anchor (&)',
  ],
  [
    'an unknown tag',
    s3Yaml('accesskey: !vault AKIA'),
    'old.yml:4: "accesskey" of s3 must be a single value, not a value with a YAML tag (!) that is not known here',
  ],
  // The storage section.
  ['no storage section', 'version: 0.1\nlog: {}\n', 'old.yml: no section "storage"'],
  [
    'a misspelt storage section',
    'version: 0.1\nstorge:\n  s3: {}\n',
    'old.yml: no section "storage"; did you mean "storage"?',
  ],
  ['an empty storage section', 'storage:\n', 'old.yml:1: "storage" names no backend'],
  ['a list as storage section', 'storage:\n  - s3\n', 'old.yml:1: "storage" names no backend'],
  [
    'a storage section without a backend',
    'storage:\n  delete:\n    enabled: true\n',
    'old.yml:2: the storage section names no backend',
  ],
  [
    'a backend beside the storage section',
    'storage:\n  delete: {}\ns3:\n  bucket: x\n',
    'old.yml:3: "s3" stands beside "storage" (line 1) instead of in it',
  ],
  [
    'two backends',
    'storage:\n  s3:\n    bucket: x\n  filesystem:\n    rootdirectory: /x\n',
    'old.yml:4: "filesystem" beside "s3" (line 2); give one backend',
  ],
  ['both names of s3', 's3: {}\ns3aws: {}\n', 'old.yml:2: "s3aws" beside "s3" (line 1); give one backend'],
  [
    'a misspelt backend',
    'storage:\n  file-sytem:\n    rootdirectory: /x\n',
    'old.yml:2: unknown storage backend "file-sytem"; did you mean "filesystem"?',
  ],
  [
    'a misspelt service section',
    'storage:\n  maintenence: {}\n  filesystem: {}\n',
    'old.yml:2: unknown storage backend "maintenence"; did you mean "maintenance"?',
  ],
  ['an unknown backend', 'storage: ipfs\n', 'old.yml:1: unknown storage backend "ipfs"'],
  [
    'a backend with one value',
    's3: registry\n',
    'old.yml:1: "s3" must be a section of parameters, not a single value',
  ],
  [
    'a backend with a list',
    's3:\n  - bucket\n',
    'old.yml:1: "s3" must be a section of parameters, not a list',
  ],
  [
    'the backend oss',
    'oss: {}\n',
    'old.yml:1: oss is not supported: distribution 3 dropped this driver, and blobferry has none',
  ],
  [
    'the backend inmemory',
    'storage: inmemory\n',
    'old.yml:1: inmemory is not supported: it lives in the registry process alone, so there is nothing to copy',
  ],
  // Parameters.
  [
    'a misspelt parameter',
    'version: 0.1\nstorage:\n  delete:\n    enabled: true\n  s3:\n    bucket: registry\n    regoin: eu-west-1\n',
    'old.yml:7: unknown parameter "regoin" of s3; did you mean "region"?',
  ],
  [
    'a parameter in capitals',
    s3Yaml('RootDirectory: a'),
    'old.yml:4: unknown parameter "RootDirectory" of s3; did you mean "rootdirectory"?',
  ],
  [
    'a parameter with underscores',
    s3Yaml('skip_verify: true'),
    'old.yml:4: unknown parameter "skip_verify" of s3; did you mean "skipverify"?',
  ],
  ['an unheard-of parameter', s3Yaml('colour: red'), 'old.yml:4: unknown parameter "colour" of s3'],
  [
    'a parameter named like an inherited one',
    s3Yaml('toString: x'),
    'old.yml:4: unknown parameter "toString" of s3',
  ],
  [
    'a parameter of another backend',
    'filesystem:\n  rootdirectory: /x\n  bucket: y\n',
    'old.yml:3: unknown parameter "bucket" of filesystem',
  ],
  ['a missing bucket', 's3:\n  region: eu-west-1\n', 'old.yml:1: s3 lacks "bucket"'],
  ['an empty bucket', 's3:\n  bucket: ""\n  region: eu-west-1\n', 'old.yml:2: "bucket" of s3 is empty'],
  ['a bucket without a value', 's3:\n  bucket:\n  region: eu-west-1\n', 'old.yml:1: s3 lacks "bucket"'],
  ['a missing region', 's3:\n  bucket: registry\n', 'old.yml:1: s3 lacks "region"'],
  ['nothing at all in s3', 's3:\n', 'old.yml:1: s3 lacks "bucket"\nold.yml:1: s3 lacks "region"'],
  [
    'a bucket with a path',
    's3:\n  bucket: registry/old\n  region: eu-west-1\n',
    'old.yml:2: "bucket" of s3 must be the bucket alone (the rest belongs into rootdirectory), not "registry/old"',
  ],
  [
    'an access point',
    's3:\n  bucket: arn:aws:s3:eu-west-1:1:accesspoint/x\n  region: eu-west-1\n',
    'old.yml:2: "bucket" of s3 must be the name of a bucket (access point ARNs are not supported), not "arn:aws:s3:eu-west-1:1:accesspoint/x"',
  ],
  [
    'a bucket with a space',
    's3:\n  bucket: my registry\n  region: eu-west-1\n',
    'old.yml:2: "bucket" of s3 must be the name of a bucket (3 to 255 letters, digits, ".", "_" or "-"), not "my registry"',
  ],
  [
    'a region that AWS has not',
    's3:\n  bucket: registry\n  region: Frankfurt\n',
    'old.yml:3: "region" of s3 is no region of AWS, and no "regionendpoint" names another service',
  ],
  [
    'a region with a slash',
    's3:\n  bucket: registry\n  region: eu/west\n',
    'old.yml:3: "region" of s3 must be the name of a region, not "eu/west"',
  ],
  [
    'a truth value that is none',
    s3Yaml('secure: maybe'),
    'old.yml:4: "secure" of s3 must be true or false, not "maybe"',
  ],
  ['an empty truth value', s3Yaml('secure: ""'), 'old.yml:4: "secure" of s3 must be true or false'],
  [
    'a section where a value belongs',
    s3Yaml('secure:', '  enabled: true'),
    'old.yml:4: "secure" of s3 must be a single value, not a section',
  ],
  [
    'a list where a value belongs',
    s3Yaml('rootdirectory: [a, b]'),
    'old.yml:4: "rootdirectory" of s3 must be a single value, not a list',
  ],
  [
    'a part size with a unit',
    s3Yaml('chunksize: 10MB'),
    'old.yml:4: "chunksize" of s3 must be a whole number of bytes from 5242880 to 5368709120, not "10MB"',
  ],
  [
    'a part size below the limit',
    s3Yaml('chunksize: 5242879'),
    'old.yml:4: "chunksize" of s3 must be a whole number of bytes from 5242880 to 5368709120, not "5242879"',
  ],
  [
    'a part size above the limit',
    s3Yaml('multipartcopychunksize: 5368709121'),
    'old.yml:4: "multipartcopychunksize" of s3 must be a whole number of bytes from 5242880 to 5368709120, not "5368709121"',
  ],
  [
    'an octal number',
    s3Yaml('multipartcopymaxconcurrency: 010'),
    'old.yml:4: "multipartcopymaxconcurrency" of s3 must be a whole number of at least 1, not "010"',
  ],
  [
    'a negative number',
    s3Yaml('maxretries: -1'),
    'old.yml:4: "maxretries" of s3 must be a whole number of at least 0, not "-1"',
  ],
  [
    'an unknown storage class',
    s3Yaml('storageclass: GLACIER'),
    'old.yml:4: "storageclass" of s3 must be one of NONE, STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, OUTPOSTS, GLACIER_IR, EXPRESS_ONEZONE, not "GLACIER"',
  ],
  [
    'an unknown ACL',
    s3Yaml('objectacl: public'),
    'old.yml:4: "objectacl" of s3 must be one of private, public-read, public-read-write, authenticated-read, aws-exec-read, bucket-owner-read, bucket-owner-full-control, not "public"',
  ],
  [
    'an unknown checksum rule',
    s3Yaml('requestchecksumcalculation: never'),
    'old.yml:4: "requestchecksumcalculation" of s3 must be one of when_required, when_supported, not "never"',
  ],
  [
    'a line break in a value',
    s3Yaml('useragent: |', '  a', '  b'),
    'old.yml:4: "useragent" of s3 must not hold line breaks or other control characters, not "a\\nb\\n"',
  ],
  [
    'an access key alone',
    s3Yaml('accesskey: AKIAEXAMPLE'),
    'old.yml:4: "accesskey" of s3 is given without "secretkey"',
  ],
  [
    'a secret key alone',
    s3Yaml('accesskey: ""', 'secretkey: hidden'),
    'old.yml:5: "secretkey" of s3 is given without "accesskey"',
  ],
  [
    'a session token alone',
    s3Yaml('sessiontoken: hidden'),
    'old.yml:4: "sessiontoken" of s3 is given without "accesskey" and "secretkey"',
  ],
  [
    'Signature Version 2',
    s3Yaml('v4auth: false'),
    'old.yml:4: "v4auth: false" of s3 asks for Signature Version 2, which blobferry does not speak',
  ],
  [
    'an endpoint that is no URL',
    s3Yaml('regionendpoint: "http://"'),
    'old.yml:4: "regionendpoint" of s3 must be a URL such as https://s3.example.com:9000, not "http://"',
  ],
  [
    'an endpoint of another protocol',
    s3Yaml('regionendpoint: ftp://x'),
    'old.yml:4: "regionendpoint" of s3 must begin with http:// or https://, not "ftp://x"',
  ],
  [
    'an endpoint with credentials',
    s3Yaml('regionendpoint: https://me:hidden@s3.example.com'),
    'old.yml:4: "regionendpoint" of s3 must not hold credentials; accesskey and secretkey, or the environment, give them',
  ],
  [
    'an endpoint with a query',
    s3Yaml('regionendpoint: https://s3.example.com?sig=hidden'),
    'old.yml:4: "regionendpoint" of s3 must not hold a query ("?") or a fragment ("#")',
  ],
  [
    'an endpoint that ends in the bucket',
    s3Yaml('regionendpoint: https://s3.example.com/registry/'),
    'old.yml:4: "regionendpoint" of s3 ends in the name of the bucket',
  ],
  [
    'acceleration in path style',
    s3Yaml('forcepathstyle: true', 'accelerate: true'),
    'old.yml:5: "accelerate" and "forcepathstyle" of s3 exclude each other',
  ],
  [
    'acceleration of a bucket with dots',
    's3:\n  bucket: my.registry\n  region: eu-west-1\n  accelerate: true\n',
    'old.yml:4: "accelerate" and a bucket whose name fits no host name of s3 exclude each other',
  ],
  [
    'acceleration with FIPS',
    s3Yaml('accelerate: true', 'usefipsendpoint: true'),
    'old.yml:4: "accelerate" and "usefipsendpoint" of s3 exclude each other',
  ],
  [
    'a bucket that YAML reads as a number of another spelling',
    's3:\n  bucket: 0123\n  region: eu-west-1\n',
    'old.yml:2: "bucket" of s3 is no text as it is written (YAML reads a number, date or truth value)',
  ],
  [
    'a root that YAML reads as a number without its underscore',
    s3Yaml('rootdirectory: 2024_01'),
    'old.yml:4: "rootdirectory" of s3 is no text as it is written (YAML reads a number, date or truth value)',
  ],
  [
    'a relative folder',
    'filesystem:\n  rootdirectory: ./data\n',
    'old.yml:2: "rootdirectory" of filesystem must be an absolute path, not "./data"',
  ],
  [
    'an empty folder name',
    'filesystem:\n  rootdirectory: ""\n',
    'old.yml:2: "rootdirectory" of filesystem must be an absolute path',
  ],
  [
    'a folder without a value',
    'filesystem:\n  rootdirectory:\n',
    'old.yml:2: "rootdirectory" of filesystem has no value',
  ],
  [
    'a number of threads that is none',
    'filesystem:\n  rootdirectory: /x\n  maxthreads: many\n',
    'old.yml:3: "maxthreads" of filesystem must be a whole number of at least 0, not "many"',
  ],
  // The environment.
  [
    'a variable that is not set',
    s3Yaml('accesskey: AKIA', 'secretkey: ${SECRET}'),
    'old.yml:5: "secretkey" of s3 needs the environment variable "SECRET", which is not set',
  ],
  [
    'a reference that is not closed',
    s3Yaml('rootdirectory: "${ROOT"'),
    'old.yml:4: "rootdirectory" of s3 has a "${" that begins no ${NAME}; write "$${" for the characters themselves',
  ],
  [
    'a reference with a default, as shells have it',
    s3Yaml('rootdirectory: ${ROOT:-x}'),
    'old.yml:4: "rootdirectory" of s3 has a "${" that begins no ${NAME}; write "$${" for the characters themselves',
  ],
  // Several at once, in the order of the file.
  [
    'three mistakes',
    's3:\n  bucket: a/b\n  colour: red\n  chunksize: 1\n',
    [
      'old.yml:2: "bucket" of s3 must be the bucket alone (the rest belongs into rootdirectory), not "a/b"',
      'old.yml:3: unknown parameter "colour" of s3',
      'old.yml:4: "chunksize" of s3 must be a whole number of bytes from 5242880 to 5368709120, not "1"',
    ].join('\n'),
  ],
];

describe('mistakes in a storage file', () => {
  for (const [what, text, message] of MISTAKES) {
    it(`${what}: ${message.slice(0, 90).replaceAll('\n', ' ')}`, async () => {
      assert.equal((await refusalOf(() => readYaml(text))).message, message);
    });
  }

  it('are listed up to the tenth', async () => {
    const lines = Array.from({ length: 15 }, (_, at) => `odd-thing-${at}: x`);
    const { message } = await refusalOf(() => readYaml(s3Yaml(...lines)));
    assert.equal(message.split('\n').length, 11);
    assert.match(message, /\nold\.yml:13: unknown parameter "odd-thing-9" of s3\nand 5 more$/);
  });

  it('say what to do where the sentence alone does not', async () => {
    for (const [text, hint] of [
      ['s3:\n  bucket: registry\n', /AWS_REGION/],
      [s3Yaml('accesskey: AKIA'), /give both, or neither/],
      [s3Yaml('v4auth: false'), /remove v4auth/],
      [s3Yaml('rootdirectory: 2024_01'), /in quotes/],
      ['oss: {}\n', /regionendpoint/],
      ['- s3\n', /storage section/],
    ] as const) {
      assert.match((await refusalOf(() => readYaml(text))).hint ?? '', hint);
    }
  });
});

describe('secrets', () => {
  const SECRET = 'wJalrXUtnFEMI/K7MDENG';

  for (const [what, text] of [
    ['a secret key with a line break', s3Yaml('accesskey: AKIA', 'secretkey: |', `  ${SECRET}`)],
    ['a secret key alone', s3Yaml(`secretkey: ${SECRET}`)],
    ['a secret key in a list', s3Yaml(`secretkey: [${SECRET}]`)],
    ['a secret key behind a reserved character', s3Yaml(`secretkey: @${SECRET}`)],
    ['a secret key in an open quote', s3Yaml(`secretkey: "${SECRET}`)],
    ['a secret key with a stray reference', s3Yaml(`secretkey: "\${${SECRET}"`)],
    ['a secret key that flows into the next line', s3Yaml(`secretkey: {${SECRET}: }}`)],
    ['a secret key pasted where a name belongs', s3Yaml(`${SECRET}: x`)],
    ['a secret in the endpoint', s3Yaml(`regionendpoint: http://a:${SECRET}@host`)],
    ['a wrong variable', s3Yaml('chunksize: ${AWS_SECRET_ACCESS_KEY}')],
  ] as const) {
    it(`do not appear in the message about ${what}`, async () => {
      const { message, hint } = await refusalOf(() => readYaml(text, { AWS_SECRET_ACCESS_KEY: SECRET }));
      assert.ok(!`${message} ${hint}`.includes(SECRET.slice(0, 6)), message);
    });
  }

  it('from the environment are named by their variable', async () => {
    const { message } = await refusalOf(() => readYaml(s3Yaml('secure: ${FLAG}'), { FLAG: SECRET }));
    assert.equal(message, 'old.yml:4: "secure" of s3 must be true or false (its value comes from ${FLAG})');
  });
});
