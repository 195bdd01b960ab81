/** Rows of docs/errors.md about Azure Blob Storage: over Azurite, behind a front for what Azurite never says. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { ContainerSASPermissions } from '@azure/storage-blob';
import { makeCertificate } from '../../bench/support/certificate.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { ACCOUNT, ACCOUNT_KEY, type Azurite, missingAzurite, startAzurite } from '../support/azurite.ts';
import { blobferry, copy, errorTests, type RowTest } from '../support/error-tests.ts';
import { TREE, treeUrl } from '../support/error-world.ts';
import { Front, type FrontAnswer, type FrontRequest, type FrontRules } from '../support/front.ts';
import type { Environment } from '../support/process.ts';
import { makeTempFolder, tempFolderFor } from '../support/temp.ts';
import { tlsFront } from '../support/tls-front.ts';

const HIDDEN = 'hiddenHiddenHidden';
const BY_KEY: Environment = { AZURE_STORAGE_KEY: ACCOUNT_KEY };
const HOUR_MS = 3_600_000;

let starting: Promise<{ readonly azurite: Azurite; readonly remove: () => Promise<void> }> | undefined;

async function azurite(): Promise<Azurite> {
  starting ??= (async () => {
    const { path, remove } = await makeTempFolder('azurite');
    return { azurite: await startAzurite({ directory: path }), remove };
  })();
  return (await starting).azurite;
}

after(async () => {
  const running = await starting;
  await running?.azurite.stop();
  await running?.remove();
});

/** A container of the test's own, behind a front. */
interface World {
  readonly container: AzureContainer;
  readonly front: Front;
  readonly url: string;
  sas(permissions: string, endsInMs?: number): Promise<string>;
}

async function worldFor(t: TestContext, rules: FrontRules = {}): Promise<World> {
  const server = await azurite();
  const container = await new AzureContainer(server, `errors-${randomUUID()}`).create();
  const front = await Front.start(new URL(server.endpoint).origin);
  t.after(() => front.close());
  front.rules = rules;
  return {
    container,
    front,
    url: `azure://${ACCOUNT}/${container.name}?endpoint=${front.origin}/${ACCOUNT}`,
    sas: async (permissions, endsInMs = 30 * 24 * HOUR_MS) => {
      const url = await container.client.generateSasUrl({
        permissions: ContainerSASPermissions.parse(permissions),
        expiresOn: new Date(Date.now() + endsInMs),
      });
      return new URL(url).search.slice(1);
    },
  };
}

function bySas(token: string): { readonly env: Environment; readonly secrets: readonly string[] } {
  const signature = new URLSearchParams(token).get('sig') ?? '';
  return {
    env: { AZURE_STORAGE_SAS_TOKEN: token },
    secrets: [token, signature, encodeURIComponent(signature)],
  };
}

async function holdsTree({ container }: World): Promise<boolean> {
  return (await container.names()).length === TREE.objects.size;
}

/** Runs `probe` with an azure section of these lines; nothing is reached. */
function section(...lines: readonly string[]): RowTest {
  return async (t, row) => {
    const file = join(await tempFolderFor(t, 'azure'), 'old.yml');
    await writeFile(file, ['azure:', ...lines.map((line) => `  ${line}`), ''].join('\n'));
    row.check(await blobferry(['probe', file], { secrets: [HIDDEN, ACCOUNT_KEY] }));
  };
}

/** A copy to a container behind a front with these rules. */
function copying(rules: FrontRules, check?: (world: World) => Promise<void>): RowTest {
  return async (t, row) => {
    const world = await worldFor(t, rules);
    const secrets = [ACCOUNT_KEY];
    row.check(await copy(t, await treeUrl(t), world.url, { env: BY_KEY, secrets }));
    await check?.(world);
  };
}

function refusal(status: number, code: string, message = 'No.', headers = {}): Partial<FrontAnswer> {
  const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}\nRequestId:1</Message></Error>`;
  const all = { 'x-ms-error-code': code, 'x-ms-request-id': '1', 'content-type': 'application/xml' };
  return { status, headers: { ...all, ...headers }, body: Buffer.from(xml) };
}

const isPut = ({ method }: FrontRequest): boolean => method === 'PUT';

/** Refuses the first so many requests that fit. */
function first(count: number, fits: (request: FrontRequest) => boolean, answer: Partial<FrontAnswer>) {
  let left = count;
  const when: number[] = [];
  const before = (request: FrontRequest): Partial<FrontAnswer> | undefined => {
    if (!fits(request)) return undefined;
    when.push(Date.now());
    left -= 1;
    return left >= 0 ? answer : undefined;
  };
  return { before, when };
}

/** A service that signs its own clock: requests that were signed by another one are refused. */
function otherClock(aheadMs: number, tellsTime: boolean): FrontRules {
  const date = (): string | undefined =>
    tellsTime ? new Date(Date.now() + aheadMs).toUTCString() : undefined;
  return {
    before: ({ headers }) => {
      const signedMs = Date.parse(String(headers['x-ms-date']));
      const isNear = Math.abs(signedMs - Date.now() - aheadMs) < 15 * 60_000;
      const said = 'Server failed to authenticate the request.';
      return isNear ? undefined : refusal(403, 'AuthenticationFailed', said, { date: date() });
    },
    after: (_, answer) => ({ ...answer, headers: { ...answer.headers, date: date() } }),
  };
}

/** A SAS of these permissions, as the target of a copy, or as its source. */
function lacking(permissions: string, role: 'source' | 'target'): RowTest {
  return async (t, row) => {
    const world = await worldFor(t);
    const options = bySas(await world.sas(permissions));
    const other = `file://${await tempFolderFor(t, 'other')}`;
    const [from, to] = role === 'source' ? [world.url, other] : [await treeUrl(t), world.url];
    row.check(await copy(t, from, to, options));
    assert.deepEqual(world.front.seen, [], 'nothing was sent');
    const plan = await blobferry(['probe', ...(role === 'target' ? ['--write'] : []), world.url], options);
    assert.equal(plan.code, 2);
    assert.match(plan.stdout, /its SAS lacks/);
  };
}

/** An account at this address, reached with a key. */
function at(endpointOf: (t: TestContext) => Promise<string>): RowTest {
  return async (t, row) => {
    const url = `azure://${ACCOUNT}/registry?endpoint=${await endpointOf(t)}`;
    const options = { env: BY_KEY, secrets: [ACCOUNT_KEY] };
    row.check(await copy(t, await treeUrl(t), url, options));
    const verify = await blobferry(['verify', '--from', await treeUrl(t), '--to', url], options);
    assert.equal(verify.code, 2);
  };
}

errorTests(
  import.meta.filename,
  {
    'no account of Azure': section('container: registry', `accountkey: ${ACCOUNT_KEY}`),
    'a name that no account of Azure has': section('accountname: My-Account', 'container: registry'),
    'a name that no container of Azure has': section('accountname: account', 'container: Registry_1'),
    'a key of Azure that is none': section(
      'accountname: account',
      'container: registry',
      `accountkey: "${HIDDEN}!"`,
    ),
    'a key and a SAS of Azure': section(
      'accountname: account',
      'container: registry',
      `accountkey: ${ACCOUNT_KEY}`,
      `sastoken: sv=1&sig=${HIDDEN}`,
    ),
    'nobody to ask Azure as': section('accountname: account', 'container: registry'),
    'a connection string of another account': section(
      'accountname: account',
      'container: registry',
      `connectionstring: AccountName=another;AccountKey=${ACCOUNT_KEY}`,
    ),
    'a connection string of an emulator': section(
      'accountname: account',
      'container: registry',
      'connectionstring: UseDevelopmentStorage=true',
    ),
    'a service URL of Azure with a SAS in it': section(
      'accountname: account',
      'container: registry',
      `accountkey: ${ACCOUNT_KEY}`,
      `serviceurl: https://account.blob.core.windows.net?sv=1&sig=${HIDDEN}`,
    ),
    'a SAS in an Azure URL': async (_, row) => {
      const url = `azure://account/registry?sv=1&sig=${HIDDEN}`;
      row.check(await blobferry(['probe', url], { secrets: [HIDDEN] }));
    },
    'a key of another account of Azure': async (t, row) => {
      const { url } = await worldFor(t);
      const key = Buffer.alloc(64, 9).toString('base64');
      const options = { env: { AZURE_STORAGE_KEY: key }, secrets: [key] };
      row.check(await copy(t, await treeUrl(t), url, options));
      for (const command of ['verify', 'plan']) {
        const args = [command, '--from', url, '--to', `file://${await tempFolderFor(t, 'to')}`];
        assert.equal((await blobferry(args, options)).code, 2);
      }
    },
    'a container that Azure does not have': async (t, row) => {
      const { front } = await worldFor(t);
      const url = `azure://${ACCOUNT}/not-there?endpoint=${front.origin}/${ACCOUNT}`;
      row.check(await copy(t, await treeUrl(t), url, { env: BY_KEY, secrets: [ACCOUNT_KEY] }));
    },
    'an endpoint of Azure that lacks its account': at(async () => new URL((await azurite()).endpoint).origin),
    'a SAS that has ended': async (t, row) => {
      const world = await worldFor(t);
      row.check(await copy(t, await treeUrl(t), world.url, bySas(await world.sas('rwdl', -HOUR_MS))));
      assert.deepEqual(await world.container.names(), []);
    },
    'a SAS that ends soon': async (t, row) => {
      const world = await worldFor(t);
      row.check(await copy(t, await treeUrl(t), world.url, bySas(await world.sas('rwdl', HOUR_MS))));
      assert.ok(await holdsTree(world));
    },
    'a SAS that ends on the way': async (t, row) => {
      const world = await worldFor(t);
      // When it ends is the service's word: on a busy machine no moment would be the right one for a clock.
      const ended = { date: new Date(Date.now() + 48 * HOUR_MS).toUTCString() };
      const isLayer = ({ method, url }: FrontRequest) => method === 'PUT' && url.pathname.includes('_layers');
      let layers = 0;
      world.front.rules = {
        before: (request) => {
          if (isLayer(request)) layers += 1;
          return layers < 2
            ? undefined
            : refusal(403, 'AuthenticationFailed', 'Signature not valid in the specified time frame', ended);
        },
      };
      const from = await treeUrl(t);
      const journal = await tempFolderFor(t, 'journal');
      row.check(await copy(t, from, world.url, { ...bySas(await world.sas('rwdl', 47 * HOUR_MS)), journal }));
      assert.ok((await world.container.names()).length > 0, 'something was copied before');
      world.front.rules = {};
      const again = await copy(t, from, world.url, { ...bySas(await world.sas('rwdl')), journal });
      assert.equal(again.code, 0, again.stderr);
      assert.ok(await holdsTree(world));
    },
    'a SAS without permission to write': lacking('rdl', 'target'),
    'a SAS without permission to delete': lacking('rwl', 'target'),
    'a SAS without permission to list': lacking('r', 'source'),
    'a SAS without permission to read': lacking('l', 'source'),
    'a role that may not write': copying({
      before: (request) =>
        isPut(request)
          ? refusal(403, 'AuthorizationPermissionMismatch', 'This request is not authorized.')
          : undefined,
    }),
    'an account of Azure that keeps no block blobs': copying({
      before: (request) =>
        isPut(request) ? refusal(400, 'BlobTypeNotSupported', 'Block blobs are not supported.') : undefined,
    }),
    'an account of Azure that asks for fewer requests': async (t, row) => {
      const { before, when } = first(1, isPut, refusal(503, 'ServerBusy', 'Busy.', { 'retry-after': '2' }));
      const world = await worldFor(t, { before });
      const result = await copy(t, await treeUrl(t), world.url, {
        env: BY_KEY,
        secrets: [ACCOUNT_KEY],
      });
      row.check(result);
      assert.ok((when[1] ?? 0) - (when[0] ?? 0) >= 2_000, 'it waits as long as it is asked to');
      assert.ok(await holdsTree(world));
    },
    'an operation that took Azure too long': async (t, row) => {
      const isBlob = ({ method, url }: FrontRequest) => method === 'PUT' && url.pathname.includes('/blobs/');
      const { before } = first(2, isBlob, refusal(500, 'OperationTimedOut', 'Timed out.'));
      const world = await worldFor(t, { before });
      const result = await copy(t, await treeUrl(t), world.url, {
        env: BY_KEY,
        secrets: [ACCOUNT_KEY],
      });
      row.check(result);
      assert.ok(await holdsTree(world));
    },
    'an account of Azure that never stops asking for fewer requests': copying({
      before: () => refusal(503, 'ServerBusy', 'Busy.'),
    }),
    'a clock that is behind the one of Azure': copying(otherClock(5 * HOUR_MS, true), async (world) => {
      assert.ok(await holdsTree(world));
    }),
    'a clock that is not the one of Azure, which does not tell its time': copying(
      otherClock(5 * HOUR_MS, false),
    ),
    'a realm of Azure that has no address': async (t, row) => {
      const file = join(await tempFolderFor(t, 'azure'), 'new.yml');
      const lines = ['accountname: account', 'container: registry', 'realm: no-such-realm.invalid'];
      await writeFile(file, `azure:\n  ${[...lines, `accountkey: ${ACCOUNT_KEY}`].join('\n  ')}\n`);
      row.check(await copy(t, await treeUrl(t), file, { secrets: [ACCOUNT_KEY] }));
    },
    'a service URL of Azure where nobody listens': at(async () => `http://127.0.0.1:9/${ACCOUNT}`),
    'a service URL of Azure that answers with a page': at(async (t) => {
      const front = await Front.start();
      t.after(() => front.close());
      front.rules = { before: () => ({ body: Buffer.from('<html><body>Welcome</body></html>') }) };
      return front.origin;
    }),
    'a service URL of Azure that knows no such page': at(async (t) => {
      const front = await Front.start();
      t.after(() => front.close());
      return front.origin;
    }),
    'a service URL of Azure whose certificate nobody vouches for': at((t) =>
      tlsFront(t, makeCertificate({ names: ['127.0.0.1'] })),
    ),
    'no identity of Entra ID': async (t, row) => {
      const { url } = await worldFor(t);
      const env = { AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential' };
      row.check(await copy(t, await treeUrl(t), url, { env }));
    },
    'a token of Entra ID that ends on the way': async (t, row) => {
      const identity = await Front.start();
      t.after(() => identity.close());
      let given = 0;
      identity.rules = {
        before: () => {
          given += 1;
          const token = { access_token: `${HIDDEN}-${given}`, token_type: 'Bearer', resource: 'x' };
          const expires = Math.floor(Date.now() / 1_000) + 24 * 3_600;
          return { body: Buffer.from(JSON.stringify({ ...token, expires_on: String(expires) })) };
        },
      };
      const world = await worldFor(t);
      const sas = await world.sas('rwdl');
      let writes = 0;
      world.front.rules = {
        before: (request) => {
          // From the third write on the first token is none any more, though it said that it lasts for a day.
          writes += isPut(request) ? 1 : 0;
          const token = request.headers.authorization ?? '';
          const isGood = token.startsWith('Bearer ') && (writes < 3 || !token.endsWith('-1'));
          return isGood ? undefined : refusal(401, 'InvalidAuthenticationInfo', 'The token has expired.');
        },
        onward: ({ url, headers }) => {
          const { authorization: _, ...rest } = headers;
          return {
            path: `${url.pathname}${url.search}${url.search === '' ? '?' : '&'}${sas}`,
            headers: rest,
          };
        },
      };
      const env = {
        AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
        IDENTITY_ENDPOINT: `${identity.origin}/msi/token`,
        IDENTITY_HEADER: HIDDEN,
      };
      row.check(await copy(t, await treeUrl(t), world.url, { env, secrets: [HIDDEN] }));
      assert.ok(await holdsTree(world));
      assert.ok(given > 1, `${given} tokens`);
    },
  },
  { skip: missingAzurite() },
);
