/**
 * No secret of Azure, Cloud Storage or Swift is in what is printed, in --json, in the journal or in the metrics, whatever
 * the service or somebody in front of it repeats: whole requests, as gateways do.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { AzureContainer } from '../support/azure-container.ts';
import { ACCOUNT, ACCOUNT_KEY, type Azurite, missingAzurite, startAzurite } from '../support/azurite.ts';
import { runBlobferry } from '../support/cli.ts';
import { TREE, treeUrl } from '../support/error-world.ts';
import { Front, type FrontAnswer, type FrontRequest } from '../support/front.ts';
import { gcsCliWorldFor } from '../support/gcs-cli-world.ts';
import type { Environment } from '../support/process.ts';
import { secretsFoundIn, textBelow } from '../support/secrets.ts';
import { makeTempFolder, type TempFolder, tempFolderFor } from '../support/temp.ts';

const SECRET = {
  signature: 'S4S/signature+OfTheTest0123456789abcdefg=',
  password: 'pa55 "W0rd"&OfSwift+xyzzy',
  token: 'AUTH_tkToken0fTheTest0123456789',
  key: Buffer.from('k3y/of+an/account='.repeat(4).slice(0, 64)).toString('base64'),
  google: 'ya29.t0kenOfTheTest_0123456789',
} as const;
const PEM = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();
const LINES = PEM.split('\n').filter((line) => line.length > 60);
const SECRETS = [...Object.values(SECRET), ACCOUNT_KEY, ...LINES];
const SAS = `sv=2021-12-02&sr=c&sp=rwdl&se=2099-01-01&sig=${encodeURIComponent(SECRET.signature)}`;

/** The whole request, in every place of an answer that somebody may look at. */
function echo({ method, url, headers, body }: FrontRequest, status = 403): Partial<FrontAnswer> {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const text = [method, url.href, ...fields, body.toString('utf8')].join(' ');
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const xml = `<Error><Code>AccessDenied</Code><Message>${escaped}</Message><Details>${escaped}</Details></Error>`;
  const json = JSON.stringify({ error: { code: status, message: text, errors: [{ reason: 'forbidden' }] } });
  const page = `<html><h1>Forbidden</h1><p>${escaped}</p></html>`;
  const isJson = url.pathname.startsWith('/storage/v1/') || url.pathname.includes('/v3/');
  const isPage = url.pathname.startsWith('/v1/AUTH') || url.pathname.startsWith('/auth/');
  return { status, body: Buffer.from(isJson ? json : isPage ? page : xml) };
}

interface Run {
  readonly to: string;
  readonly env?: Environment;
  readonly code?: number;
  readonly says: RegExp;
}

let metricsUrl = '';

async function pageAt(url: string | undefined): Promise<string> {
  if (url !== undefined) metricsUrl = url;
  return fetch(metricsUrl).then(
    (answer) => answer.text(),
    () => '',
  );
}

async function leavesNothing(t: TestContext, run: Run): Promise<void> {
  const journal = join(await tempFolderFor(t, 'journal'), 'here');
  const pages: Promise<string>[] = [];
  const from = await treeUrl(t);
  let left = '';
  for (const more of [['--json', '--metrics-port', '0'], []]) {
    const args = ['copy', '--from', from, '--to', run.to, '--journal', journal, ...more];
    const result = await runBlobferry(args, {
      env: { BLOBFERRY_DEBUG: '1', ...run.env },
      onLine: (line) => {
        const [, url] = /"event":"metrics","url":"([^"]+)"/.exec(line) ?? [];
        if (url !== undefined || line.includes('"event":"shard"')) pages.push(pageAt(url));
      },
    });
    const output = `${result.stdout}\n${result.stderr}`;
    assert.match(output, run.says);
    assert.equal(result.code, run.code ?? 2, output);
    left += `${output}\n${await textBelow(journal)}`;
  }
  assert.deepEqual(secretsFoundIn([left, ...(await Promise.all(pages))].join('\n'), SECRETS), []);
}

async function front(t: TestContext, answer: (request: FrontRequest) => Partial<FrontAnswer>) {
  const one = await Front.start();
  t.after(() => one.close());
  one.rules = { before: answer };
  return one;
}

async function settings(t: TestContext, lines: readonly string[]): Promise<string> {
  const file = join(await tempFolderFor(t, 'settings'), 'new.yml');
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

async function keyFile(t: TestContext, text: string): Promise<string> {
  const file = join(await tempFolderFor(t, 'key'), 'key.json');
  await writeFile(file, text);
  return file;
}

const account = { type: 'service_account', client_email: 'a@p.iam.gserviceaccount.com', private_key: PEM };

const CASES: Readonly<Record<string, (t: TestContext) => Promise<Run>>> = {
  'an account of Azure that repeats requests signed with its key': async (t) => ({
    to: `azure://account/registry?endpoint=${(await front(t, (one) => echo(one))).origin}`,
    env: { AZURE_STORAGE_KEY: SECRET.key },
    says: /AccessDenied/,
  }),
  'an account of Azure that repeats requests with a SAS': async (t) => ({
    to: `azure://account/registry?endpoint=${(await front(t, (one) => echo(one))).origin}`,
    env: { AZURE_STORAGE_SAS_TOKEN: SAS },
    says: /AccessDenied/,
  }),
  'a SAS in a URL': async () => ({
    to: `azure://account/registry?${SAS}`,
    says: /holds credentials/,
  }),
  'a connection string that is none': async (t) => ({
    to: await settings(t, [
      'azure:',
      '  container: registry',
      `  connectionstring: "AccountName=a;AccountKey=${SECRET.key}x;SharedAccessSignature=${SAS}"`,
    ]),
    says: /connectionstring/,
  }),
  'settings of Azure that are no YAML where the secret stands': async (t) => ({
    to: await settings(t, ['azure:', `  accountkey: "${SECRET.key}`, '  container: registry']),
    says: /new\.yml:\d+: /,
  }),
  'a Swift that repeats the log-in': async (t) => ({
    to: 'swift://registry',
    env: {
      ST_AUTH: `${(await front(t, (one) => echo(one))).origin}/auth/v1.0`,
      ST_USER: 'test:tester',
      ST_KEY: SECRET.password,
    },
    says: /Cannot log in/,
  }),
  'a Swift that repeats requests with a token': async (t) => {
    const one = await front(t, (request) => {
      if (request.url.pathname !== '/auth/v1.0') return echo(request);
      const headers = { 'x-auth-token': SECRET.token, 'x-storage-url': `${one.origin}/v1/AUTH_a` };
      return { status: 200, headers };
    });
    const env = { ST_AUTH: `${one.origin}/auth/v1.0`, ST_USER: 'a:b', ST_KEY: SECRET.password };
    return { to: 'swift://registry', env, says: /Cannot list swift:/ };
  },
  'a Keystone that repeats the log-in': async (t) => ({
    to: 'swift://registry',
    env: {
      OS_AUTH_URL: `${(await front(t, (one) => echo(one, 400))).origin}/v3`,
      OS_USERNAME: 'mover',
      OS_PASSWORD: SECRET.password,
      OS_PROJECT_NAME: 'registry',
    },
    says: /Cannot log in/,
  }),
  'a Keystone whose answer is no JSON from the token on': async (t) => ({
    to: 'swift://registry',
    env: {
      OS_AUTH_URL: `${(await front(t, () => ({ status: 200, body: Buffer.from(`{"token": "${SECRET.token}`) }))).origin}/v3`,
      OS_USERNAME: 'mover',
      OS_PASSWORD: SECRET.password,
    },
    says: /the answer is no JSON/,
  }),
  'a Cloud Storage that repeats requests': async (t) => {
    const world = await gcsCliWorldFor(t);
    world.token = SECRET.google;
    const { origin } = await front(t, (one) => echo(one));
    return { to: `gs://bucket/root?endpoint=${origin}`, env: world.env, says: /forbidden/ };
  },
  'a Cloud Storage that repeats requests in the middle': async (t) => {
    const world = await gcsCliWorldFor(t);
    world.token = SECRET.google;
    world.fake.tokens.add(SECRET.google);
    world.fake.intercept = ({ method, target, headers }) => {
      if (method !== 'PUT' || !target.includes('/blobs/')) return undefined;
      const url = new URL(target, world.fake.endpoint);
      const { status = 403, body = '' } = echo({ method, url, headers, body: Buffer.alloc(0) });
      return { status, body };
    };
    return { to: world.url('root'), env: world.env, code: 1, says: /AccessDenied/ };
  },
  'a key file that breaks off in its key': async (t) => ({
    to: `gs://bucket/root?keyfile=${await keyFile(t, JSON.stringify(account).slice(0, -200))}`,
    says: /the file is no JSON/,
  }),
  'a key file whose key is broken': async (t) => {
    const broken = { ...account, private_key: PEM.replace('BEGIN PRIVATE KEY', 'BEGIN A KEY') };
    return {
      to: `gs://bucket/root?keyfile=${await keyFile(t, JSON.stringify(broken))}`,
      says: /Cannot get a token/,
    };
  },
  'settings with a key of Google in the place of a name': async (t) => ({
    to: await settings(t, ['gcs:', '  bucket: registry', `  ${LINES[0]}: true`]),
    says: /unknown parameter/,
  }),
};

describe('no secret is left behind by', () => {
  for (const [what, make] of Object.entries(CASES)) {
    it(what, async (t) => leavesNothing(t, await make(t)));
  }
});

describe('no secret is left behind by Azurite behind a front', { skip: missingAzurite() }, () => {
  let folder: TempFolder;
  let azurite: Azurite;

  before(async () => {
    folder = await makeTempFolder('azurite');
    azurite = await startAzurite({ directory: folder.path });
  });

  after(async () => {
    await azurite?.stop();
    await folder?.remove();
  });

  it('that repeats requests in the middle', async (t) => {
    const container = await new AzureContainer(azurite, 'secrets').create();
    const one = await Front.start(new URL(azurite.endpoint).origin);
    t.after(() => one.close());
    let repeated = 0;
    one.rules = {
      before: (request) => {
        if (request.method !== 'PUT' || !request.url.pathname.includes('/blobs/')) return undefined;
        repeated += 1;
        return echo(request);
      },
    };
    const to = `azure://${ACCOUNT}/${container.name}?endpoint=${one.origin}/${ACCOUNT}`;
    await leavesNothing(t, { to, env: { AZURE_STORAGE_KEY: ACCOUNT_KEY }, code: 1, says: /AccessDenied/ });
    assert.ok(repeated >= TREE.blobs.length);
  });
});
