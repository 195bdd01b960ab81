/** Where a registry lies in an Azure container, what is left out of it, what is archived, and what is written: over Azurite. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { openAzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import { AzureContainer } from '../support/azure-container.ts';
import {
  ACCOUNT,
  ACCOUNT_KEY,
  type Azurite,
  azuriteSpec,
  missingAzurite,
  startAzurite,
} from '../support/azurite.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder, type TempFolder, tempFolderFor } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const CTX = { signal: new AbortController().signal };
const TREE = makeSmallTree({ seed: 'azure-rules', blobBytes: [3_000, 500, 71] });
const MIB = 1024 ** 2;

describe('a registry in an Azure container', { skip: missingAzurite(), concurrency: 2 }, () => {
  let folder: TempFolder;
  let azurite: Azurite;

  before(async () => {
    folder = await makeTempFolder('azure-rules');
    azurite = await startAzurite({ directory: folder.path });
  });

  after(async () => {
    await azurite?.stop();
    await folder?.remove();
  });

  interface World {
    readonly container: AzureContainer;
    /** A new target folder, and its URL. */
    readonly target: string;
    readonly to: string;
    /** The container as settings with these parameters, and as a URL with this query. */
    readonly yaml: (...lines: readonly string[]) => Promise<string>;
    readonly url: (query?: string) => string;
    readonly run: (...args: readonly string[]) => Promise<CliResult>;
  }

  async function world(t: TestContext, ...prefixes: readonly string[]): Promise<World> {
    const container = await new AzureContainer(azurite, `rules-${randomUUID()}`).create();
    for (const prefix of prefixes) await fill(container, prefix);
    const own = await tempFolderFor(t, 'azure-rules');
    const target = join(own, 'target');
    let files = 0;
    return {
      container,
      target,
      to: `file://${target}`,
      yaml: async (...lines) => {
        files += 1;
        const file = join(own, `${files}.yml`);
        const section = [
          `accountname: ${ACCOUNT}`,
          `accountkey: ${ACCOUNT_KEY}`,
          `container: ${container.name}`,
          `serviceurl: ${azurite.endpoint}`,
          ...lines,
        ];
        await writeFile(file, `azure:\n${section.map((line) => `  ${line}\n`).join('')}`);
        return file;
      },
      url: (query = '') => `azure://${ACCOUNT}/${container.name}?endpoint=${azurite.endpoint}${query}`,
      run: (...args) =>
        runBlobferry(args, { env: { AZURE_STORAGE_KEY: ACCOUNT_KEY, XDG_STATE_HOME: join(own, 'state') } }),
    };
  }

  async function fill({ client }: AzureContainer, prefix: string): Promise<void> {
    for (const [path, bytes] of TREE.objects)
      await client.getBlockBlobClient(prefix + path).upload(bytes, bytes.length);
  }

  async function holdsTree(target: string): Promise<void> {
    assert.deepEqual([...(await readTree(target)).keys()].sort(), [...TREE.objects.keys()].sort());
  }

  it('of distribution 2 is told by probe from one of 3, with what to set, and then copied', async (t) => {
    const { container, target, to, yaml, url, run } = await world(t, '/');
    const probe = await run('probe', url(), '--json');
    assert.equal(probe.code, 2);
    const [report] = probe.events;
    assert.equal(report?.['keyRuleName'], 'distribution-3');
    assert.deepEqual(report?.['otherRegistries'], [
      {
        keyPrefix: '/',
        rule: 'distribution-2',
        settings: `keyrule: distribution-2; in a URL azure://${ACCOUNT}/${container.name}?keyrule=distribution-2`,
      },
    ]);
    for (const command of ['copy', 'plan', 'verify']) {
      const other = command === 'verify' ? `file://${folder.path}` : to;
      const refused = await run(command, '--from', url(), '--to', other);
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /Set keyrule: distribution-2; in a URL/);
    }
    assert.deepEqual(await readdir(target).catch(() => []), []);
    const right = await yaml('keyrule: distribution-2');
    const ok = await run('probe', right);
    assert.match(ok.stdout, /✓ keys +a registry is where keys are "\/" \+ .* \(keyrule: distribution-2\)/);
    const copied = await run('copy', '--from', right, '--to', to);
    assert.equal(copied.code, 0, copied.stderr);
    assert.match(
      copied.stderr,
      /^source: keys are "\/" \+ the registry's own path \(keyrule: distribution-2\); target: keys are ""/m,
    );
    await holdsTree(target);
    assert.equal((await run('verify', '--from', url('&keyrule=distribution-2'), '--to', to)).code, 0);
  });

  it('of distribution 3 is not empty for settings of 2, whatever the layout', async (t) => {
    const { target, to, yaml, run } = await world(t, '');
    const wrong = await yaml('keyrule: distribution-2');
    for (const command of ['copy', 'plan']) {
      const refused = await run(command, '--from', wrong, '--to', to, '--layout', 'raw');
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /a registry lies under "docker\/registry\/v2\/"$/m);
      assert.match(refused.stderr, /Set keyrule: distribution-3; in a URL/);
    }
    assert.deepEqual(await readdir(target).catch(() => []), []);
  });

  it('beside another one, under the other rule, is copied with a warning', async (t) => {
    const { target, to, yaml, run } = await world(t, '', '/');
    const settings = await yaml('keyrule: distribution-2');
    const probe = await run('probe', settings);
    assert.match(probe.stdout, /– keys +2 registries: the settings mean the one whose keys are "\/"/);
    const copied = await run('copy', '--from', settings, '--to', to);
    assert.equal(copied.code, 0, copied.stderr);
    assert.match(copied.stderr, /warning: source: .* holds another registry, under "docker\/registry\/v2\/"/);
    await holdsTree(target);
  });

  it('with two slashes in front is copied as plain', async (t) => {
    const { container, target, to, url, run } = await world(t, '//');
    const wrong = await run('copy', '--from', url(), '--to', to, '--layout', 'registry');
    assert.equal(wrong.code, 2, wrong.stderr);
    assert.match(
      wrong.stderr,
      /Set keyrule: plain and rootdirectory: "\/\/"; in a URL azure:\/\/.*\/\/\/\?keyrule=plain/,
    );
    const plain = url('&keyrule=plain').replace(container.name, `${container.name}///`);
    const copied = await run('copy', '--from', plain, '--to', to);
    assert.equal(copied.code, 0, copied.stderr);
    await holdsTree(target);
  });

  it('with archived blobs is refused by their listing before anything is written', async (t) => {
    const { container, target, to, url, run } = await world(t, '');
    const [blob = '', other = ''] = TREE.blobs;
    await container.client.getBlockBlobClient(blob).setAccessTier('Archive');
    await container.client.getBlockBlobClient(other).setAccessTier('Cool');
    for (const command of ['copy', 'plan']) {
      const refused = await run(command, '--from', url(), '--to', to);
      assert.equal(refused.code, 2, refused.stderr);
      assert.ok(
        refused.stderr.includes(`1 object is archived and must be restored first: "${blob}" (Archive)\n`),
      );
      assert.match(refused.stderr, /^ {2}Rehydrate them to the tier hot, cool or cold/m);
    }
    assert.deepEqual(await readdir(target).catch(() => []), []);
    assert.match((await run('probe', url())).stdout, /✗ tiers .*1 object is archived/);
    const empty = await world(t);
    assert.doesNotMatch((await empty.run('probe', empty.url())).stdout, /tiers/);
    await container.client.getBlockBlobClient(blob).setAccessTier('Hot');
    assert.equal((await run('copy', '--from', url(), '--to', to)).code, 0);
    await holdsTree(target);
  });

  it('leaves out marks of folders, unless it is copied raw', async (t) => {
    const { container, to, url, run } = await world(t, '');
    for (const key of ['docker/', 'docker/registry/v2/repositories/'])
      await container.client.getBlockBlobClient(key).upload('', 0);
    const copied = await run('copy', '--from', url(), '--to', to, '--json');
    const { summary } = copied;
    assert.deepEqual([summary?.['objectsLeftOut'], summary?.['objectsCopied']], [2, TREE.objects.size]);
    const raw = await run('plan', '--from', url(), '--to', `${to}-raw`, '--layout', 'raw', '--json');
    assert.equal(raw.summary?.['objectsLeftOut'], 0);
  });

  it('is written with the attributes of its settings, by each way of writing', async (t) => {
    const { container } = await world(t);
    const storage = { ...azuriteSpec(azurite, container.name), accessTier: 'Cool' };
    const driver = await openAzureDriver({ storage, engine: 'direct' });
    t.after(() => driver.close());
    await driver.write(CTX, 'whole', bodyOfBytes(Buffer.from('bytes')), {});
    const streamed = {
      sizeBytes: 3,
      async *open() {
        yield Buffer.from('abc');
      },
    };
    await driver.write(CTX, 'streamed', streamed, {});
    const upload = await driver.multipart.begin(CTX, 'parts');
    const part = { number: 1, offset: 0, body: bodyOfBytes(Buffer.alloc(MIB)) };
    const receipt = await driver.multipart.putPart(CTX, upload, part);
    await driver.multipart.complete(CTX, upload, [receipt], { sizeBytes: MIB });
    for (const key of ['whole', 'streamed', 'parts']) {
      const { contentType, accessTier, metadata, cacheControl } = await container.client
        .getBlobClient(key)
        .getProperties();
      assert.deepEqual(
        [key, contentType, accessTier, metadata, cacheControl],
        [key, 'application/octet-stream', 'Cool', {}, undefined],
      );
    }
  });
});
