import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readUrlStorage } from '../../../src/cli/storage/url-storage.ts';
import type { SwiftAccess, SwiftSpec } from '../../../src/drivers/spec.ts';
import { readYaml, refusalOf } from './reading.ts';

const KEYSTONE = {
  OS_AUTH_URL: 'https://cloud:5000/v3',
  OS_USERNAME: 'mover',
  OS_PASSWORD: 'hidden',
} as const;

function swiftOf({ spec }: { readonly spec: { readonly kind: string } }): SwiftSpec {
  assert.equal(spec.kind, 'swift');
  return spec as SwiftSpec;
}

async function accessOf(env: Readonly<Record<string, string>>): Promise<SwiftAccess> {
  return swiftOf(await readUrlStorage('swift://registry/old', env)).access;
}

function swiftYaml(...lines: readonly string[]): string {
  const must = ['username: mover', 'password: hidden', 'container: registry'];
  return ['swift:', ...[...must, ...lines].map((line) => `  ${line}`), ''].join('\n');
}

describe('the parameters of swift', () => {
  it('come all together', () => {
    const { spec, notes } = readYaml(
      swiftYaml(
        'authurl: https://cloud:5000/v3/',
        'prefix: old',
        'tenant: a',
        'tenantid: b',
        'domain: c',
        'domainid: d',
        'tenantdomain: e',
        'tenantdomainid: f',
        'trustid: g',
        'region: h',
        'endpointtype: internalURL',
        'insecureskipverify: true',
        'chunksize: 20971520',
        'rootdirectory: nowhere',
      ),
    );
    assert.deepEqual(swiftOf({ spec }), {
      kind: 'swift',
      container: 'registry',
      prefix: 'old',
      access: {
        authUrl: 'https://cloud:5000/v3',
        authVersion: 3,
        user: 'mover',
        password: 'hidden',
        endpointType: 'internal',
        tenant: 'a',
        tenantId: 'b',
        domain: 'c',
        domainId: 'd',
        tenantDomain: 'e',
        tenantDomainId: 'f',
        trustId: 'g',
        region: 'h',
      },
      skipsTlsVerify: true,
    });
    for (const name of ['chunksize', 'rootdirectory']) {
      assert.ok(
        notes.some((note) => note.includes(`"${name}"`)),
        `${name} has no effect, and that is said`,
      );
    }
  });

  it('tell the version of the identity service by its address, unless one is given', () => {
    for (const [lines, version] of [
      [['authurl: https://cloud/auth/v1.0'], 1],
      [['authurl: https://cloud:5000/v2.0'], 2],
      [['authurl: https://cloud:5000/v3'], 3],
      [['authurl: https://cloud/identity', 'authversion: 2'], 2],
    ] as const) {
      assert.equal(swiftOf(readYaml(swiftYaml(...lines))).access.authVersion, version);
    }
  });

  for (const [line, message] of [
    ['authurl: https://cloud/identity', /"authurl" of swift does not tell the version/],
    ['authurl: https://mover:hidden@cloud/v3', /"authurl" of swift must not hold a user or password/],
    ['authurl: cloud', /"authurl" of swift must be an http:\/\/ or https:\/\/ URL/],
    ['prefix: old', /swift lacks "authurl"/],
    ['rootdir: old', /unknown parameter "rootdir" of swift/],
  ] as const) {
    it(`are refused: ${line}`, async () => {
      const refusal = await refusalOf(() => readYaml(swiftYaml(line)));
      assert.match(refusal.message, message);
      assert.doesNotMatch(`${refusal.message} ${refusal.hint}`, /hidden/);
    });
  }
});

describe('a Swift URL', () => {
  it('names a container and a prefix, percent-encoded', async () => {
    const { container, prefix } = swiftOf(await readUrlStorage('swift://my%20registry/a/b%23', KEYSTONE));
    assert.deepEqual({ container, prefix }, { container: 'my registry', prefix: 'a/b#' });
  });

  it('takes Keystone from the environment, as OpenStack’s clients do', async () => {
    const env = {
      ...KEYSTONE,
      OS_PROJECT_NAME: 'project',
      OS_USER_DOMAIN_NAME: 'users',
      OS_PROJECT_DOMAIN_ID: 'projects',
      OS_TRUST_ID: 'trust',
      OS_REGION_NAME: 'here',
      OS_INTERFACE: 'internalURL',
    };
    assert.deepEqual(await accessOf(env), {
      authUrl: 'https://cloud:5000/v3',
      authVersion: 3,
      user: 'mover',
      password: 'hidden',
      endpointType: 'internal',
      tenant: 'project',
      domain: 'users',
      tenantDomainId: 'projects',
      trustId: 'trust',
      region: 'here',
    });
  });

  it('finds version 3 below an address without a version', async () => {
    const { authUrl, authVersion } = await accessOf({ ...KEYSTONE, OS_AUTH_URL: 'https://cloud/identity/' });
    assert.deepEqual({ authUrl, authVersion }, { authUrl: 'https://cloud/identity/v3', authVersion: 3 });
  });

  it('takes an application credential, which brings its project', async () => {
    const { OS_AUTH_URL, OS_USERNAME } = KEYSTONE;
    const secret = { OS_AUTH_URL, OS_APPLICATION_CREDENTIAL_SECRET: 's', OS_PROJECT_NAME: 'project' };
    const byId = await accessOf({ ...secret, OS_APPLICATION_CREDENTIAL_ID: 'i' });
    assert.deepEqual(byId, {
      authUrl: OS_AUTH_URL,
      authVersion: 3,
      user: '',
      password: 's',
      endpointType: 'public',
      applicationCredential: { id: 'i' },
    });
    const byName = await accessOf({ ...secret, OS_USERNAME, OS_APPLICATION_CREDENTIAL_NAME: 'n' });
    assert.deepEqual(
      [byName.user, byName.applicationCredential, byName.tenant],
      ['mover', { name: 'n' }, undefined],
    );
  });

  it('takes tempauth where Keystone is not named', async () => {
    const access = await accessOf({ ST_AUTH: 'http://swift/auth/v1.0', ST_USER: 'a:b', ST_KEY: 'k' });
    assert.deepEqual(access, {
      authUrl: 'http://swift/auth/v1.0',
      authVersion: 1,
      user: 'a:b',
      password: 'k',
      endpointType: 'public',
    });
  });

  for (const [name, url, env, message] of [
    [
      'nothing in the environment',
      'swift://c',
      {},
      'A Swift URL needs ST_AUTH and ST_USER and ST_KEY in the environment',
    ],
    [
      'no secret',
      'swift://c',
      { OS_AUTH_URL: 'https://c/v3', OS_APPLICATION_CREDENTIAL_ID: 'i' },
      'A Swift URL needs OS_APPLICATION_CREDENTIAL_SECRET in the environment',
    ],
    [
      'an interface that is none',
      'swift://c',
      { ...KEYSTONE, OS_INTERFACE: 'private' },
      'OS_INTERFACE must be public, internal or admin',
    ],
    [
      'a user in the URL',
      'swift://mover:hidden@c',
      KEYSTONE,
      'A Swift URL names a container, a prefix and a keyrule, and nothing else',
    ],
    ['no container', 'swift://', KEYSTONE, 'A Swift URL names a container and has no fragment ("#")'],
  ] as const) {
    it(`is refused: ${name}`, async () => {
      assert.equal((await refusalOf(() => readUrlStorage(url, env))).message, message);
    });
  }
});
