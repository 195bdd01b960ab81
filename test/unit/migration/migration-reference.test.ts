import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readMigration } from '../../../src/cli/migration/migration-file.ts';
import {
  migrationParameters,
  mkeParameters,
  platformParameters,
} from '../../../src/cli/migration/parameters.ts';
import { parameterInfo } from '../../../src/cli/storage/parameter.ts';

const reference = readFileSync(new URL('../../../docs/migration.md', import.meta.url), 'utf8');

/** Rows of the table under a heading, without its head. */
function rowsUnder(heading: string): readonly string[] {
  const [, section = ''] = reference.split(`\n### ${heading}\n`);
  const [text = ''] = section.split('\n#');
  return text.split('\n').filter((line) => line.startsWith('| `'));
}

describe('docs/migration.md', () => {
  for (const [heading, schema] of [
    ['The file', migrationParameters],
    ['platform', platformParameters],
    ['mke', mkeParameters],
  ] as const) {
    it(`says of every name under "${heading}" what the schema says, and of no other`, () => {
      const rows = Object.entries(schema.shape).map(([name, field]) => {
        const info = parameterInfo.get(field);
        assert.ok(info, `Nothing is known about "${name}"`);
        return `| \`${name}\` | ${info.type} | ${info.default} | ${info.description} |`;
      });
      assert.deepEqual(rowsUnder(heading), rows);
    });
  }

  it('has an example that is read', () => {
    const [, example = ''] = /```yaml\n(.*?)```/s.exec(reference) ?? [];
    const env = { MSR_TOKEN: 'token', UCP_PASSWORD: 'password' };
    const { migration, notes } = readMigration(example, '/srv/move.yml', env);
    assert.deepEqual([migration.platform.kind, migration.journal, notes], ['msr', '/srv/journal', []]);
  });
});
