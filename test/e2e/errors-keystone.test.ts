/** Rows of docs/errors.md about Keystone: over the strict fake, whose catalog a front changes. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { blobferry, copy, errorTests, type RowTest } from '../support/error-tests.ts';
import { treeUrl } from '../support/error-world.ts';
import { Front, type FrontRules } from '../support/front.ts';
import { Keystone } from '../support/keystone.ts';
import { PASSWORDS, PROJECT, USER } from '../support/keystone-rules.ts';
import type { Environment } from '../support/process.ts';

const PASSWORD = PASSWORDS[USER.id] ?? '';

async function keystoneFor(t: TestContext, rules: FrontRules): Promise<Front> {
  const keystone = await new Keystone().start();
  const front = await Front.start(keystone.origin);
  t.after(async () => {
    front.close();
    await keystone.close();
  });
  front.rules = rules;
  return front;
}

/** A copy with the right login, but for these variables. */
function loggingIn(change: Environment, rules: FrontRules = {}, path = '/v3'): RowTest {
  return async (t, row) => {
    const front = await keystoneFor(t, rules);
    const env = {
      OS_AUTH_URL: `${front.origin}${path}`,
      OS_USERNAME: USER.name,
      OS_PASSWORD: PASSWORD,
      OS_PROJECT_NAME: PROJECT.name,
      ...change,
    };
    const options = { env, secrets: [PASSWORD, 'wr0ng', 'token-'] };
    row.check(await copy(t, await treeUrl(t), 'swift://registry', options));
    const probe = await blobferry(['probe', 'swift://registry'], options);
    assert.equal(probe.code, 2, probe.stdout);
  };
}

/** Takes endpoints of object stores out of the catalog, or the stores themselves. */
function withCatalog(keeps: (type: string, kind: string) => boolean): FrontRules {
  return {
    after: ({ url }, answer) => {
      if (!url.pathname.endsWith('/auth/tokens') || answer.status !== 201) return undefined;
      const json = JSON.parse(answer.body.toString('utf8'));
      for (const service of json.token.catalog) {
        service.endpoints = service.endpoints.filter((one: { readonly interface: string }) =>
          keeps(service.type, one.interface),
        );
      }
      return { ...answer, body: Buffer.from(JSON.stringify(json)) };
    },
  };
}

errorTests(import.meta.filename, {
  'a password that Keystone refuses': loggingIn({ OS_PASSWORD: 'wr0ng' }),
  'a user of another domain of Keystone': loggingIn({ OS_USER_DOMAIN_NAME: 'Elsewhere' }),
  'a project that Keystone does not have': loggingIn({ OS_PROJECT_NAME: 'no-such-project' }),
  'no project for Keystone': loggingIn({ OS_PROJECT_NAME: '' }),
  'a region that Keystone does not have': loggingIn({ OS_REGION_NAME: 'RegionNine' }),
  'a kind of address that Keystone does not have': loggingIn(
    { OS_INTERFACE: 'internal' },
    withCatalog((_, kind) => kind !== 'internal'),
  ),
  'a catalog of Keystone without an object store': loggingIn(
    {},
    withCatalog((type) => type !== 'object-store'),
  ),
  'a kind of address that nobody has': loggingIn({ OS_INTERFACE: 'private' }),
  'a path that Keystone does not have': loggingIn({}, {}, '/identity/v3'),
  'a Keystone that is a web page': loggingIn(
    {},
    { before: () => ({ body: Buffer.from('<html>Hi</html>') }) },
  ),
  'a Keystone that asks for fewer requests': loggingIn(
    {},
    { before: () => ({ status: 429, headers: { 'retry-after': '0' } }) },
  ),
  'a Keystone that is being repaired': loggingIn({}, { before: () => ({ status: 503 }) }),
});
