/** Runs that fail in many ways, with every secret they can be given: none is in anything that they leave behind. */
import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { ENGINES, type Engine } from '../support/error-tests.ts';
import { BUCKET, s3Url, startServer, treeUrl } from '../support/error-world.ts';
import type { Environment } from '../support/process.ts';
import { secretsFoundIn, textBelow } from '../support/secrets.ts';
import { tempFolderFor } from '../support/temp.ts';
import { startRaw } from '../unit/transport/raw-server.ts';

const ACCESS_KEY_ID = 'ASIASECRETSTEST';
const SECRET = {
  secretKey: 'qKz8+Secret/KeyOf=TheTest+42xYzW',
  token: 'FwoGZXIvToken+Of/TheTest==Qq77PpLm',
  password: 'pa55&Word%OfTheProxy+xyzzy',
  yaml: 'yamlPassw0rd/Plugh+NeverShown',
  signature: 'f00dfeedcafe8899f00dfeedcafe8899f00dfeedcafe8899f00dfeedcafe8899',
  sas: 'S4S/signature+OfTheTest0123456789',
} as const;
const SECRETS = Object.values(SECRET);
const CREDENTIALS = {
  accessKeyId: ACCESS_KEY_ID,
  secretAccessKey: SECRET.secretKey,
  sessionToken: SECRET.token,
  expiresAtMs: Number.POSITIVE_INFINITY,
};
const KEYS: Environment = {
  AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
  AWS_SECRET_ACCESS_KEY: SECRET.secretKey,
  AWS_SESSION_TOKEN: SECRET.token,
  BLOBFERRY_DEBUG: '1',
};
const PRESIGNED = `https://user:${SECRET.yaml}@x.example/k?X-Amz-Credential=a&X-Amz-Signature=${SECRET.signature}&X-Amz-Security-Token=${encodeURIComponent(SECRET.token)}&sig=${encodeURIComponent(SECRET.sas)}&se=1`;

interface Run {
  readonly from?: string;
  readonly to?: string;
  readonly env?: Environment;
  /** Further texts in which no secret may be. */
  readonly leftBehind?: () => Promise<string>;
  /** Secrets that this run's own children are given on purpose are looked for in `leftBehind` all the same. */
  readonly code?: number | null;
  /** Shows that the run failed where it should. */
  readonly says: RegExp;
}

async function runs(t: TestContext, engine: Engine, run: Run): Promise<CliResult> {
  const journal = join(await tempFolderFor(t, 'journal'), 'here');
  const pages: Promise<string>[] = [];
  const from = run.from ?? (await treeUrl(t));
  const to = run.to ?? `file://${await tempFolderFor(t, 'to')}`;
  let left = '';
  for (const more of [['--json', '--metrics-port', '0'], []]) {
    const args = ['copy', '--from', from, '--to', to, '--engine', engine, '--journal', journal, ...more];
    const result = await runBlobferry(args, {
      env: { ...KEYS, ...run.env },
      onLine: (line) => {
        const [, url] = /"event":"metrics","url":"([^"]+)"/.exec(line) ?? [];
        if (url !== undefined || line.includes('"event":"shard"')) pages.push(pageAt(url));
      },
    });
    const output = `${result.stdout}\n${result.stderr}`;
    assert.match(output, run.says);
    if (run.code !== null) assert.equal(result.code, run.code ?? 2, output);
    left += `${output}\n${await textBelow(journal)}`;
    if (more.length === 0) {
      const texts = [left, ...(await Promise.all(pages)), (await run.leftBehind?.()) ?? ''];
      assert.deepEqual(secretsFoundIn(texts.join('\n'), SECRETS), []);
      return result;
    }
  }
  throw new Error('unreachable');
}

let lastUrl = '';

async function pageAt(url: string | undefined): Promise<string> {
  if (url !== undefined) lastUrl = url;
  return fetch(lastUrl).then(
    (answer) => answer.text(),
    () => '',
  );
}

/** Repeats the whole request, as gateways and web servers in front of S3 do. */
function echo(request: IncomingMessage, response: ServerResponse, status: number): void {
  const head = `${request.method} ${request.url} ${request.rawHeaders.join(': ')} ${PRESIGNED}`;
  const text = head.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const fields = `<StringToSign>${text}</StringToSign><CanonicalRequest>${text}</CanonicalRequest><Token-0>${text}</Token-0>`;
  response.writeHead(status, { 'content-type': 'application/xml', location: PRESIGNED, 'x-echo': text });
  response.end(`<Error><Code>AccessDenied</Code><Message>${text}</Message>${fields}</Error>`);
}

async function listen(t: TestContext, handle: (asked: IncomingMessage, answer: ServerResponse) => void) {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An S3 server behind something that repeats requests to write blobs, or never answers them, instead of passing them on. */
async function echoingFront(t: TestContext, status: number | 'never'): Promise<string> {
  const server = await startServer(t, { credentials: [CREDENTIALS] });
  return listen(t, (request, response) => {
    if (request.method === 'PUT' && /docker\/registry\/v2\/blobs/.test(request.url ?? '')) {
      if (status !== 'never') request.resume().on('end', () => echo(request, response, status));
      return;
    }
    const { method, url: path, headers } = request;
    const passed = forward({ host: '127.0.0.1', port: server.port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(passed);
  });
}

async function settings(t: TestContext, lines: readonly string[]): Promise<string> {
  const file = join(await tempFolderFor(t, 'settings'), 'new.yml');
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

async function profile(t: TestContext, script: string): Promise<Environment> {
  const folder = await tempFolderFor(t, 'aws');
  const helper = join(folder, 'helper');
  await writeFile(helper, `#!/bin/sh\n${script}\n`);
  await chmod(helper, 0o755);
  await writeFile(join(folder, 'config'), `[profile mine]\ncredential_process = ${helper}\n`);
  const keys = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];
  const none = Object.fromEntries(keys.map((name) => [name, undefined]));
  return { ...none, AWS_CONFIG_FILE: join(folder, 'config'), AWS_PROFILE: 'mine' };
}

const password = encodeURIComponent(SECRET.password);
const SAID = JSON.stringify({
  Version: 1,
  AccessKeyId: ACCESS_KEY_ID,
  SecretAccessKey: SECRET.secretKey,
  SessionToken: SECRET.token,
});

/** Loaded into the program, to break it where it does not break by itself. */
const loaded = (code: string): Environment => ({
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}`,
});
const IN_THREADS = "import { isMainThread } from 'node:worker_threads'; if (!isMainThread) ";
/** In the middle of a copy: some time after it has told where it copies to. */
const inMain = (deed: string): Environment =>
  loaded(`import { isMainThread } from 'node:worker_threads';
    if (isMainThread) for (const stream of [process.stdout, process.stderr]) {
      const write = stream.write.bind(stream);
      stream.write = (text, ...rest) => {
        if (String(text).includes('s3://bucket')) setTimeout(() => { ${deed} }, 700);
        return write(text, ...rest);
      };
    }`);

const CASES: Readonly<Record<string, (t: TestContext) => Promise<Run>>> = {
  'a server that repeats requests': async (t) => ({
    to: s3Url(await listen(t, (request, response) => echo(request, response, 403))),
    says: /AccessDenied/,
  }),
  'a server that sends on to a presigned URL': async (t) => ({
    to: s3Url(await listen(t, (request, response) => echo(request, response, 307))),
    says: /AccessDenied|sends requests on/,
  }),
  'a front that repeats requests in the middle': async (t) => ({
    to: s3Url(await echoingFront(t, 403)),
    code: 1,
    says: /AccessDenied/,
  }),
  'a front that repeats requests as errors without a meaning': async (t) => ({
    to: s3Url(await echoingFront(t, 418)),
    code: 1,
    says: /AccessDenied/,
  }),
  'keys in a URL': async () => ({
    to: `s3://${ACCESS_KEY_ID}:${encodeURIComponent(SECRET.secretKey)}@bucket/root?region=us-east-1`,
    says: /begins with the bucket alone/,
  }),
  'a key as a parameter of a URL': async () => ({
    to: `s3://bucket/root?region=us-east-1&secretkey=${encodeURIComponent(SECRET.secretKey)}`,
    says: /holds credentials/,
  }),
  'a password in an endpoint': async () => ({
    to: `s3://bucket?endpoint=${encodeURIComponent(`http://u:${password}@127.0.0.1:9`)}`,
    says: /"endpoint" of the S3 URL/,
  }),
  'a presigned URL in the place of a storage': async () => ({ to: PRESIGNED, says: /not given as https/ }),
  'settings that are no YAML where the secret stands': async (t) => ({
    to: await settings(t, ['s3:', `  secretkey: "${SECRET.yaml}`, `  bucket: ${BUCKET}`]),
    says: /new\.yml:\d+: /,
  }),
  'settings with a secret in the place of a name': async (t) => ({
    to: await settings(t, [
      's3:',
      `  bucket: ${BUCKET}`,
      `  ${SECRET.yaml}: true`,
      `  password: ${SECRET.yaml}`,
    ]),
    says: /unknown parameter/,
  }),
  'settings with keys that are refused': async (t) => ({
    to: await settings(t, [
      's3:',
      `  bucket: ${BUCKET}`,
      `  regionendpoint: ${await listen(t, (request, response) => echo(request, response, 403))}`,
      `  accesskey: ${ACCESS_KEY_ID}`,
      `  secretkey: ${SECRET.yaml}`,
      `  sessiontoken: ${SECRET.token}`,
    ]),
    says: /AccessDenied/,
  }),
  'settings whose endpoint has a password': async (t) => ({
    to: await settings(t, [
      's3:',
      `  bucket: ${BUCKET}`,
      `  regionendpoint: http://u:${password}@127.0.0.1:9`,
      '  region: 7',
    ]),
    says: /regionendpoint/,
  }),
  'a variable with a secret in the place of a number': async (t) => ({
    to: await settings(t, [
      's3:',
      `  bucket: ${BUCKET}`,
      '  region: us-east-1',
      `  chunksize: $${'{MY_SECRET}'}`,
    ]),
    env: { MY_SECRET: SECRET.yaml },
    says: /chunksize/,
  }),
  'a secret key with a line end': async () => ({
    to: s3Url('http://127.0.0.1:9'),
    env: { AWS_SECRET_ACCESS_KEY: `${SECRET.secretKey}\n` },
    says: /secret key .* has a character that no key has|connect ECONNREFUSED/,
  }),
  'a proxy that is not there': async () => ({
    to: s3Url('http://s3.example'),
    env: { HTTP_PROXY: `http://user:${password}@127.0.0.1:9` },
    says: /proxy/,
  }),
  'a proxy that repeats what it was sent': async (t) => {
    const proxy = await startRaw({
      onRequest: async (peer, { head }) => {
        const line = head.replaceAll('\r\n', ' ');
        await peer.send(
          `HTTP/1.1 407 ${line}\r\nX-Echo: ${line}\r\nContent-Length: ${line.length}\r\n\r\n${line}`,
        );
      },
    });
    t.after(() => proxy.close());
    const url = `http://user:${password}@127.0.0.1:${proxy.port}`;
    return { to: s3Url('https://s3.example'), env: { HTTPS_PROXY: url }, says: /407/ };
  },
  'a credential_process that breaks off': async (t) => ({
    to: s3Url('http://127.0.0.1:9'),
    env: await profile(t, `echo '${SAID.slice(0, -2)}'`),
    says: /invalid JSON/,
  }),
  'a credential_process that says it and fails': async (t) => ({
    to: s3Url('http://127.0.0.1:9'),
    env: await profile(t, `echo '${SAID}'; echo 'wrong password=${SECRET.yaml}' >&2; exit 3`),
    says: /credential_process of the profile failed/,
  }),
  'credentials of another version': async (t) => ({
    to: s3Url('http://127.0.0.1:9'),
    env: await profile(t, `echo '${SAID.replace('"Version":1', '"Version":7')}'`),
    says: /Found no credentials/,
  }),
  'a child that writes down its environment': async (t) => {
    const dump = join(await tempFolderFor(t, 'dump'), 'environment');
    const script = `(env; tr '\\0' ' ' < /proc/$PPID/cmdline) >> ${dump}; echo no`;
    const lines = ['s3:', '  bucket: other', '  region: us-east-1', `  accesskey: ${ACCESS_KEY_ID}`];
    return {
      from: await settings(t, [...lines, `  secretkey: ${SECRET.yaml}`]),
      to: s3Url('http://127.0.0.1:9'),
      env: await profile(t, script),
      leftBehind: () => readFile(dump, 'latin1'),
      says: /invalid JSON/,
    };
  },
  'threads that crash': async (t) => ({
    to: s3Url(await echoingFront(t, 'never')),
    env: loaded(`${IN_THREADS}setTimeout(() => { throw new Error('crash') }, 700);`),
    code: 1,
    says: /crash/,
  }),
  'a crash of the whole': async (t) => ({
    to: s3Url(await echoingFront(t, 'never')),
    env: inMain("throw new Error('crash')"),
    code: null,
    says: /Error: crash/,
  }),
  'a kill in the middle': async (t) => ({
    to: s3Url(await echoingFront(t, 'never')),
    env: inMain("process.kill(process.pid, 'SIGKILL')"),
    code: null,
    says: /s3:..bucket/,
  }),
};

for (const engine of ENGINES) {
  describe(`no secret is left behind by --engine ${engine} and`, () => {
    for (const [what, make] of Object.entries(CASES)) {
      it(what, async (t) => {
        await runs(t, engine, await make(t));
      });
    }
  });
}

describe('the search for secrets', () => {
  it('finds every form of one', () => {
    const secret = SECRET.secretKey;
    const bytes = Buffer.from(secret);
    const texts = [secret, encodeURIComponent(secret), bytes.toString('hex').toUpperCase()];
    for (const before of ['', 'u', 'us', 'user:'])
      texts.push(Buffer.from(`${before}${secret}`).toString('base64'));
    for (const text of texts) assert.notDeepEqual(secretsFoundIn(`x ${text} y`, [secret]), [], text);
    assert.deepEqual(secretsFoundIn('nothing here', SECRETS), []);
  });
});
