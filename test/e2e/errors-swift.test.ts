/** Rows of docs/errors.md about OpenStack Swift: over a real one, behind a front that is in states it is in now and then. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { makeCertificate } from '../../bench/support/certificate.ts';
import { blobferry, type CopyOptions, copy, errorTests, type RowTest } from '../support/error-tests.ts';
import { TREE, treeUrl } from '../support/error-world.ts';
import { Front, type FrontAnswer, type FrontRequest, type FrontRules } from '../support/front.ts';
import type { Environment } from '../support/process.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { type Swift, startSwift } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, tempFolderFor } from '../support/temp.ts';
import { tlsFront } from '../support/tls-front.ts';
import { missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

const HIDDEN = 'hiddenHiddenHidden';
const MIB = 1024 ** 2;
const FILES = 'files/';

let starting: Promise<{ readonly swift: Swift; readonly remove: () => Promise<void> }> | undefined;

async function swiftServer(): Promise<Swift> {
  starting ??= (async () => {
    const { path, remove } = await makeTempFolder('swift');
    return { swift: await startSwift({ directory: path }), remove };
  })();
  return (await starting).swift;
}

after(async () => {
  const running = await starting;
  await running?.swift.stop();
  await running?.remove();
});

/** A container of the test's own; what blobferry asks goes through the front. */
interface World {
  readonly swift: Swift;
  readonly container: SwiftContainer;
  readonly front: Front;
  readonly url: string;
  readonly options: { readonly env: Environment; readonly secrets: readonly string[] };
}

async function worldFor(t: TestContext, rules: FrontRules = {}): Promise<World> {
  const swift = await swiftServer();
  const container = await new SwiftContainer(swift, `errors-${randomUUID()}`).create();
  const front = await Front.start(swift.endpoint);
  t.after(() => front.close());
  front.rules = rules;
  const env = { ST_AUTH: `${front.origin}/auth/v1.0`, ST_USER: swift.user, ST_KEY: swift.password };
  return {
    swift,
    container,
    front,
    url: `swift://${container.name}`,
    options: { env, secrets: ['AUTH_tk'] },
  };
}

/** Runs `probe` with a swift section of these lines; nothing is reached. */
function section(...lines: readonly string[]): RowTest {
  return async (t, row) => {
    const file = join(await tempFolderFor(t, 'swift'), 'old.yml');
    await writeFile(file, ['swift:', ...lines.map((line) => `  ${line}`), ''].join('\n'));
    row.check(await blobferry(['probe', file], { secrets: [HIDDEN] }));
  };
}

const LOGIN = ['username: test:tester', `password: ${HIDDEN}`] as const;

async function fill({ container }: World, tree = TREE): Promise<void> {
  for (const [path, body] of tree.objects) {
    const { status } = await container.request('PUT', `/${FILES}${encodeURI(path)}`, { body });
    assert.equal(status, 201);
  }
}

/** In parts, as the registry's driver writes what comes through an upload. */
async function putInParts({ container }: World, path: string, parts: readonly Uint8Array[]): Promise<void> {
  const folder = `segments/abc/${randomUUID()}/`;
  for (const [at, body] of parts.entries())
    await container.request('PUT', `/${folder}${String(at + 1).padStart(16, '0')}`, { body });
  const headers = { 'x-object-manifest': `${container.name}/${folder}` };
  const { status } = await container.request('PUT', `/${FILES}${encodeURI(path)}`, { headers, body: '' });
  assert.equal(status, 201);
}

async function heldBy({ container }: World): Promise<readonly string[]> {
  const names = await container.names();
  return names.filter((name) => name.startsWith(FILES)).map((name) => name.slice(FILES.length));
}

async function holdsTree(world: World): Promise<boolean> {
  return (await heldBy(world)).length === TREE.objects.size;
}

/** The rows of a listing, changed. */
function listings(change: (names: Rows, request: FrontRequest) => Rows): FrontRules {
  return {
    after: (request, answer) => {
      if (!isListing(request) || answer.status !== 200) return undefined;
      const rows = change(JSON.parse(answer.body.toString('utf8') || '[]') as Rows, request);
      return { ...answer, body: Buffer.from(JSON.stringify(rows)) };
    },
  };
}

type Rows = readonly { readonly name?: string; readonly [field: string]: unknown }[];

const isListing = ({ method, url }: FrontRequest): boolean =>
  method === 'GET' && url.searchParams.get('format') === 'json';
const isObject = ({ url }: FrontRequest): boolean => url.pathname.includes(`/${FILES}docker/`);

/** Tells of everything that it is old enough for every listing to know its parts. */
const longAgo = (_: FrontRequest, answer: FrontAnswer): FrontAnswer => ({
  ...answer,
  headers: { ...answer.headers, 'last-modified': new Date(Date.now() - 3_600_000).toUTCString() },
});

function own(status: number, headers = {}, text = 'No.'): Partial<FrontAnswer> {
  return {
    status,
    headers: { 'x-trans-id': 'tx1', 'content-type': 'text/html', ...headers },
    body: Buffer.from(`<html><h1>No</h1><p>${text}</p></html>`),
  };
}

/** A copy into a container of Swift by this login. */
function loggingIn(change: (world: World, t: TestContext) => Promise<Environment> | Environment): RowTest {
  return async (t, row) => {
    const world = await worldFor(t);
    const env = { ...world.options.env, ...(await change(world, t)) };
    const options = { env, secrets: [HIDDEN] };
    row.check(await copy(t, await treeUrl(t), world.url, options));
    for (const command of ['verify', 'plan']) {
      const args = [command, '--from', world.url, '--to', `file://${await tempFolderFor(t, 'to')}`];
      assert.equal((await blobferry(args, options)).code, 2);
    }
  };
}

/** A copy out of a container. */
async function copyOut(t: TestContext, { url, options }: World, more: CopyOptions['more'] = []) {
  const root = await tempFolderFor(t, 'copy');
  return { root, result: await copy(t, url, `file://${root}`, { ...options, more }) };
}

async function copiesTree(root: string, tree = TREE): Promise<void> {
  assert.equal((await readTree(root)).size, tree.objects.size);
}

errorTests(
  import.meta.filename,
  {
    'no container of Swift': section(...LOGIN, 'authurl: https://keystone.example:5000/v3'),
    'a container of Swift with a slash in it': section(
      ...LOGIN,
      'authurl: https://keystone.example:5000/v3',
      'container: registry/old',
    ),
    'an authurl that does not tell its version': section(
      ...LOGIN,
      'authurl: https://keystone.example:5000',
      'container: registry',
    ),
    'an authurl with a password in it': section(
      ...LOGIN,
      `authurl: https://user:${HIDDEN}@keystone.example:5000/v3`,
      'container: registry',
    ),
    'a Swift URL, and nobody to log in as': async (_, row) =>
      row.check(await blobferry(['probe', 'swift://registry'])),
    'a password that Swift refuses': loggingIn(() => ({ ST_KEY: HIDDEN })),
    'a container that Swift does not have': async (t, row) => {
      const { options } = await worldFor(t);
      row.check(await copy(t, await treeUrl(t), 'swift://not-there', options));
    },
    'a user who may not read a container of Swift': loggingIn(() => ({
      ST_USER: 'test:reader',
      ST_KEY: 'reading',
    })),
    'a user who may only read a container of Swift': async (t, row) => {
      const world = await worldFor(t);
      const headers = { 'x-container-read': 'test:reader,.rlistings' };
      assert.equal((await world.container.request('POST', '', { headers })).status, 204);
      const env = { ...world.options.env, ST_USER: 'test:reader', ST_KEY: 'reading' };
      row.check(await copy(t, await treeUrl(t), world.url, { env }));
      const probe = await blobferry(['probe', '--write', world.url], { env });
      assert.match(probe.stdout, /write \(X-Container-Write\) on the container/);
      await fill(world);
      const { root, result } = await copyOut(t, { ...world, options: { env, secrets: [] } });
      assert.equal(result.code, 0, result.stderr);
      await copiesTree(root);
    },
    'a token of Swift that ends on the way': async (t, row) => {
      const world = await worldFor(t);
      const real = new Map<string, string>();
      let writes = 0;
      world.front.rules = {
        before: ({ method, headers }) => {
          writes += method === 'PUT' ? 1 : 0;
          // From the third write on the first token is none any more.
          return writes >= 3 && headers['x-auth-token'] === `${HIDDEN}-1` ? own(401) : undefined;
        },
        onward: ({ headers }) => {
          const token = real.get(String(headers['x-auth-token']));
          return { headers: { ...headers, ...(token === undefined ? {} : { 'x-auth-token': token }) } };
        },
        after: ({ url }, answer) => {
          if (url.pathname !== '/auth/v1.0') return undefined;
          const token = `${HIDDEN}-${real.size + 1}`;
          real.set(token, String(answer.headers['x-auth-token']));
          return {
            ...answer,
            headers: { ...answer.headers, 'x-auth-token': token, 'x-storage-token': token },
          };
        },
      };
      const options = { ...world.options, secrets: [HIDDEN, 'AUTH_tk'] };
      row.check(await copy(t, await treeUrl(t), world.url, options));
      assert.ok(await holdsTree(world));
    },
    'a Swift that asks for fewer requests': async (t, row) => {
      for (const status of [429, 498, 413]) {
        const when: number[] = [];
        const before = (request: FrontRequest): Partial<FrontAnswer> | undefined => {
          if (request.method !== 'PUT' || !isObject(request)) return undefined;
          when.push(Date.now());
          return when.length === 1 ? own(status, { 'retry-after': '1' }) : undefined;
        };
        const world = await worldFor(t, { before });
        row.check(await copy(t, await treeUrl(t), world.url, world.options));
        assert.equal(when.length, TREE.objects.size + 1, `${status} is repeated once`);
        assert.ok(await holdsTree(world));
      }
    },
    'a Swift whose quota is used up': async (t, row) => {
      const before = (request: FrontRequest): Partial<FrontAnswer> | undefined =>
        request.method === 'PUT' ? own(413, {}, 'Upload exceeds quota.') : undefined;
      const { url, options } = await worldFor(t, { before });
      row.check(await copy(t, await treeUrl(t), url, options));
    },
    'an authurl that knows no such page': loggingIn(({ front }) => ({ ST_AUTH: `${front.origin}/nothing` })),
    'an authurl that answers with a page': loggingIn(async (_, t) => {
      const page = await Front.start();
      t.after(() => page.close());
      page.rules = { before: () => ({ body: Buffer.from('<html>Welcome</html>') }) };
      return { ST_AUTH: `${page.origin}/auth/v1.0` };
    }),
    'an authurl where nobody listens': loggingIn(() => ({ ST_AUTH: 'http://127.0.0.1:9/auth/v1.0' })),
    'an authurl that has no address': loggingIn(() => ({
      ST_AUTH: 'https://no-such-host.invalid/auth/v1.0',
    })),
    'an authurl whose certificate nobody vouches for': loggingIn(async (_, t) => ({
      ST_AUTH: `${await tlsFront(t, makeCertificate({ names: ['127.0.0.1'] }))}/auth/v1.0`,
    })),
    'an account of Swift that is a web page': async (t, row) => {
      const world = await worldFor(t);
      world.front.rules = {
        before: ({ url }) =>
          url.pathname === '/auth/v1.0' ? undefined : { status: 404, body: Buffer.from('<html>No</html>') },
      };
      row.check(await copy(t, await treeUrl(t), world.url, world.options));
    },
    'a listing of Swift that lacks what was written': async (t, row) => {
      const world = await worldFor(t);
      await fill(world);
      let hidden = 0;
      world.front.rules = listings((rows) => {
        const shown = rows.filter(({ name }) => !name?.includes('/_layers/'));
        hidden += rows.length - shown.length;
        return shown;
      });
      const args = ['verify', '--from', await treeUrl(t), '--to', world.url];
      row.check(await blobferry(args, world.options));
      assert.ok(hidden > 0);
    },
    'a listing of Swift that shows what was removed': async (t, row) => {
      const world = await worldFor(t);
      await fill(world);
      const path = `${FILES}docker/registry/v2/repositories/team/app/_layers/zzz/link`;
      const ghost = { name: path, bytes: 71, hash: '0'.repeat(32), content_type: 'x' };
      world.front.rules = listings((rows, { url }) => {
        const isThere = rows.some(({ name }) => name?.includes('/_layers/'));
        const marker = url.searchParams.get('marker') ?? '';
        const all = isThere && marker < path ? [...rows, ghost] : rows;
        return [...all].sort((left, right) => ((left.name ?? '') < (right.name ?? '') ? -1 : 1));
      });
      const { root, result } = await copyOut(t, world, ['--frozen']);
      row.check(result);
      // The tag of a repository that lacks a link stays behind with it.
      const tree = await readTree(root);
      assert.deepEqual([tree.size, tree.has(TREE.tag)], [TREE.objects.size - 1, false]);
      const live = await copyOut(t, world);
      assert.equal(live.result.code, 0, live.result.stderr);
    },
    'an object of Swift that one of its copies does not know yet': async (t, row) => {
      const world = await worldFor(t);
      await fill(world);
      let asked = 0;
      world.front.rules = {
        before: (request) => {
          const isBehind = isObject(request) && request.url.pathname.endsWith('/data');
          if (!isBehind || request.headers['x-newest'] === 'true') return undefined;
          asked += 1;
          return asked <= 2 ? own(404, {}, 'The resource could not be found.') : undefined;
        },
      };
      const { root, result } = await copyOut(t, world, ['--frozen']);
      row.check(result);
      await copiesTree(root);
      assert.ok(asked > 2);
    },
    'parts that a listing of Swift does not show yet': async (t, row) => {
      const world = await worldFor(t);
      await fill(world);
      const [path = ''] = TREE.blobs;
      const body = TREE.objects.get(path) ?? Buffer.alloc(0);
      await putInParts(world, path, [body.subarray(0, 100_000), body.subarray(100_000)]);
      let looks = 0;
      world.front.rules = listings((rows, { url }) => {
        if (!url.searchParams.get('prefix')?.startsWith('segments/')) return rows;
        looks += 1;
        return looks <= 2 ? [] : rows;
      });
      const { root, result } = await copyOut(t, world, ['--frozen']);
      row.check(result);
      await copiesTree(root);
      assert.ok(looks > 2);
    },
    'a layer in Swift that lacks a part': async (t, row) => {
      const world = await worldFor(t);
      await fill(world);
      const [path = ''] = TREE.blobs;
      const pieces = [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')];
      await putInParts(world, path, pieces);
      const middle = (await world.container.names()).filter((name) => name.endsWith('0002'))[0] ?? '';
      await world.container.request('DELETE', `/${middle}`);
      const { root, result } = await copyOut(t, world);
      row.check(result);
      assert.equal((await readTree(root)).has(path), false);
    },
    'a layer in Swift whose parts are all gone': async (t, row) => {
      const world = await worldFor(t);
      await fill(world);
      const [path = ''] = TREE.blobs;
      await putInParts(world, path, []);
      world.front.rules = { after: longAgo };
      const { root, result } = await copyOut(t, world, ['--frozen']);
      row.check(result);
      assert.equal((await readTree(root)).has(path), false);
    },
    'an upload of the registry that has no bytes, copied raw': async (t, row) => {
      const world = await worldFor(t);
      await fill(world);
      const upload = 'docker/registry/v2/repositories/team/app/_uploads/1/data';
      await putInParts(world, upload, []);
      world.front.rules = { after: longAgo };
      const { root, result } = await copyOut(t, world, ['--layout', 'raw']);
      row.check(result);
      const tree = await readTree(root);
      assert.equal(tree.get(upload)?.sizeBytes, 0);
      assert.equal(tree.size, TREE.objects.size + 1);
    },
    'parts that were written and are not listed yet': async (t, row) => {
      const tree = makeSmallTree({ seed: 'large', blobBytes: [11 * MIB, 71] });
      let looks = 0;
      const world = await worldFor(
        t,
        listings((rows, { url }) => {
          if (!url.searchParams.get('prefix')?.startsWith('segments/')) return rows;
          looks += 1;
          return looks <= 2 ? rows.slice(0, -1) : rows;
        }),
      );
      const more = ['--part-size', '5MiB'];
      row.check(await copy(t, await treeUrl(t, tree), world.url, { ...world.options, more }));
      assert.ok(looks > 2);
      assert.equal((await heldBy(world)).length, tree.objects.size);
    },
  },
  { skip: missingTools('swift') },
);
