import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tempFolderFor } from '../support/temp.ts';
import { checkTidiness, ownFiles, partsMissingInCi } from '../support/tidy-rules.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

async function plant(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await tempFolderFor(t, 'tidy');
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

/** Words that must not stand in this file either. */
const joined = (...parts: readonly string[]): string => parts.join('');

describe('house rules', () => {
  it('hold in this checkout', async () => {
    const files = await ownFiles(ROOT);
    for (const path of ['.ci/run', 'package.json', 'src/core/job.ts', 'test/unit/tidy.test.ts']) {
      assert.ok(files.includes(path), `${path} is not looked at`);
    }
    assert.deepEqual(await checkTidiness(ROOT), []);
  });

  it('refuse long files, less strictly for tests', async (t) => {
    const lines = (count: number): string => 'x\n'.repeat(count);
    const root = await plant(t, {
      'src/a.ts': lines(401),
      'src/b.ts': lines(400),
      'workers/c.ts': lines(401),
      'test/d.ts': lines(600),
      'bench/e.ts': lines(601),
      'docs/f.md': lines(2000),
    });
    assert.deepEqual(await checkTidiness(root), [
      'bench/e.ts has 601 lines; more than 600 are hard to follow',
      'src/a.ts has 401 lines; more than 400 are hard to follow',
      'workers/c.ts has 401 lines; more than 400 are hard to follow',
    ]);
  });

  it('refuse marks of unfinished work', async (t) => {
    const root = await plant(t, {
      'src/a.ts': `x\n// ${joined('TO', 'DO')}: later\n`,
      'docs/b.md': joined('FIX', 'ME'),
      'test/c.ts': "it.todo('is a word of the runner');",
    });
    const found = await checkTidiness(root);
    assert.equal(found.length, 2);
    assert.match(found[0] ?? '', /^docs\/b\.md:1: says that something is unfinished/);
    assert.match(found[1] ?? '', /^src\/a\.ts:2: /);
  });

  it('refuse paths that only one machine has', async (t) => {
    const bad = {
      'README.md': `see ${joined('..', '/shared')}/design.md`,
      'src/a.ts': `const a = '${joined('/wo', 'rk')}/main';`,
      'src/b.ts': `const b = "${joined('/ro', 'ot')}/.aws";`,
      '.ci/run': `cd ${joined('/ho', 'me')}/someone/blobferry`,
    };
    const found = await checkTidiness(await plant(t, bad));
    assert.deepEqual(
      found.map((problem) => problem.split(':')[0]),
      Object.keys(bad).sort(),
    );
  });

  it('allow paths that only look like those of one machine', async (t) => {
    const fine = [
      '/srv/registry',
      's3://bucket/root/docker/',
      `.${joined('/wo', 'rk')}/a`,
      `https://x.example${joined('/wo', 'rk')}/b`,
      '/homes/x/',
    ];
    assert.deepEqual(await checkTidiness(await plant(t, { 'docs/a.md': fine.join('\n') })), []);
  });
});

describe('.ci/run', () => {
  it('runs every part of "npm run check"', async () => {
    assert.deepEqual(await partsMissingInCi(ROOT), []);
  });

  it('is found out when a part is missing', async (t) => {
    const scripts = {
      check: 'npm run -s types && npm run -s dead && npm run -s test:unit',
      'test:unit': 'node test/run.ts unit',
    };
    const root = await plant(t, {
      'package.json': JSON.stringify({ scripts }),
      '.ci/run': 'npm run -s types\nnpm run -s dead:all\n',
    });
    assert.deepEqual(await partsMissingInCi(root), ['dead']);
  });
});
