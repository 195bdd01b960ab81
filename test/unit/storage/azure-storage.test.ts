import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withNetwork } from '../../../src/cli/storage/network.ts';
import { readUrlStorage } from '../../../src/cli/storage/url-storage.ts';
import type { AzureSpec } from '../../../src/drivers/spec.ts';
import { storageName } from '../../../src/drivers/spec-name.ts';
import { keyPrefixOf, overlapOf } from '../../../src/layout/key-rule.ts';
import { readYaml, refusalOf } from './reading.ts';

const KEY = Buffer.from('a key for tests alone').toString('base64');
const SAS = 'sv=2021-12-02&sr=c&sp=rwdl&sig=abc%2Bdef%3D';
const PATH = 'docker/registry/v2/x';

const PLAIN: AzureSpec = {
  kind: 'azure',
  accountName: 'account',
  container: 'registry',
  endpoint: 'https://account.blob.core.windows.net',
  rootDirectory: '',
  hasSlashRoot: true,
  access: { type: 'shared-key', accountKey: KEY },
  skipsTlsVerify: false,
};

function yaml(...lines: readonly string[]): string {
  return [
    'azure:',
    '  accountname: account',
    '  container: registry',
    ...lines.map((line) => `  ${line}`),
    '',
  ].join('\n');
}

function specIn(...lines: readonly string[]): AzureSpec {
  const { spec } = readYaml(yaml(...lines));
  assert.ok(spec.kind === 'azure');
  return spec;
}

const WITH_KEY = `accountkey: ${KEY}`;

describe('the azure section of a registry', () => {
  it('of distribution 2 gives names with a slash in front, and says so', () => {
    const { spec, notes } = readYaml(yaml(WITH_KEY));
    assert.deepEqual(spec, PLAIN);
    assert.deepEqual(notes, [
      'old.yml:1: names begin with a slash, as distribution 2 writes them (keyrule: distribution-2)',
    ]);
  });

  for (const [lines, part] of [
    [[WITH_KEY, 'trimlegacyrootprefix: true'], { hasSlashRoot: false }],
    [[WITH_KEY, 'rootdirectory: /a/'], { hasSlashRoot: false, rootDirectory: '/a/' }],
    [[WITH_KEY, 'rootdirectory: /a', 'trimlegacyrootprefix: false'], { rootDirectory: '/a' }],
    [[WITH_KEY, 'max_retries: 3'], { hasSlashRoot: false }],
    [[WITH_KEY, 'realm: core.chinacloudapi.cn'], { endpoint: 'https://account.blob.core.chinacloudapi.cn' }],
    [
      [WITH_KEY, 'serviceurl: http://127.0.0.1:10000/account/'],
      { hasSlashRoot: false, endpoint: 'http://127.0.0.1:10000/account' },
    ],
    [[WITH_KEY, 'skipverify: true'], { hasSlashRoot: false, skipsTlsVerify: true }],
    [[WITH_KEY, 'accesstier: COOL', 'encryptionscope: x'], { accessTier: 'Cool', encryptionScope: 'x' }],
    [[`sastoken: "?${SAS}"`], { access: { type: 'sas', token: SAS } }],
    [[`connectionstring: "AccountName=account;AccountKey=${KEY}"`], { hasSlashRoot: false }],
    [
      [
        `connectionstring: "DefaultEndpointsProtocol=http;AccountName=account;AccountKey=${KEY};EndpointSuffix=core.chinacloudapi.cn"`,
      ],
      { hasSlashRoot: false, endpoint: 'http://account.blob.core.chinacloudapi.cn' },
    ],
    [
      [
        `connectionstring: "BlobEndpoint=http://127.0.0.1:10000/account;QueueEndpoint=http://127.0.0.1:10001/account;SharedAccessSignature=${SAS}"`,
        'trimlegacyrootprefix: false',
      ],
      { endpoint: 'http://127.0.0.1:10000/account', access: { type: 'sas', token: SAS } },
    ],
    [
      [
        `connectionstring: "AccountName=account;AccountKey=${KEY};BlobEndpoint=http://127.0.0.1:1/x"`,
        `sastoken: ${SAS}`,
        'realm: core.windows.net',
        'trimlegacyrootprefix: false',
      ],
      { access: { type: 'sas', token: SAS } },
    ],
    [[WITH_KEY, 'credentials:', '  type: shared_key'], { hasSlashRoot: false }],
    [['credentials:', '  type: default_credentials'], { hasSlashRoot: false, access: { type: 'default' } }],
    [
      ['credentials:', '  type: client_secret', '  tenantid: t', '  clientid: c', '  secret: s'],
      { hasSlashRoot: false, access: { type: 'client-secret', tenantId: 't', clientId: 'c', secret: 's' } },
    ],
  ] as const) {
    it(`with ${lines.join(', ').replaceAll(KEY, '…')} gives ${JSON.stringify(part).slice(0, 90)}`, () => {
      assert.deepEqual(specIn(...lines), { ...PLAIN, ...part });
    });
  }

  it('takes a key from the environment, and no key of Azure beside its credentials', () => {
    const { spec } = readYaml(yaml('accountkey: $' + '{AZ}'), { AZ: KEY });
    assert.deepEqual(spec, PLAIN);
    const { notes } = readYaml(yaml(WITH_KEY, 'credentials:', '  type: default_credentials'));
    assert.ok(notes.some((note) => note.includes('"accountkey" of azure has no effect')));
  });

  for (const [lines, message] of [
    [[], 'old.yml:1: azure lacks "accountkey"'],
    [
      ['accountkey: not-base64!'],
      'old.yml:4: "accountkey" of azure must be the key in base64, as the portal shows it',
    ],
    [[WITH_KEY, `sastoken: ${SAS}`], 'old.yml:5: azure gives both "accountkey" and "sastoken"; give one'],
    [
      [`sastoken: https://account.blob.core.windows.net/?${SAS}`],
      'old.yml:4: "sastoken" of azure must be a shared access signature (sv=…&sig=…), not an address',
    ],
    [
      [`connectionstring: "AccountName=another;AccountKey=${KEY}"`],
      'old.yml:4: "connectionstring" of azure is of another account than "accountname", "account"',
    ],
    [
      ['connectionstring: UseDevelopmentStorage=true'],
      'old.yml:4: "connectionstring" of azure must name an account: that of an emulator is given by accountname, accountkey and serviceurl',
    ],
    [
      ['connectionstring: "AccountName=account;AccountKey=hidden!"'],
      'old.yml:4: "connectionstring" of azure has a part AccountKey that must be the key in base64, as the portal shows it',
    ],
    [
      ['connectionstring: "AccountName=account;Colour=hidden"'],
      'old.yml:4: "connectionstring" of azure must be AccountName=…;AccountKey=…;EndpointSuffix=…, as the portal shows it',
    ],
    [
      ['connectionstring: "AccountName=account"'],
      'old.yml:4: "connectionstring" of azure has neither AccountKey nor SharedAccessSignature',
    ],
    [
      [WITH_KEY, 'accesstier: archive'],
      'old.yml:5: "accesstier" of azure must be one of hot, cool, cold, not "archive"',
    ],
    [
      [WITH_KEY, `serviceurl: https://a.example.com?${SAS}`],
      'old.yml:5: "serviceurl" of azure must be an address alone, without user, signature or fragment',
    ],
    [['credentials: x'], 'old.yml:4: "credentials" of azure must be a section of parameters'],
    [
      ['credentials:', '  type: client_secret', '  tenantid: t', '  clientid: c'],
      'old.yml:4: azure credentials lack "secret"',
    ],
    [
      ['credentials:', '  typ: client_secret'],
      'old.yml:5: unknown parameter "typ" of azure credentials; did you mean "type"?',
    ],
  ] as const) {
    it(`is refused: ${message.slice(0, 90)}`, async () => {
      assert.equal((await refusalOf(() => readYaml(yaml(...lines)))).message, message);
    });
  }

  it('is refused without account and container, and with names that are none', async () => {
    const { message } = await refusalOf(() => readYaml(`azure:\n  ${WITH_KEY}\n`));
    assert.equal(message, 'old.yml:1: azure lacks "accountname"\nold.yml:1: azure lacks "container"');
    for (const line of ['accountname: Acc-ount', 'container: a--b', 'container: ab', 'realm: a/b'])
      await refusalOf(() => readYaml(`azure:\n  ${line}\n`));
  });
});

describe('an Azure URL', () => {
  const env = { AZURE_STORAGE_KEY: KEY };

  it('names account, container, root and endpoint; the key comes from the environment', () => {
    const { spec, notes } = readUrlStorage(
      'azure://account/registry/a%20b?endpoint=http://127.0.0.1:10000/account',
      env,
    );
    const expected = {
      ...PLAIN,
      endpoint: 'http://127.0.0.1:10000/account',
      rootDirectory: 'a b',
      hasSlashRoot: false,
    };
    assert.deepEqual(spec, expected);
    assert.deepEqual(notes, [
      'who asks azure://account/registry is taken from AZURE_STORAGE_KEY',
      'names begin without a slash, as distribution 3 writes them (keyrule: distribution-3)',
    ]);
  });

  it('takes the slash of distribution 2 when asked, a signature, and what the SDK finds', () => {
    const slash = readUrlStorage(
      'azure://account/registry?trimlegacyrootprefix=false&skipverify=true',
      env,
    ).spec;
    assert.deepEqual(slash, { ...PLAIN, skipsTlsVerify: true });
    const sas = readUrlStorage('azure://account/registry', { AZURE_STORAGE_SAS_TOKEN: `?${SAS}` }).spec;
    assert.deepEqual(sas, { ...PLAIN, hasSlashRoot: false, access: { type: 'sas', token: SAS } });
    const found = readUrlStorage('azure://account/registry', {}).spec;
    assert.deepEqual(found, { ...PLAIN, hasSlashRoot: false, access: { type: 'default' } });
  });

  for (const url of [
    'azure://account',
    'azure:///registry',
    'azure://account/registry#x',
    'azure://user:hidden@account/registry',
    'azure://account/Registry',
    'azure://account/registry?sv=1&sig=hidden',
    'azure://account/registry?accountkey=hidden',
    'azure://account/registry?endpoint=ftp://x',
    'azure://account/registry?skipverify=true&skipverify=true',
    'azure://account/registry?colour=red',
    'azure://account/registry/100%',
  ]) {
    it(`${url} is refused, and what it hides is not shown`, async () => {
      const { message, hint } = await refusalOf(() => readUrlStorage(url, env));
      assert.ok(!`${message}${hint}`.includes('hidden'));
    });
  }

  it('does not repeat a key of the environment that is none', async () => {
    const { message } = await refusalOf(() =>
      readUrlStorage('azure://account/registry', { AZURE_STORAGE_KEY: 'hidden!' }),
    );
    assert.equal(message, 'AZURE_STORAGE_KEY must be the key in base64, as the portal shows it');
  });
});

describe('the key of a logical path in Azure', () => {
  for (const [hasSlashRoot, root, key] of [
    [true, '', '/docker/registry/v2/x'],
    [true, '/', '/docker/registry/v2/x'],
    [true, '/a/b/', '/a/b/docker/registry/v2/x'],
    [false, '', 'docker/registry/v2/x'],
    [false, '/', 'docker/registry/v2/x'],
    [false, '/a/b/', 'a/b/docker/registry/v2/x'],
    [false, 'a//b', 'a//b/docker/registry/v2/x'],
  ] as const) {
    it(`of distribution ${hasSlashRoot ? 2 : 3} with rootdirectory ${JSON.stringify(root)} is ${key}`, () => {
      assert.equal(keyPrefixOf({ ...PLAIN, hasSlashRoot, rootDirectory: root }) + PATH, key);
    });
  }

  it('tells whether two storages share objects', async () => {
    const trimmed = { ...PLAIN, hasSlashRoot: false };
    assert.equal(await overlapOf(PLAIN, PLAIN), 'same');
    assert.equal(await overlapOf(PLAIN, trimmed), 'source-in-target', 'the slash is part of the key');
    assert.equal(await overlapOf(trimmed, { ...trimmed, rootDirectory: 'a' }), 'target-in-source');
    for (const other of [
      { container: 'other' },
      { accountName: 'other' },
      { endpoint: 'https://account.blob.core.usgovcloudapi.net' },
    ])
      assert.equal(await overlapOf(PLAIN, { ...PLAIN, ...other }), undefined);
  });
});

describe('an Azure storage', () => {
  it('has a name without secrets, and its place where that is not Azure itself', () => {
    assert.equal(storageName({ ...PLAIN, rootDirectory: '/a/' }), 'azure://account/registry/a');
    assert.equal(
      storageName({ ...PLAIN, endpoint: 'http://127.0.0.1:10000/account' }),
      'azure://account/registry at http://127.0.0.1:10000',
    );
  });

  it('is reached through the proxy of the environment', () => {
    const { spec, notes } = withNetwork(PLAIN, { HTTPS_PROXY: 'http://proxy:3128' });
    assert.equal(spec.network?.proxies?.https?.host, 'proxy');
    assert.match(notes.join(), /azure:\/\/account\/registry is reached through the proxy/);
  });
});
