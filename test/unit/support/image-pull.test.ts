import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { checkPulled } from '../../support/image-pull.ts';
import { sha256Hex } from '../../support/seeded.ts';
import { tempFolderFor } from '../../support/temp.ts';

const LAYER = 'a layer';
const CONFIG = 'a configuration';
const MANIFEST = JSON.stringify({
  config: { digest: `sha256:${sha256Hex(CONFIG)}` },
  layers: [{ digest: `sha256:${sha256Hex(LAYER)}` }],
});
const INDEX = JSON.stringify({ manifests: [{ digest: `sha256:${sha256Hex(MANIFEST)}` }] });
const CHILD = `${sha256Hex(MANIFEST)}.manifest.json`;

/** An image of one platform behind an index, as skopeo writes it to a folder. */
async function pulled(
  t: TestContext,
): Promise<{ folder: string; problems: () => Promise<readonly string[]> }> {
  const folder = await tempFolderFor(t, 'pulled');
  const files = {
    version: 'Directory Transport Version: 1.1\n',
    'manifest.json': INDEX,
    [CHILD]: MANIFEST,
    [sha256Hex(CONFIG)]: CONFIG,
    [sha256Hex(LAYER)]: LAYER,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const problems = async (): Promise<readonly string[]> =>
    (await checkPulled(folder, `sha256:${sha256Hex(INDEX)}`)).problems;
  return { folder, problems };
}

describe('checkPulled()', () => {
  it('has nothing to say about an image that is whole', async (t) => {
    const { problems } = await pulled(t);
    assert.deepEqual(await problems(), []);
  });

  for (const [what, name] of [
    ['a layer', sha256Hex(LAYER)],
    ['a configuration', sha256Hex(CONFIG)],
  ] as const) {
    it(`finds ${what} with other bytes`, async (t) => {
      const { folder, problems } = await pulled(t);
      await writeFile(join(folder, name), 'other bytes');
      const found = await problems();
      assert.match(found[0] ?? '', new RegExp(`^${name} hashes to`));
      assert.match(found[1] ?? '', new RegExp(`^${name} is missing or damaged`));
    });

    it(`finds that ${what} is missing`, async (t) => {
      const { folder, problems } = await pulled(t);
      await rm(join(folder, name));
      assert.deepEqual(await problems(), [`${name} is missing or damaged`]);
    });
  }

  it('finds another image than the one asked for', async (t) => {
    const { folder } = await pulled(t);
    const { problems } = await checkPulled(folder, `sha256:${sha256Hex(MANIFEST)}`);
    assert.match(problems[0] ?? '', /^manifest\.json hashes to/);
  });

  it('finds a platform with other bytes', async (t) => {
    const { folder, problems } = await pulled(t);
    await writeFile(join(folder, CHILD), JSON.stringify({ layers: [] }));
    assert.match((await problems())[0] ?? '', /manifest\.json hashes to/);
  });
});
