import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { azureCredentials, azureParameters } from '../../../src/cli/storage/azure-parameters.ts';
import { filesystemParameters } from '../../../src/cli/storage/filesystem-section.ts';
import { gcsParameters } from '../../../src/cli/storage/gcs-parameters.ts';
import { parameterInfo } from '../../../src/cli/storage/parameter.ts';
import { s3Parameters } from '../../../src/cli/storage/s3-parameters.ts';
import { swiftParameters } from '../../../src/cli/storage/swift-parameters.ts';
import { readYaml } from './reading.ts';

const reference = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');

/** Rows of the table under a heading, without its head. */
function rowsUnder(heading: string): readonly string[] {
  const [, section = ''] = reference.split(`\n### ${heading}\n`);
  const [text = ''] = section.split('\n#');
  return text.split('\n').filter((line) => line.startsWith('| `'));
}

describe('docs/configuration.md', () => {
  for (const [backend, schema] of [
    ['filesystem', filesystemParameters],
    ['s3', s3Parameters],
    ['swift', swiftParameters],
    ['gcs', gcsParameters],
    ['azure', azureParameters],
    ['azure credentials', azureCredentials],
  ] as const) {
    it(`says of every parameter of ${backend} what the schema says, and of no other`, () => {
      const rows = Object.entries(schema.shape).map(([name, field]) => {
        const info = parameterInfo.get(field);
        assert.ok(info, `Nothing is known about "${name}"`);
        const effect = info.noEffect ? `. No effect: ${info.noEffect}` : '';
        return `| \`${name}\` | ${info.type} | ${info.default} | ${info.description}${effect} |`;
      });
      assert.deepEqual(rowsUnder(backend), rows);
    });
  }

  it('has examples that are read, as have the first steps and the README', () => {
    const env = { REGION: 'eu-central-1', OLD_ACCESS_KEY: 'a', OLD_SECRET_KEY: 'b', SITE: 'x' };
    const ceph = { CEPH_ACCESS_KEY: 'a', CEPH_SECRET_KEY: 'b' };
    const others = {
      AZURE_KEY: Buffer.alloc(64).toString('base64'),
      SWIFT_PASSWORD: 'p',
      S3_KEY: 'a',
      S3_SECRET: 'b',
    };
    for (const [file, count] of [
      ['docs/configuration.md', 9],
      ['docs/getting-started.md', 4],
      ['README.md', 4],
    ] as const) {
      const document = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');
      const examples = [...document.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
      assert.equal(examples.length, count, file);
      for (const text of examples) assert.ok(readYaml(text, { ...env, ...ceph, ...others }).spec, file);
    }
  });
});
