import assert from 'node:assert/strict';
import { glob, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkImports } from '../support/import-rules.ts';
import { findImports } from '../support/source-imports.ts';
import { tempFolderFor } from '../support/temp.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A small checkout in which every import is right. */
const GOOD: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify({
    dependencies: { zod: '1', '@a/b': '1' },
    devDependencies: { undici: '1' },
  }),
  'src/core/digest.ts': "import { createHash } from 'node:crypto';\nexport const a = createHash;\n",
  'src/transport/pool.ts':
    "import net from 'node:net';\nimport { a } from '../core/digest.ts';\nexport { a, net };\n",
  'src/drivers/driver.ts': "export type { a } from '../core/digest.ts';\n",
  'src/drivers/wrap/retry.ts': "import type { a } from '../driver.ts';\nexport type B = typeof a;\n",
  'src/drivers/fs/fs-driver.ts':
    "import { b } from './walk.ts';\nimport '../wrap/retry.ts';\nexport { b };\n",
  'src/drivers/fs/walk.ts': 'export const b = 1;\n',
  'src/drivers/s3/s3-driver.ts': "import { c } from '@a/b/deep';\nexport { c };\n",
  'src/layout/raw.ts': "import '../drivers/driver.ts';\n",
  'src/copy/shard.ts': "import '../layout/raw.ts';\nimport '../drivers/wrap/retry.ts';\n",
  'src/verify/check.ts': "import '../layout/raw.ts';\n",
  'src/coordinator/pool.ts':
    "import '../copy/shard.ts';\nconst url = new URL('../../workers/copy.ts', import.meta.url);\nawait import(url.href);\n",
  'src/metrics/page.ts': "import '../coordinator/pool.ts';\n",
  'src/cli/main.ts': "import z from 'zod';\nimport '../metrics/page.ts';\nimport '../verify/check.ts';\nz;\n",
  'src/cli/composition.ts': "export const open = () => import('../drivers/fs/fs-driver.ts');\n",
  'workers/copy.ts': "import '../src/cli/composition.ts';\nimport '../src/copy/shard.ts';\n",
  'test/unit/a.test.ts':
    "import 'undici';\nimport '../../src/drivers/s3/s3-driver.ts';\nimport '../../bench/run.ts';\n",
  'bench/run.ts': "import '../src/cli/main.ts';\n",
};

/** Changes one file of the good checkout (or adds one) and says what the rules find. */
async function check(t: TestContext, changed: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const root = await tempFolderFor(t, 'imports');
  for (const [path, text] of Object.entries({ ...GOOD, ...changed })) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return checkImports(root);
}

/** Title, file, its text, and what is to be found in it. */
const VIOLATIONS: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'a lower tier that imports a higher one',
    'src/layout/x.ts',
    "import '../copy/shard.ts';",
    /:1: layout never imports copy/,
  ],
  [
    'a type-only import upwards',
    'src/core/x.ts',
    "import type { a } from '../drivers/driver.ts';",
    /core never imports drivers/,
  ],
  [
    'an export from a higher tier',
    'src/core/x.ts',
    "\nexport {\n  a,\n} from '../drivers/driver.ts';",
    /:4: core never imports drivers/,
  ],
  ['an import() upwards', 'src/copy/x.ts', "await import('../cli/main.ts');", /copy never imports cli/],
  ['verify that imports copy', 'src/verify/x.ts', "import '../copy/shard.ts';", /verify never imports copy/],
  ['copy that imports verify', 'src/copy/x.ts', "import '../verify/check.ts';", /copy never imports verify/],
  [
    'verify that imports coordinator',
    'src/verify/x.ts',
    "import '../coordinator/pool.ts';",
    /verify never imports coordinator/,
  ],
  [
    'a concrete driver in copy',
    'src/copy/x.ts',
    "import '../drivers/fs/fs-driver.ts';",
    /only workers\/ and src\/cli\/ know.*"fs"/,
  ],
  [
    'a concrete driver loaded late',
    'src/coordinator/x.ts',
    "import('../drivers/s3/s3-driver.ts');",
    /only workers.*"s3"/,
  ],
  ['a driver that imports another', 'src/drivers/s3/x.ts', "import '../fs/walk.ts';", /only workers.*"fs"/],
  ['the port that imports a driver', 'src/drivers/x.ts', "import './fs/walk.ts';", /only workers.*"fs"/],
  ['core with a package', 'src/core/x.ts', "import 'zod';", /core is pure and does not import "zod"/],
  [
    'core with the file system',
    'src/core/x.ts',
    "import 'node:fs';",
    /core is pure and does not import "node:fs"/,
  ],
  [
    'sources that import tests',
    'src/cli/x.ts',
    "import '../../test/unit/a.test.ts';",
    /src never imports test/,
  ],
  [
    'workers that import the bench',
    'workers/x.ts',
    "import '../bench/run.ts';",
    /workers never imports bench/,
  ],
  [
    'a bench that imports a test',
    'bench/x.ts',
    "import '../test/unit/a.test.ts';",
    /bench never imports test/,
  ],
  [
    'sources that import a worker',
    'src/coordinator/x.ts',
    "import '../../workers/copy.ts';",
    /src never imports workers/,
  ],
  [
    'a worker that imports control',
    'workers/x.ts',
    "import '../src/coordinator/pool.ts';",
    /a worker moves bytes/,
  ],
  [
    'a worker that imports the command line',
    'workers/x.ts',
    "import '../src/cli/main.ts';",
    /a worker moves bytes/,
  ],
  ['a relative import without .ts', 'src/cli/x.ts', "import './main';", /"\.\/main" does not end in \.ts/],
  ['a relative import that ends in .js', 'test/x.ts', "import '../src/cli/main.js';", /does not end in \.ts/],
  [
    'an import of a file that is not there',
    'bench/x.ts',
    "import './gone.ts';",
    /bench\/gone\.ts does not exist/,
  ],
  [
    'a worker URL that leads nowhere',
    'src/copy/x.ts',
    "new URL('./w.ts', import.meta.url);",
    /src\/copy\/w\.ts does not exist/,
  ],
  ['a package nobody installs', 'test/x.ts', "import 'left-pad';", /"left-pad" is not in package\.json/],
  ['a devDependency in the sources', 'src/transport/x.ts', "import 'undici';", /"undici" is a devDependency/],
  ['a module of Node without its prefix', 'src/copy/x.ts', "import 'fs';", /"fs" is written "node:fs"/],
  ['an absolute import', 'src/copy/x.ts', "import '/srv/x.ts';", /absolute path/],
  ['an import() that cannot be checked', 'src/copy/x.ts', 'await import(name);', /computed name/],
  ['a folder that is in no tier', 'src/helpers/x.ts', "import '../core/digest.ts';", /in no tier/],
  [
    'a circle of two',
    'src/drivers/fs/walk.ts',
    "import './fs-driver.ts';",
    /circle: src\/drivers\/fs\/fs-driver\.ts -> .*walk\.ts -> .*fs-driver\.ts/,
  ],
  ['a file that imports itself', 'test/x.ts', "import './x.ts';", /circle: test\/x\.ts -> test\/x\.ts/],
];

describe('imports', () => {
  it('go one way in this checkout', async () => {
    assert.deepEqual(await checkImports(ROOT), []);
  });

  it('go one way in the example that the cases below break', async (t) => {
    assert.deepEqual(await check(t, {}), []);
  });

  for (const [title, path, text, expected] of VIOLATIONS) {
    it(`are refused for ${title}`, async (t) => {
      const found = await check(t, { [path]: text });
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', expected);
    });
  }

  it('are found in a longer circle, once', async (t) => {
    const found = await check(t, {
      'src/copy/a.ts': "import './b.ts';",
      'src/copy/b.ts': "import type { C } from './c.ts';",
      'src/copy/c.ts': "import './a.ts';",
    });
    assert.deepEqual(found, [
      'imports go in a circle: src/copy/a.ts -> src/copy/b.ts -> src/copy/c.ts -> src/copy/a.ts',
    ]);
  });
});

describe('findImports()', () => {
  it('sees no import in comments, strings, templates and regular expressions', () => {
    const source = [
      "// import './a.ts';",
      "/* \nimport './b.ts';\n */",
      'const c = "import \'./c.ts\'";',
      'const d = \'await import("./d.ts")\';',
      "const e = `\nimport './e.ts';\n`;",
      'const f = /[\'"`]/;',
      "import './g.ts';",
      "const h = text.replace(/`/g, '');",
      "import './i.ts';",
      "const j = a / b; import './j.ts';",
    ].join('\n');
    assert.deepEqual(
      findImports(source).map(({ specifier }) => specifier),
      ['./g.ts', './i.ts', './j.ts'],
    );
  });

  it('finds in every file of this checkout what its formatted lines say', async () => {
    let files = 0;
    for await (const path of glob('{src,workers}/**/*.ts', { cwd: ROOT })) {
      const source = await readFile(join(ROOT, path), 'utf8');
      const lines = source.matchAll(/^(?:import |export |\}).*?(?:from )?'([^']+)';$/gm);
      const expected = [...lines].flatMap(([line, name]) => (/^import '| from '/.test(line) ? [name] : []));
      const found = findImports(source).filter(({ kind }) => kind === 'static');
      assert.deepEqual(
        found.map(({ specifier }) => specifier),
        expected,
        path,
      );
      files += 1;
    }
    assert.ok(files > 0);
  });
});
