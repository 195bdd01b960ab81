import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseErrorTable, patternOf, readErrorTable, testNamesIn } from '../support/error-table.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

async function testFiles(): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const file of glob('test/e2e/errors-*.test.ts', { cwd: ROOT })) files.push(file);
  return files.sort();
}

describe('docs/errors.md', () => {
  it('has a row for every test of errors and a test for every row', async () => {
    const rows = await readErrorTable();
    const files = await testFiles();
    assert.deepEqual([...new Set(rows.map(({ file }) => file))].sort(), files);
    for (const file of files) {
      const names = testNamesIn(await readFile(`${ROOT}${file}`, 'utf8'));
      const expected = rows.filter((row) => row.file === file).map(({ name }) => name);
      assert.deepEqual([...names].sort(), expected.sort(), file);
    }
    assert.ok(rows.length > 100);
  });

  it('says every error once', async () => {
    const names = (await readErrorTable()).map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
  });

  it('knows no exit codes but those of docs/exit-codes.md', async () => {
    const text = await readFile(`${ROOT}docs/exit-codes.md`, 'utf8');
    const known = new Set([...text.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code)));
    for (const { name, exit } of await readErrorTable()) assert.ok(known.has(exit), name);
  });
});

const HEAD =
  'Tests: `test/e2e/errors-x.test.ts`\n\n| what is wrong | what is printed | exit | what to do |\n| --- | --- | --- | --- |\n';

describe('parseErrorTable()', () => {
  it('takes code for what is printed, in a remedy only where the whole cell is code', () => {
    const rows = parseErrorTable(
      `${HEAD}| a | \`x …\` \`y\` | 2 | \`do it\` |\n| b | \`z\` | 1 | set \`c\` |\n`,
    );
    assert.deepEqual(rows, [
      { file: 'test/e2e/errors-x.test.ts', name: 'a', printed: ['x …', 'y', 'do it'], exit: 2 },
      { file: 'test/e2e/errors-x.test.ts', name: 'b', printed: ['z'], exit: 1 },
    ]);
  });

  it('refuses rows that say nothing', () => {
    for (const row of [
      '| a | `x` | two | b |',
      '| a | `x` | 2 |',
      '| a | x | 2 | b |',
      '| `a` | `x` | 2 | b |',
    ]) {
      assert.throws(() => parseErrorTable(`${HEAD}${row}\n`), /docs\/errors\.md/, row);
    }
  });

  it('leaves tables of other sections alone', () => {
    assert.deepEqual(parseErrorTable(`${HEAD}\n## Next\n\n| not | a row |\n`), []);
  });
});

describe('patternOf()', () => {
  it('finds the text within one line, with anything for each dot of omission', () => {
    const pattern = patternOf('Cannot read "…" in s3://b (…): why?');
    assert.match('x\nCannot read "a/b" in s3://b (403): why? indeed\n', pattern);
    assert.doesNotMatch('Cannot read "a/b" in s3://b (403): wh', pattern);
    assert.doesNotMatch('Cannot read "a\nb" in s3://b (): why?', pattern);
  });
});

describe('testNamesIn()', () => {
  it('finds the keys of the record and nothing else', () => {
    const source =
      "const a = {\n  'no test': 1,\n};\nerrorTests(import.meta.filename, {\n  'one': yaml('x'),\n  'two words': async (t, row) => {\n    f({ 'not this': 1 });\n  },\n});\n";
    assert.deepEqual(testNamesIn(source), ['one', 'two words']);
    const withOptions =
      "errorTests(\n  import.meta.filename,\n  {\n    'one': yaml('x'),\n    'two words': async (t, row) => {\n      f({ 'not this': 1 });\n    },\n  },\n  { skip: 'why' },\n);\n";
    assert.deepEqual(testNamesIn(withOptions), ['one', 'two words']);
  });
});
