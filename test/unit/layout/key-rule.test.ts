import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { GcsSpec, S3Spec, StorageSpec, SwiftSpec } from '../../../src/drivers/spec.ts';
import { keyPrefixOf, keyRuleText, overlapOf } from '../../../src/layout/key-rule.ts';

const PATH = 'docker/registry/v2/x';

function s3(rootDirectory: string, rest: Partial<S3Spec> = {}): S3Spec {
  return {
    kind: 's3',
    bucket: 'bucket',
    rootDirectory,
    region: 'us-east-1',
    isPathStyle: true,
    skipsTlsVerify: false,
    encrypt: false,
    ...rest,
  };
}

function swift(prefix: string, rest: Partial<SwiftSpec> = {}): SwiftSpec {
  return {
    kind: 'swift',
    container: 'registry',
    prefix,
    access: {
      authUrl: 'https://cloud:5000/v3',
      authVersion: 3,
      user: 'mover',
      password: 'hidden',
      tenantId: 'p',
      endpointType: 'public',
    },
    skipsTlsVerify: false,
    ...rest,
  };
}

function gcs(rootDirectory: string, rest: Partial<GcsSpec> = {}): GcsSpec {
  return {
    kind: 'gcs',
    bucket: 'bucket',
    rootDirectory,
    access: { kind: 'default' },
    skipsTlsVerify: false,
    ...rest,
  };
}

describe('the key of a logical path', () => {
  for (const [prefix, key] of [
    ['', 'files/docker/registry/v2/x'],
    ['/', 'files/docker/registry/v2/x'],
    ['old', 'old/files/docker/registry/v2/x'],
    ['/old', 'old/files/docker/registry/v2/x'],
    ['old/', 'old//files/docker/registry/v2/x'],
    ['a/b', 'a/b/files/docker/registry/v2/x'],
  ] as const) {
    it(`in swift with prefix ${JSON.stringify(prefix)} is ${key}`, () => {
      assert.equal(keyPrefixOf(swift(prefix)) + PATH, key);
    });
  }

  it('is told in words, for people', () => {
    assert.equal(
      keyRuleText(swift('old')),
      'keys are "old/files/" + the registry\'s own path (keyrule: distribution)',
    );
    assert.equal(keyRuleText(s3('/a/')), 'keys are "a/" + the registry\'s own path (keyrule: distribution)');
  });

  for (const [root, key] of [
    ['', 'docker/registry/v2/x'],
    ['/', '/docker/registry/v2/x'],
    ['//', '//docker/registry/v2/x'],
    ['a', 'a/docker/registry/v2/x'],
    ['/a//b/', '/a//b/docker/registry/v2/x'],
  ] as const) {
    it(`under the rule "plain" with the root ${JSON.stringify(root)} is ${key}, in every store`, () => {
      for (const make of [s3, gcs, swift])
        assert.equal(keyPrefixOf(make(root, { keyRule: 'plain' })) + PATH, key);
    });
  }

  it('decides whether two prefixes of one Swift container overlap', async () => {
    assert.equal(await overlapOf(swift('a'), swift('a')), 'same');
    assert.equal(await overlapOf(swift('a'), swift('b')), undefined);
    assert.equal(await overlapOf(swift('a'), swift('a/files')), 'target-in-source');
    assert.equal(await overlapOf(swift('a'), swift('a', { container: 'other' })), undefined);
  });

  for (const [root, key] of [
    ['', 'docker/registry/v2/x'],
    ['/', 'docker/registry/v2/x'],
    ['//', 'docker/registry/v2/x'],
    ['a', 'a/docker/registry/v2/x'],
    ['/a', 'a/docker/registry/v2/x'],
    ['a/b//', 'a/b/docker/registry/v2/x'],
    ['/a//b/', 'a//b/docker/registry/v2/x'],
    [' a', ' a/docker/registry/v2/x'],
    ['ü/日', 'ü/日/docker/registry/v2/x'],
  ] as const) {
    it(`in s3 with rootdirectory ${JSON.stringify(root)} is ${key}`, () => {
      assert.equal(keyPrefixOf(s3(root)) + PATH, key);
    });
    it(`in gcs with rootdirectory ${JSON.stringify(root)} is ${key}, without a slash at its front`, () => {
      assert.equal(keyPrefixOf(gcs(root)) + PATH, key);
    });
  }

  it('in a file system and in memory is the path itself, as the driver knows the root', () => {
    assert.equal(keyPrefixOf({ kind: 'fs', rootDirectory: '/srv/registry' }), '');
    assert.equal(keyPrefixOf({ kind: 'memory', name: 'a' }), '');
  });

  it('is what the registry builds: both slashes trimmed as distribution trims them', () => {
    const root = fc
      .array(fc.constantFrom('/', 'a', 'b.c', ' ', '_'), { maxLength: 8 })
      .map((it) => it.join(''));
    fc.assert(
      fc.property(root, (rootDirectory) => {
        const registrys = trimLeft(`${trimRight(rootDirectory)}/${PATH}`);
        assert.equal(keyPrefixOf(s3(rootDirectory)) + PATH, registrys);
        // The gcs driver: the root trimmed at both ends and a slash, where anything is left of it.
        const trimmed = trimLeft(trimRight(rootDirectory));
        assert.equal(keyPrefixOf(gcs(rootDirectory)) + PATH, (trimmed === '' ? '' : `${trimmed}/`) + PATH);
      }),
    );
  });
});

function trimRight(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === '/') end -= 1;
  return text.slice(0, end);
}

function trimLeft(text: string): string {
  let start = 0;
  while (text[start] === '/') start += 1;
  return text.slice(start);
}

describe('two S3 storages', () => {
  const other = { endpoint: 'http://localhost:9000' };
  for (const [name, source, target, expected] of [
    ['with one root', s3('a'), s3('/a/'), 'same'],
    ['whose target is below the source', s3('a'), s3('a/b'), 'target-in-source'],
    ['whose source is below the target', s3('a/b'), s3('a'), 'source-in-target'],
    ['whose target is below a source that is the whole bucket', s3(''), s3('new'), 'target-in-source'],
    ['side by side', s3('a'), s3('b'), undefined],
    ['whose roots only begin alike', s3('a'), s3('ab'), undefined],
    ['in two buckets', s3('a'), s3('a', { bucket: 'two' }), undefined],
    ['at two ports', s3('a', other), s3('a', { endpoint: 'http://localhost:9001' }), undefined],
    ['at AWS and elsewhere', s3('a'), s3('a', other), undefined],
    ['at this machine by two names', s3('a', other), s3('a', { endpoint: 'http://127.0.0.1:9000' }), 'same'],
    [
      'at one host over HTTP and HTTPS',
      s3('a', { endpoint: 'http://s3.example.com' }),
      s3('a', { endpoint: 'https://s3.example.com' }),
      'same',
    ],
    [
      'at AWS by two ways',
      s3('a'),
      s3('a/b', { endpoint: 'https://s3.dualstack.eu-west-1.amazonaws.com', region: 'eu-west-1' }),
      'target-in-source',
    ],
  ] as const) {
    it(`${name} overlap as ${expected ?? 'nothing'}`, async () => {
      assert.equal(await overlapOf(source, target), expected);
    });
  }
});

describe('two storages at Cloud Storage', () => {
  const byHmac = s3('a', { region: 'auto', endpoint: 'https://storage.googleapis.com' });
  for (const [name, source, target, expected] of [
    ['the same bucket', gcs(''), gcs('/'), 'same'],
    ['a root in the bucket', gcs(''), gcs('a'), 'target-in-source'],
    ['roots side by side', gcs('a'), gcs('ab'), undefined],
    ['other buckets', gcs(''), gcs('', { bucket: 'other' }), undefined],
    ['other endpoints', gcs(''), gcs('', { endpoint: 'http://localhost:1' }), undefined],
    ['one by HMAC keys', gcs('a'), byHmac, 'same'],
    ['a bucket of that name at AWS', gcs(''), s3(''), undefined],
  ] as const) {
    it(`${name} overlap as ${expected ?? 'nothing'}`, async () => {
      assert.equal(await overlapOf(source, target), expected);
    });
  }
});

describe('two folders', () => {
  let root = '';
  const fs = (...parts: readonly string[]): StorageSpec => ({
    kind: 'fs',
    rootDirectory: join(root, ...parts),
  });

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'blobferry-key-rule-'));
    await mkdir(join(root, 'registry', 'docker'), { recursive: true });
    await symlink(join(root, 'registry'), join(root, 'by-link'));
  });
  after(() => rm(root, { recursive: true }));

  it('that are one overlap as the same', async () => {
    assert.equal(await overlapOf(fs('registry'), fs('registry')), 'same');
  });

  it('that are one by a symbolic link overlap as the same', async () => {
    assert.equal(await overlapOf(fs('registry'), fs('by-link')), 'same');
  });

  it('one of which does not exist yet inside the other overlap', async () => {
    assert.equal(await overlapOf(fs('registry'), fs('registry', 'new', 'deep')), 'target-in-source');
    assert.equal(await overlapOf(fs('by-link', 'new'), fs('registry')), 'source-in-target');
  });

  it('side by side do not overlap, even if their names begin alike', async () => {
    assert.equal(await overlapOf(fs('registry'), fs('registry-new')), undefined);
    assert.equal(await overlapOf(fs('registry', 'docker'), fs('other')), undefined);
  });

  it('do not overlap with storages of another kind', async () => {
    const memory = (name: string): StorageSpec => ({ kind: 'memory', name });
    assert.equal(await overlapOf(fs(), s3('')), undefined);
    assert.equal(await overlapOf(memory('a'), fs()), undefined);
    assert.equal(await overlapOf(memory('a'), memory('b')), undefined);
    assert.equal(await overlapOf(memory('a'), memory('a')), 'same');
  });
});
