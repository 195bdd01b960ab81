/** Blobs that Azure fetches by itself, through the command: from S3, from another account, and what comes in between. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import type { CopySummary } from '../../src/core/job.ts';
import { openAzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { openS3Driver } from '../../src/drivers/s3/s3-driver.ts';
import type { AzureSpec } from '../../src/drivers/spec.ts';
import type { PlanSummary } from '../../src/plan/summary.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { type AzureCopyFake, startAzureCopyFake } from '../support/azure-copy-fake.ts';
import {
  type Azurite,
  azureYaml,
  azuriteSpec,
  missingAzurite,
  otherSpec,
  startAzurite,
} from '../support/azurite.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { fillStore } from '../support/object-store.ts';
import { bucketUrl, fill, KEYS } from '../support/outage-world.ts';
import { proofsOf } from '../support/service-world.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder, type TempFolder, tempFolderFor } from '../support/temp.ts';

const MIB = 1024 ** 2;
const CTX = { signal: new AbortController().signal };
/** Two that are larger than a part of 1 MiB. */
const TREE = makeSmallTree({ seed: 'azure copies', blobBytes: [5 * MIB, 3 * MIB, 300_000, 71] });
const LARGE = TREE.blobs.slice(0, 2);
const LARGE_BYTES = 8 * MIB;

describe('blobs that the service of the target fetches by itself', { skip: missingAzurite() }, () => {
  let folder: TempFolder;
  let azurite: Azurite;
  let fake: AzureCopyFake;
  let s3: S3Server;

  before(async () => {
    folder = await makeTempFolder('azurite');
    azurite = await startAzurite({ directory: folder.path });
    s3 = await startS3Server({ buckets: ['source'] });
    await fill(s3, 'source', TREE);
    fake = await startAzureCopyFake(azurite);
  });

  afterEach(async () => {
    await fake.close();
    fake = await startAzureCopyFake(azurite);
  });

  after(async () => {
    await fake?.close();
    await s3?.close();
    await azurite?.stop();
    await folder?.remove();
  });

  interface World {
    readonly container: AzureContainer;
    readonly journal: string;
    readonly places: readonly string[];
  }

  /** @param through where the target is spoken to. */
  async function world(
    t: TestContext,
    from: string | AzureSpec = bucketUrl('source', s3.endpoint),
    through: Pick<Azurite, 'endpoint'> = fake,
  ): Promise<World> {
    const container = await new AzureContainer(azurite, `copies-${randomUUID()}`).create();
    const settings = await tempFolderFor(t, 'settings');
    const file = async (spec: AzureSpec, name: string): Promise<string> => {
      await writeFile(join(settings, name), azureYaml(spec));
      return join(settings, name);
    };
    const source = typeof from === 'string' ? from : await file(from, 'from.yml');
    const target = await file(azuriteSpec(through, container.name), 'to.yml');
    const places = ['--from', source, '--to', target];
    return { container, journal: await tempFolderFor(t, 'journal'), places };
  }

  function run({ places, journal }: World, ...more: readonly string[]): Promise<CliResult> {
    const sizes = ['--part-size', '1MiB', '--memory', '1GiB', '--threads', '2'];
    return runBlobferry(['copy', '--json', ...places, '--journal', journal, ...sizes, ...more], {
      env: KEYS,
    });
  }

  async function copied(one: World, ...more: readonly string[]): Promise<CopySummary> {
    const result = await run(one, ...more);
    assert.equal(result.code, 0, result.stderr);
    assertNoSecrets(result);
    return result.summary as unknown as CopySummary;
  }

  /** Signatures of addresses are in no output. */
  function assertNoSecrets({ stdout, stderr }: CliResult): void {
    for (const { source } of fake.copies) {
      const { searchParams } = new URL(source);
      const signature = searchParams.get('X-Amz-Signature') ?? searchParams.get('sig') ?? '';
      assert.notEqual(signature, '');
      for (const form of [signature, encodeURIComponent(signature)])
        assert.ok(!(stdout + stderr).includes(form), 'a signature is in the output');
    }
  }

  function assertFetched(summary: CopySummary): void {
    assert.equal(summary.serverSide.way, 'read-back');
    assert.deepEqual([summary.objectsServerSide, summary.bytesServerSide], [2, LARGE_BYTES]);
    assert.equal(proofsOf(summary).readBack, 2);
  }

  it('come from S3 by an address, and are read back', async (t) => {
    const one = await world(t);
    const plan = await runBlobferry(
      ['plan', '--json', ...one.places, '--part-size', '1MiB', '--memory', '1GiB'],
      { env: KEYS },
    );
    assert.equal(plan.code, 0, plan.stderr);
    const planned = plan.summary as unknown as PlanSummary;
    assert.deepEqual([planned.serverSide.way, planned.objectsServerSide], ['read-back', 2]);
    const summary = await copied(one);
    assertFetched(summary);
    await one.container.assertHolds(TREE.objects);
    assert.ok(fake.bytesSent < MIB, `${fake.bytesSent} bytes were sent from here`);
    // The trial, and the two.
    assert.deepEqual(
      fake.copies.map(({ kind, status }) => [kind, status]),
      [
        ['blob', 201],
        ['blob', 201],
        ['blob', 201],
      ],
    );
    const { contentType } = await one.container.client.getBlobClient(LARGE[0] ?? '').getProperties();
    assert.equal(contentType, 'application/octet-stream');
    assert.equal((await copied(one)).objectsCopied, 0);
  });

  it('come from another account by a signature for one blob each', async (t) => {
    const from = otherSpec(azurite, `from-${randomUUID()}`);
    const source = await new AzureContainer(azurite, from.container, azurite.other).create();
    await fillStore(source, TREE.objects);
    const one = await world(t, from);
    assertFetched(await copied(one));
    await one.container.assertHolds(TREE.objects);
    assert.ok(fake.copies.every(({ source }) => new URL(source).searchParams.get('sr') === 'b'));
  });

  it('come in blocks where the service knows no other way: Azurite, from one account to the other', async (t) => {
    const from = otherSpec(azurite, `from-${randomUUID()}`);
    const source = await new AzureContainer(azurite, from.container, azurite.other).create();
    await fillStore(source, TREE.objects);
    const one = await world(t, from, azurite);
    assertFetched(await copied(one));
    await one.container.assertHolds(TREE.objects);
  });

  it('are streamed where it does not come to the source, which is said once', async (t) => {
    const one = await world(t);
    fake.reaches = () => false;
    const summary = await copied(one);
    assert.deepEqual([summary.serverSide.way, summary.objectsServerSide], ['none', 0]);
    const said = summary.warnings.filter((warning) => warning.includes('pass through this machine'));
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /does not fetch from the source.*CannotVerifyCopySource/);
    await one.container.assertHolds(TREE.objects);
  });

  it('are streamed one by one where it comes to some only, and then it is asked no more', async (t) => {
    const many = makeSmallTree({ seed: 'many', blobBytes: Array.from({ length: 24 }, () => MIB + 5_000) });
    const from = otherSpec(azurite, `from-${randomUUID()}`);
    const source = await new AzureContainer(azurite, from.container, azurite.other).create();
    await fillStore(source, many.objects);
    const one = await world(t, from);
    // The trial alone.
    fake.reaches = () => fake.copies.length === 0;
    const summary = await copied(one);
    assert.equal(summary.objectsServerSide, 0);
    const said = summary.warnings.filter((warning) => warning.includes('refused to copy by itself'));
    assert.equal(said.length, 1, summary.warnings.join('\n'));
    // Those of both threads that were under way when it was found out.
    assert.ok(fake.copies.length < 24, `${fake.copies.length} were tried`);
    await one.container.assertHolds(many.objects);
  });

  it('are found wrong by reading them back, and streamed', async (t) => {
    const one = await world(t);
    fake.alter = (name, bytes) => {
      if (name === LARGE[0]) bytes[12_345] = (bytes[12_345] ?? 0) ^ 4;
      return bytes;
    };
    const summary = await copied(one);
    assert.deepEqual([summary.serverCopiesWrong, summary.objectsServerSide], [1, 1]);
    await one.container.assertHolds(TREE.objects);
  });

  it('are streamed where another version of them is there, or is taken to be', async (t) => {
    const one = await world(t);
    fake.condition = (given) => (fake.copies.length === 0 ? given : '"another"');
    const summary = await copied(one);
    assert.deepEqual([summary.serverSide.way, summary.objectsServerSide], ['read-back', 0]);
    assert.deepEqual(
      fake.copies.map(({ status }) => status),
      [201, 412, 412],
    );
    await one.container.assertHolds(TREE.objects);
  });

  it('are not fetched with --server-side never, nor by the SDK', async (t) => {
    const one = await world(t);
    assert.equal((await copied(one, '--server-side', 'never')).serverSide.way, 'none');
    const other = await world(t);
    assert.match((await copied(other, '--engine', 'sdk')).serverSide.why, /SDK/);
    assert.deepEqual(fake.copies, []);
    await other.container.assertHolds(TREE.objects);
  });

  it('that a killed run had not read back are found by their marks', async (t) => {
    const one = await world(t);
    const [wrong = ''] = LARGE;
    fake.alter = (name, bytes) => (name === wrong ? Buffer.alloc(bytes.length) : bytes);
    fake.hold = ({ method, name }) => {
      if (method !== 'GET' || name !== wrong) return undefined;
      return (async () => {
        const [, pid] = /process (\d+)/.exec(await readFile(join(one.journal, 'holder'), 'utf8')) ?? [];
        process.kill(Number(pid), 'SIGKILL');
        await new Promise(() => undefined);
      })();
    };
    const killed = await run(one);
    assert.equal(killed.code, null, killed.stderr);
    assert.equal((await one.container.get(wrong)).length, 5 * MIB, 'the wrong copy is there');
    fake.alter = (_, bytes) => bytes;
    fake.hold = () => undefined;
    await copied(one);
    await one.container.assertHolds(TREE.objects);
    const { objectsCopied, uploadsOpen } = await copied(one);
    assert.deepEqual([objectsCopied, uploadsOpen], [0, 0]);
  });

  it('are of the version that was looked at, or none', async (t) => {
    const { container } = await world(t);
    const storage = {
      kind: 's3',
      bucket: 'source',
      rootDirectory: '',
      region: 'us-east-1',
      endpoint: s3.endpoint,
      isPathStyle: true,
      skipsTlsVerify: false,
      credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
      encrypt: false,
    } as const;
    const source = await openS3Driver({ storage, engine: 'direct' });
    const target = await openAzureDriver({ storage: azuriteSpec(fake, container.name), engine: 'direct' });
    t.after(() => Promise.all([source.close(), target.close()]));
    const key = LARGE[1] ?? '';
    const object = await source.stat(CTX, key);
    const { addresses } = source;
    const { sizeBytes, version = '' } = object;
    const other = { key, sizeBytes, version: '"0123"', addresses };
    await assert.rejects(target.serverCopy.copy(CTX, other, 'to'), { kind: 'precondition' });
    const upload = await target.serverCopy.begin(CTX, 'to');
    const first = { number: 1, offset: 0, sizeBytes: MIB };
    await assert.rejects(target.serverCopy.copyPart(CTX, upload, other, first), { kind: 'precondition' });
    // The same with the right one, in two blocks.
    const right = { ...other, version };
    const rest = { number: 2, offset: MIB, sizeBytes: sizeBytes - MIB };
    const parts = [
      await target.serverCopy.copyPart(CTX, upload, right, first),
      await target.serverCopy.copyPart(CTX, upload, right, rest),
    ];
    assert.deepEqual(await container.names(), [`blobferry-uploads/${upload.id}`]);
    await target.serverCopy.complete(CTX, upload, parts, { sizeBytes });
    assert.ok(TREE.objects.get(key)?.equals(await container.get('to')));
    const gone = { ...right, key: 'gone' };
    await assert.rejects(target.serverCopy.copy(CTX, gone, 'new'), (error: Error) => {
      assert.match(error.message, /CannotVerifyCopySource/);
      // The fake repeats the address, as whoever stands in front of a service may.
      assert.doesNotMatch(error.message, /[0-9a-f]{64}/);
      return true;
    });
    assert.deepEqual(await container.names(), ['to']);
  });
});
