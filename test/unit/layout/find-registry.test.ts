import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, StorageError } from '../../../src/core/errors.ts';
import type { LayoutChoice } from '../../../src/core/job.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import type { AzureSpec, GcsSpec, S3Spec, StorageSpec, SwiftSpec } from '../../../src/drivers/spec.ts';
import { detectSource, findRegistries } from '../../../src/layout/find-registry.ts';
import { keyPrefixOf } from '../../../src/layout/key-rule.ts';
import { settingsFor, withKeySettings } from '../../../src/layout/key-settings.ts';
import { ListingDriver } from './listing-driver.ts';

const CTX = { signal: new AbortController().signal };
const HEX = 'ab'.repeat(32);
const BLOB = `docker/registry/v2/blobs/sha256/ab/${HEX}/data`;

const S3: S3Spec = {
  kind: 's3',
  bucket: 'bucket',
  rootDirectory: '',
  region: 'us-east-1',
  isPathStyle: true,
  skipsTlsVerify: false,
  encrypt: false,
};
const GCS: GcsSpec = {
  kind: 'gcs',
  bucket: 'bucket',
  rootDirectory: '',
  access: { kind: 'default' },
  skipsTlsVerify: false,
};
const AZURE: AzureSpec = {
  kind: 'azure',
  accountName: 'account',
  container: 'registry',
  endpoint: 'https://account.blob.core.windows.net',
  rootDirectory: '',
  hasSlashRoot: false,
  access: { type: 'default' },
  skipsTlsVerify: false,
};
const SWIFT: SwiftSpec = {
  kind: 'swift',
  container: 'registry',
  prefix: '',
  access: { authUrl: 'https://c/v3', authVersion: 3, user: 'u', password: 'p', endpointType: 'public' },
  skipsTlsVerify: false,
};

/** Settings, where the registry lies, and what must be said to set: in YAML, and in a URL. */
const ELSEWHERE: readonly (readonly [string, StorageSpec, string, string])[] = [
  [
    'distribution 2 wrote it, and the settings are of 3',
    AZURE,
    '/',
    'keyrule: distribution-2; in a URL azure://account/registry?keyrule=distribution-2',
  ],
  [
    'distribution 3 wrote it, and the settings are of 2',
    { ...AZURE, hasSlashRoot: true },
    '',
    'keyrule: distribution-3; in a URL azure://account/registry?keyrule=distribution-3',
  ],
  [
    'a copier wrote it with two slashes to Azure',
    AZURE,
    '//',
    'keyrule: plain and rootdirectory: "//"; in a URL azure://account/registry///?keyrule=plain',
  ],
  [
    'distribution 2 wrote it beside a root that it does not know',
    { ...AZURE, rootDirectory: '/store' },
    '/',
    'keyrule: distribution-2 and rootdirectory: ""; in a URL azure://account/registry?keyrule=distribution-2',
  ],
  [
    'GitLab wrote it below a root with the slash',
    { ...AZURE, rootDirectory: '/store' },
    '/store/',
    'keyrule: distribution-2; in a URL azure://account/registry//store?keyrule=distribution-2',
  ],
  [
    'it was copied to Swift without files/',
    SWIFT,
    '',
    'keyrule: plain; in a URL swift://registry?keyrule=plain',
  ],
  [
    'it was copied to Swift below the prefix, without files/',
    { ...SWIFT, prefix: 'old' },
    'old/',
    'keyrule: plain; in a URL swift://registry/old?keyrule=plain',
  ],
  [
    'the prefix of Swift is not the one it was written with',
    { ...SWIFT, prefix: 'old' },
    'files/',
    'prefix: ""; in a URL swift://registry?keyrule=distribution',
  ],
  [
    'no rule was used in Swift, and the settings say plain',
    { ...SWIFT, keyRule: 'plain' },
    'files/',
    'keyrule: distribution; in a URL swift://registry?keyrule=distribution',
  ],
  [
    'a copier wrote it with a slash in front to S3',
    S3,
    '/',
    'keyrule: plain and rootdirectory: "/"; in a URL s3://bucket//?keyrule=plain',
  ],
  [
    'a copier kept the slash in front of the root in S3',
    { ...S3, rootDirectory: '/a b' },
    '/a b/',
    'keyrule: plain; in a URL s3://bucket//a%20b?keyrule=plain',
  ],
  [
    'it lies in the root of the bucket, not below the one that is set',
    { ...GCS, rootDirectory: '/a' },
    '',
    'rootdirectory: ""; in a URL gs://bucket?keyrule=distribution',
  ],
  [
    'slashes were made one in Cloud Storage',
    { ...GCS, rootDirectory: 'a//b' },
    'a/b/',
    'rootdirectory: "a/b"; in a URL gs://bucket/a/b?keyrule=distribution',
  ],
];

/** As policies do that allow to list one prefix: whatever does not begin with it is refused. */
function allowedBelow(driver: StorageDriver, allowed: string): StorageDriver {
  return Object.assign(Object.create(driver) as StorageDriver, {
    list: (...[ctx, query]: Parameters<StorageDriver['list']>) => {
      if (query.prefix.startsWith(allowed)) return driver.list(ctx, query);
      const details = { kind: 'denied', backend: driver.name, operation: 'list', scope: 'backend' } as const;
      throw new StorageError('Cannot list it: AccessDenied', { ...details, isTransient: false });
    },
  });
}

async function refusal(
  keys: readonly string[],
  spec: StorageSpec,
  choice: LayoutChoice,
): Promise<ConfigError> {
  const error = await detectSource(new ListingDriver(keys).asDriver(), CTX, spec, choice).then(
    ({ layout }) => assert.fail(`took it for ${layout.name}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError);
  return error;
}

describe('a registry that is not where the settings have it', () => {
  for (const [name, spec, keyPrefix, settings] of ELSEWHERE) {
    it(`is found, with what to set: ${name}`, async () => {
      for (const choice of ['auto', 'raw'] as const) {
        // With the empty prefix of another rule everything would be its own.
        if (choice === 'raw' && keyPrefix.startsWith(keyPrefixOf(spec))) continue;
        const error = await refusal([keyPrefix + BLOB], spec, choice);
        assert.match(error.message, /^Nothing lies in .* where its settings have it/);
        assert.ok(error.message.includes(`"${keyPrefix}docker/registry/v2/"`), error.message);
        assert.equal(error.hint, `set ${settings}`);
      }
    });

    it(`is then where the settings have it: ${name}`, () => {
      if (spec.kind === 'fs' || spec.kind === 'memory') assert.fail('no rule');
      assert.equal(keyPrefixOf(withKeySettings(spec, settingsFor(spec, keyPrefix))), keyPrefix);
    });
  }

  it('is not made of unfinished uploads and marks of folders', async () => {
    const strays = ['/docker/registry/v2/', '/docker/registry/v2/repositories/a/_uploads/1/data'];
    const driver = new ListingDriver(strays).asDriver();
    assert.deepEqual((await findRegistries(driver, CTX, { ...AZURE })).others, []);
  });

  it('is named with each place where one lies under two other rules', async () => {
    const error = await refusal([`/${BLOB}`, `//${BLOB}`], { ...AZURE, rootDirectory: 'a' }, 'auto');
    assert.match(error.message, /under "\/docker\/registry\/v2\/" and "\/\/docker\/registry\/v2\/"$/);
    assert.match(error.hint ?? '', /^one of them is meant; set for "\/": .*\. for "\/\/": /);
  });

  it('beside one that is where it is set is worth a warning for Azure and Swift', async () => {
    for (const [spec, other] of [
      [AZURE, '/'],
      [{ ...AZURE, hasSlashRoot: true }, ''],
      [SWIFT, ''],
    ] as const) {
      const keys = [keyPrefixOf(spec) + BLOB, other + BLOB];
      const found = await detectSource(new ListingDriver(keys.sort()).asDriver(), CTX, spec, 'auto');
      assert.equal(found.warnings.length, 1);
      assert.match(found.warnings[0] ?? '', /holds another registry, under ".*docker\/registry\/v2\/"/);
    }
  });

  it('is not looked for in a file system', async () => {
    const driver = new ListingDriver([BLOB]);
    const found = await findRegistries(driver.asDriver(), CTX, { kind: 'fs', rootDirectory: '/srv' });
    assert.deepEqual([found.isWhereSet, found.others, driver.queries.length], [true, [], 1]);
  });

  it('is not walked for in a file system: snapshots may lie there, and upload after upload', async () => {
    const driver = new ListingDriver(['docker/registry/v2/.snapshot/hourly/docker/x']);
    const refused = detectSource(driver.asDriver(), CTX, { kind: 'fs', rootDirectory: '/srv' }, 'auto');
    await assert.rejects(refused, /^ConfigError: Cannot find a registry in/);
    const walks = driver.queries.filter(({ delimiter, prune }) => delimiter === undefined && !prune);
    assert.deepEqual(walks, []);
  });

  it('is not looked for where that is refused: the settings need only lead to their own', async () => {
    const azure = { ...AZURE, rootDirectory: 'mine' };
    const driver = allowedBelow(new ListingDriver([`mine/${BLOB}`]).asDriver(), 'mine/');
    const { layout, warnings } = await detectSource(driver, CTX, azure, 'auto');
    assert.deepEqual([layout.name, warnings], ['distribution', []]);
    const { isWhereSet, others, looked, unlisted } = await findRegistries(driver, CTX, azure);
    assert.deepEqual([isWhereSet, others, looked], [true, [], ['mine/']]);
    assert.ok(unlisted.includes('/mine/') && unlisted.includes(''));
    const empty = allowedBelow(new ListingDriver([]).asDriver(), 'mine/');
    for (const spec of [azure, { ...S3, rootDirectory: 'mine' }])
      await assert.rejects(detectSource(empty, CTX, spec, 'auto'), /^ConfigError: Cannot find a registry in/);
  });

  it('is not told of where its own place cannot be listed', async () => {
    const driver = allowedBelow(new ListingDriver([`mine/${BLOB}`]).asDriver(), 'mine/');
    const refused = findRegistries(driver, CTX, { ...AZURE, rootDirectory: 'other' });
    await assert.rejects(refused, /AccessDenied/);
  });

  it('leaves the refusal of a root with nothing in it as it was', async () => {
    const error = await refusal([], S3, 'auto');
    assert.match(error.message, /^Cannot find a registry in/);
  });
});
