import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { StorageError } from '../../../src/core/errors.ts';
import type { SwiftAccess, SwiftSpec } from '../../../src/drivers/spec.ts';
import { authenticate } from '../../../src/drivers/swift/swift-auth.ts';
import { openSwiftDriver } from '../../../src/drivers/swift/swift-driver.ts';
import { v2Token } from '../../../src/drivers/swift/swift-keystone.ts';
import { Keystone } from '../../support/keystone.ts';
import {
  CREDENTIAL,
  OTHER_DOMAIN,
  OTHER_PROJECT,
  OTHER_USER,
  PASSWORDS,
  PROJECT,
  TRUST,
  USER,
} from '../../support/keystone-rules.ts';

const PASSWORD = PASSWORDS[USER.id] ?? '';
const OTHER_PASSWORD = PASSWORDS[OTHER_USER.id] ?? '';
const CTX = { signal: new AbortController().signal };

type Given = Partial<Omit<SwiftAccess, 'authUrl'>>;

function specFor(keystone: Keystone, given: Given): SwiftSpec {
  const authVersion = given.authVersion ?? 3;
  return {
    kind: 'swift',
    container: 'c',
    prefix: '',
    skipsTlsVerify: false,
    access: {
      authUrl: `${keystone.origin}/${authVersion === 2 ? 'v2.0' : 'v3'}`,
      authVersion,
      user: USER.name,
      password: PASSWORD,
      endpointType: 'public',
      ...given,
    },
  };
}

describe('authenticate() with Keystone', () => {
  let keystone: Keystone;
  before(async () => {
    keystone = await new Keystone().start();
  });
  after(() => keystone.close());

  const accountOf = async (given: Given): Promise<string> => {
    const { storageUrl } = await authenticate(specFor(keystone, given), CTX.signal);
    return storageUrl.slice(keystone.origin.length);
  };
  const other = { user: OTHER_USER.name, password: OTHER_PASSWORD } as const;
  const byName = { tenant: PROJECT.name } as const;
  const [p1, p2] = [PROJECT, OTHER_PROJECT].map(({ id }) => `/public-RegionOne/v1/AUTH_${id}`);

  const WAYS: readonly (readonly [name: string, given: Given, account: string | undefined])[] = [
    ['a project by name, in the domain that Keystone makes itself', byName, p1],
    ['a project by id', { tenantId: PROJECT.id }, p1],
    ['a project by both, of which the id wins', { tenant: 'another', tenantId: PROJECT.id }, p1],
    [
      'the domain of the user by name, which is then the project’s as well',
      { ...other, ...byName, domain: OTHER_DOMAIN.name },
      p2,
    ],
    ['the domain of the user by id', { ...other, ...byName, domainId: OTHER_DOMAIN.id }, p2],
    ['a domain of the project by name', { ...byName, tenantDomain: OTHER_DOMAIN.name }, p2],
    ['a domain of the project by id', { ...byName, tenantDomainId: OTHER_DOMAIN.id }, p2],
    ['a trust, which brings its project', { ...byName, trustId: TRUST.id }, p2],
    [
      'an application credential by id',
      { ...byName, user: '', password: CREDENTIAL.secret, applicationCredential: { id: CREDENTIAL.id } },
      p1,
    ],
    [
      'an application credential by name',
      { password: CREDENTIAL.secret, applicationCredential: { name: CREDENTIAL.name } },
      p1,
    ],
    ['another region', { ...byName, region: 'RegionTwo' }, '/public-RegionTwo/v1/AUTH_p1'],
    ['the internal address', { ...byName, endpointType: 'internal' }, '/internal-RegionOne/v1/AUTH_p1'],
    [
      'the administrators’ address, in version 2',
      { ...byName, authVersion: 2, endpointType: 'admin' },
      '/admin-RegionOne/v1/AUTH_p1',
    ],
    ['version 2, a tenant by name', { ...byName, authVersion: 2 }, p1],
    ['version 2, a tenant by both', { ...byName, tenantId: PROJECT.id, authVersion: 2 }, p1],
    [
      'version 2, another region',
      { ...byName, authVersion: 2, region: 'RegionTwo' },
      '/public-RegionTwo/v1/AUTH_p1',
    ],
  ];
  for (const [name, given, account] of WAYS) {
    it(`takes ${name}`, async () => {
      assert.equal(await accountOf(given), account);
    });
  }

  it('knows when the token ends', async () => {
    for (const authVersion of [2, 3] as const) {
      const { expiresAtMs = 0 } = await authenticate(
        specFor(keystone, { ...byName, authVersion }),
        CTX.signal,
      );
      assert.ok(Math.abs(expiresAtMs - Date.now() - 3_600_000) < 60_000, `version ${authVersion}`);
    }
  });

  it('takes the end of a token that has no zone for UTC', () => {
    const json = { access: { token: { id: 't', expires: '2030-01-02T03:04:05' }, serviceCatalog: [] } };
    assert.equal(v2Token(json).expiresAtMs, Date.UTC(2030, 0, 2, 3, 4, 5));
  });

  const REFUSALS: readonly (readonly [string, Given, RegExp, StorageError['details']['kind']])[] = [
    ['a wrong password', { ...byName, password: 'wr0ng secret' }, /refused.*\(status 401\)/, 'denied'],
    ['a user of another domain', { ...byName, domain: OTHER_DOMAIN.name }, /status 401/, 'denied'],
    ['a trust that is none', { trustId: 'no-such' }, /status 401/, 'denied'],
    [
      'a wrong password in version 2',
      { ...byName, authVersion: 2, password: 'wr0ng secret' },
      /401/,
      'denied',
    ],
    [
      'a region that is none',
      { ...byName, region: 'Nowhere' },
      /no public address of an object store in region "Nowhere" \(it has public in RegionOne, .*admin in RegionTwo\)/,
      'not-found',
    ],
    ['no project at all', {}, /it names no object store at all/, 'not-found'],
  ];
  for (const [name, given, message, kind] of REFUSALS) {
    it(`says what is wrong with ${name}, without the password`, async () => {
      await assert.rejects(accountOf(given), (error: unknown) => {
        assert.ok(error instanceof StorageError);
        assert.equal(error.details.kind, kind);
        assert.equal(error.details.scope, 'backend');
        assert.match(error.message, message);
        assert.ok(error.hint);
        assert.doesNotMatch(`${error.message} ${error.hint}`, /wr0ng|päss/);
        return true;
      });
    });
  }

  it('says that the address is wrong where there is no Keystone', async () => {
    const spec = specFor(keystone, byName);
    const access = { ...spec.access, authUrl: `${keystone.origin}/identity` };
    await assert.rejects(authenticate({ ...spec, access }, CTX.signal), (error: unknown) => {
      assert.ok(error instanceof StorageError);
      assert.match(error.hint ?? '', /authurl/);
      return error.details.kind === 'not-found';
    });
  });
});

describe('SwiftDriver while its token ends', () => {
  const read = async (keystone: Keystone, times: readonly (() => void)[]): Promise<void> => {
    keystone.objects.set('/public-RegionOne/v1/AUTH_p1/c/a key', Buffer.from('bytes'));
    const storage = specFor(keystone, { tenant: PROJECT.name });
    const driver = openSwiftDriver({ storage, engine: 'direct' });
    try {
      for (const happens of times) {
        happens();
        const into = new Uint8Array(5);
        const reads = await Promise.all(
          [1, 2, 3].map(() => driver.read(CTX, 'a key', into, { isWhole: true })),
        );
        assert.deepEqual(
          reads.map(({ bytesRead }) => bytesRead),
          [5, 5, 5],
        );
      }
    } finally {
      await driver.close();
    }
  };
  const nothing = (): void => undefined;

  it('asks for one token for all that wait, and keeps it', async () => {
    const keystone = await new Keystone().start();
    try {
      await read(keystone, [nothing, nothing]);
      assert.deepEqual([keystone.grants, keystone.refusals], [1, 0]);
    } finally {
      await keystone.close();
    }
  });

  it('asks for another one when it is refused, and goes on', async () => {
    const keystone = await new Keystone().start();
    try {
      await read(keystone, [nothing, () => keystone.revokeAll()]);
      assert.equal(keystone.grants, 2);
      assert.ok(keystone.refusals >= 1);
    } finally {
      await keystone.close();
    }
  });

  it('asks for another one before it ends', async () => {
    // Less than is left of a token when the next one is asked for.
    const keystone = await new Keystone({ tokenMs: 60_000 }).start();
    try {
      await read(keystone, [nothing, nothing]);
      assert.ok(keystone.grants >= 2);
      assert.equal(keystone.refusals, 0);
    } finally {
      await keystone.close();
    }
  });

  it('says that it is denied where no token is taken', async () => {
    const keystone = await new Keystone({ tokenMs: 0 }).start();
    try {
      await assert.rejects(read(keystone, [nothing]), (error: unknown) => {
        assert.ok(error instanceof StorageError);
        assert.doesNotMatch(error.message, /token-/);
        return error.details.kind === 'denied' && error.details.scope === 'backend';
      });
    } finally {
      await keystone.close();
    }
  });
});
