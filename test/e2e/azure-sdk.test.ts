/** `--engine sdk` for Azure, through the command; and what it says where there is no such engine. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ContainerSASPermissions } from '@azure/storage-blob';
import { openDriverTelling } from '../../src/cli/composition.ts';
import type { CopySummary } from '../../src/core/job.ts';
import type { AzureSpec } from '../../src/drivers/spec.ts';
import { AzureContainer } from '../support/azure-container.ts';
import { type Azurite, azureYaml, azuriteSpec, missingAzurite, startAzurite } from '../support/azurite.ts';
import { runBlobferry } from '../support/cli.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder, type TempFolder, tempFolderFor } from '../support/temp.ts';

const MIB = 1024 ** 2;
const TREE = makeSmallTree({ seed: 'azure sdk', blobBytes: [9 * MIB, 300_000, 71] });
const SAS_LIFE_MS = 3_600_000;

describe('blobferry copy --engine sdk with Azure', { skip: missingAzurite() }, () => {
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

  async function copy(t: TestContext, from: string, to: string, more: readonly string[] = []) {
    const journal = await tempFolderFor(t, 'journal');
    const places = ['--from', from, '--to', to, '--journal', journal];
    const result = await runBlobferry(['copy', '--json', '--engine', 'sdk', ...places, ...more]);
    assert.equal(result.code, 0, result.stderr);
    return { result, summary: result.summary as unknown as CopySummary };
  }

  it('brings a tree to Azure and back, by a key and by a signature', async (t) => {
    const container = await new AzureContainer(azurite, `sdk-${randomUUID()}`).create();
    const places = await tempFolderFor(t, 'places');
    const spec: AzureSpec = { ...azuriteSpec(azurite, container.name), accessTier: 'Cool' };
    await writeSmallTree(join(places, 'source'), TREE);
    const file = join(places, 'azure.yml');
    await writeFile(file, `${azureYaml(spec)}  accesstier: cool\n`);
    const { summary } = await copy(t, `file://${join(places, 'source')}`, file);
    assert.deepEqual([summary.engine, summary.objectsCopied], ['sdk', TREE.objects.size]);
    assert.match(summary.binding, / a wrong Content-MD5/);
    await container.assertHolds(TREE.objects);
    const { contentType, accessTier } = await container.client
      .getBlobClient(TREE.blobs[0] ?? '')
      .getProperties();
    assert.deepEqual([contentType, accessTier], ['application/octet-stream', 'Cool']);

    const url = await container.client.generateSasUrl({
      permissions: ContainerSASPermissions.parse('rl'),
      expiresOn: new Date(Date.now() + SAS_LIFE_MS),
    });
    const token = new URL(url).search.slice(1);
    const signature = new URLSearchParams(token).get('sig') ?? '';
    await writeFile(file, azureYaml({ ...spec, access: { type: 'sas', token } }));
    const { result } = await copy(t, file, `file://${join(places, 'target')}`);
    for (const [path, bytes] of TREE.objects)
      assert.ok(bytes.equals(await readFile(join(places, 'target', path))), path);
    for (const form of [signature, encodeURIComponent(signature)])
      assert.ok(!(result.stdout + result.stderr).includes(form), 'the signature is in the output');
  });

  it('finds uploads that another engine left open', async (t) => {
    const container = await new AzureContainer(azurite, `sdk-${randomUUID()}`).create();
    const places = await tempFolderFor(t, 'places');
    const spec = azuriteSpec(azurite, container.name);
    await writeSmallTree(join(places, 'source'), TREE);
    await writeFile(join(places, 'azure.yml'), azureYaml(spec));
    const driver = await openDriverTelling(() => undefined)({ storage: spec, engine: 'direct' }, 'target');
    t.after(() => driver.close());
    await driver.multipart?.begin({ signal: t.signal }, TREE.blobs[0] ?? '');
    const { summary } = await copy(t, `file://${join(places, 'source')}`, join(places, 'azure.yml'), [
      '--into-nonempty',
    ]);
    assert.equal(summary.uploadsOpen, 1);
  });
});

describe('--engine sdk', () => {
  it('is said to be lacking on one side, where the other has it', async (t) => {
    const told: string[] = [];
    const open = openDriverTelling((sentence, side) => told.push(`${side}: ${sentence}`));
    const storage = {
      kind: 'gcs',
      bucket: 'bucket',
      rootDirectory: '',
      endpoint: 'https://127.0.0.1:9',
      access: { kind: 'default' },
      skipsTlsVerify: false,
    } as const;
    for (const engine of ['direct', 'sdk', 'sdk'] as const) {
      const driver = await open({ storage, engine }, 'target');
      t.after(() => driver.close());
    }
    assert.deepEqual(told, ['target: Cloud Storage has no SDK engine; the direct one moves its bytes']);
  });
});
