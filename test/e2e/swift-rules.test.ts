/** A container of Swift that holds a registry without the driver's `files/`, and what is written to one: over a real Swift. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runBlobferry } from '../support/cli.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { type Swift, startSwift } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, type TempFolder, tempFolderFor } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

const MIB = 1024 ** 2;
/** One blob of several parts. */
const TREE = makeSmallTree({ seed: 'swift-rules', blobBytes: [12 * MIB, 3_000, 71] });
const TYPE = 'application/octet-stream';

describe('a registry in a Swift container', { skip: missingTools('swift') }, () => {
  let folder: TempFolder;
  let swift: Swift;
  let source: string;

  before(async () => {
    folder = await makeTempFolder('swift-rules');
    source = join(folder.path, 'source');
    await writeSmallTree(source, TREE);
    swift = await startSwift({ directory: join(folder.path, 'swift') });
  });

  after(async () => {
    await swift?.stop();
    await folder?.remove();
  });

  async function world(t: TestContext) {
    const container = await new SwiftContainer(swift, `rules-${randomUUID()}`).create();
    const own = await tempFolderFor(t, 'swift-rules');
    const env = { ST_AUTH: swift.authUrl, ST_USER: swift.user, ST_KEY: swift.password };
    return {
      container,
      target: join(own, 'target'),
      url: (prefix = '', query = '') => `swift://${container.name}${prefix}${query}`,
      run: (...args: readonly string[]) =>
        runBlobferry(args, { env: { ...env, XDG_STATE_HOME: join(own, 'state') } }),
    };
  }

  it('is listed whole by the server of these tests, however long its container takes to hear of an object', async (t) => {
    const { container } = await world(t);
    await container.put('first', Buffer.from('the proxy knows the container from now on'));
    process.kill(swift.containerPid, 'SIGSTOP');
    let putting: Promise<void>;
    try {
      putting = container.put('late', Buffer.from('x'));
      // By itself an object server waits for one second, and then leaves it to a daemon.
      const first = await Promise.race([putting.then(() => 'put'), delay(3_000, 'waits')]);
      assert.equal(first, 'waits');
    } finally {
      process.kill(swift.containerPid, 'SIGCONT');
    }
    await putting;
    assert.deepEqual(await container.names(), ['first', 'late']);
  });

  it('without files/ is found, refused with what to set, and copied under the plain rule', async (t) => {
    const { container, target, url, run } = await world(t);
    for (const [path, body] of TREE.objects) {
      const headers = { 'content-type': 'text/plain', 'x-object-meta-a': 'b' };
      await container.request('PUT', `/old/${encodeURI(path)}`, { body, headers });
    }
    const to = `file://${target}`;
    for (const more of [[], ['--layout', 'raw']]) {
      const refused = await run('copy', '--from', url('/old'), '--to', to, ...more);
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /a registry lies under "old\/docker\/registry\/v2\/"$/m);
      assert.match(refused.stderr, /^ {2}Set keyrule: plain; in a URL swift:\/\/.*\/old\?keyrule=plain$/m);
      assert.deepEqual(await readdir(target).catch(() => []), []);
    }
    const probe = await run('probe', url('/old', '?keyrule=plain'), '--json');
    assert.equal(probe.code, 0, probe.stderr);
    assert.deepEqual([probe.events[0]?.['keyRuleName'], probe.events[0]?.['keyPrefix']], ['plain', 'old/']);
    const copied = await run('copy', '--from', url('/old', '?keyrule=plain'), '--to', to);
    assert.equal(copied.code, 0, copied.stderr);
    assert.deepEqual([...(await readTree(target)).keys()].sort(), [...TREE.objects.keys()].sort());
  });

  it('is written without files/ under the plain rule: its segments beside it, and never taken for content', async (t) => {
    const { container, target, url, run } = await world(t);
    const to = url('/new', '?keyrule=plain');
    const copied = await run('copy', '--from', `file://${source}`, '--to', to, '--part-size', '5MiB');
    assert.equal(copied.code, 0, copied.stderr);
    assert.match(copied.stderr, /target: keys are "new\/" \+ the registry's own path \(keyrule: plain\)/);
    const names = await container.names();
    const segments = names.filter((name) => name.startsWith('new/segments/'));
    assert.equal(segments.length, 3);
    const others = names.filter((name) => !segments.includes(name)).map((name) => name.slice('new/'.length));
    assert.deepEqual(others.sort(), [...TREE.objects.keys()].sort());
    // Every way of writing: one PUT, the parts, and the manifest of what is made of them.
    for (const name of names) {
      const { headers } = await container.request('HEAD', `/${encodeURI(name)}`);
      const meta = [...headers.keys()].filter((one) => one.startsWith('x-object-meta-'));
      assert.deepEqual([name, headers.get('content-type'), meta], [name, TYPE, []]);
    }
    const back = await run('copy', '--from', to, '--to', `file://${target}`, '--json');
    assert.deepEqual(
      [back.code, back.summary?.['objectsCopied'], back.summary?.['objectsLeftOut']],
      [0, TREE.objects.size, 0],
      back.stderr,
    );
    assert.equal((await run('verify', '--from', `file://${source}`, '--to', to, '--deep')).code, 0);
  });
});
