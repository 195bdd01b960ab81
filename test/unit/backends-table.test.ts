import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { StorageSpec } from '../../src/drivers/spec.ts';
import { parseBackendsTable, readBackendsTable } from '../support/backends-table.ts';
import { FLIP_ROWS } from '../support/flip-stores.ts';

const ROOT = new URL('../../', import.meta.url);
const FILES = 'File system';

/** A service that is added is missed here by the compiler. */
const SERVICES = {
  fs: (rows) => rows.includes(FILES),
  s3: (rows) => rows.some((row) => FLIP_ROWS[row]?.kind === 's3' && FLIP_ROWS[row].engine === 'direct'),
  azure: (rows) => rows.some((row) => FLIP_ROWS[row]?.kind === 'azure'),
  gcs: (rows) => rows.some((row) => FLIP_ROWS[row]?.kind === 'gcs'),
  swift: (rows) => rows.some((row) => FLIP_ROWS[row]?.kind === 'swift'),
} satisfies Record<Exclude<StorageSpec['kind'], 'memory'>, (rows: readonly string[]) => boolean>;

describe('docs/backends.md', () => {
  it('has a row for each way that is tried, and none besides', async () => {
    const names = (await readBackendsTable()).map(({ name }) => name);
    assert.deepEqual([...names].sort(), [FILES, ...Object.keys(FLIP_ROWS)].sort());
  });

  it('leaves no service out, and not the compatibility engine', async () => {
    const names = (await readBackendsTable()).map(({ name }) => name);
    for (const [kind, hasRow] of Object.entries(SERVICES)) assert.ok(hasRow(names), kind);
    assert.ok(names.some((name) => FLIP_ROWS[name]?.engine === 'sdk'));
  });

  it('names for each row a test that is there and tries that row', async () => {
    for (const { name, tests } of await readBackendsTable()) {
      const sources = await Promise.all(tests.map((file) => readFile(new URL(file, ROOT), 'utf8')));
      const mark = name === FILES ? `describe('${FILES}'` : 'Object.entries(FLIP_ROWS)';
      assert.ok(
        sources.some((source) => source.includes(mark)),
        name,
      );
    }
  });
});

describe('parseBackendsTable()', () => {
  const HEAD = '# x\n\n| service | a | b | c | d | e | f |\n| - | - | - | - | - | - | - |\n';

  it('takes the words and the tests out of a row', () => {
    const rows = parseBackendsTable(
      `${HEAD}| S | a | b | c | \`it says\` | e | \`t.ts\`, \`u.ts\` |\n\n| no row |`,
    );
    assert.deepEqual(rows, [{ name: 'S', binding: 'it says', tests: ['t.ts', 'u.ts'] }]);
  });

  it('refuses rows that leave something open', () => {
    for (const row of [
      '| S | a | b | c | `it says` | e |',
      '| S | a | b | c | `it says` | e | f |',
      '| S | a | b | c | it says | e | `t.ts` |',
      '| S |  | b | c | `it says` | e | `t.ts` |',
    ])
      assert.throws(() => parseBackendsTable(HEAD + row), /this is no row/, row);
  });
});
