import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readUrlStorage } from '../../../src/cli/storage/url-storage.ts';
import { keyPrefixOf, keyRuleOf } from '../../../src/layout/key-rule.ts';
import { readYaml, refusalOf } from './reading.ts';

const ENV = { ST_AUTH: 'http://s/auth/v1.0', ST_USER: 'a:b', ST_KEY: 'k' };
const KEY = `accountkey: ${Buffer.alloc(64, 7).toString('base64')}`;
const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  s3: ['bucket: registry', 'region: eu-west-1'],
  gcs: ['bucket: registry'],
  azure: ['accountname: account', KEY, 'container: registry'],
  swift: ['username: u', 'password: p', 'authurl: http://s/auth/v1.0', 'container: registry'],
};

function yaml(kind: string, ...more: readonly string[]): string {
  return [`${kind}:`, ...[...(SECTIONS[kind] ?? []), ...more].map((line) => `  ${line}`), ''].join('\n');
}

describe('keyrule', () => {
  for (const [kind, lines, rule, prefix] of [
    ['s3', [], 'distribution', ''],
    ['s3', ['keyrule: distribution', 'rootdirectory: /'], 'distribution', ''],
    ['s3', ['keyrule: plain', 'rootdirectory: /'], 'plain', '/'],
    ['gcs', ['keyrule: Plain', 'rootdirectory: /a'], 'plain', '/a/'],
    ['gcs', ['keyrule: plain', 'accesskey: a', 'secretkey: b', 'rootdirectory: /a'], 'plain', '/a/'],
    ['swift', [], 'distribution', 'files/'],
    ['swift', ['keyrule: plain', 'prefix: old'], 'plain', 'old/'],
    ['azure', [], 'distribution-2', '/'],
    ['azure', ['skipverify: true'], 'distribution-3', ''],
    ['azure', ['keyrule: distribution-3'], 'distribution-3', ''],
    ['azure', ['keyrule: distribution-2', 'rootdirectory: a'], 'distribution-2', '/a/'],
    ['azure', ['keyrule: distribution-3', 'trimlegacyrootprefix: true'], 'distribution-3', ''],
    ['azure', ['keyrule: plain', 'rootdirectory: //'], 'plain', '//'],
  ] as const) {
    it(`of ${kind} with ${lines.join(', ') || 'nothing'} gives "${prefix}", under the rule ${rule}`, () => {
      const { spec } = readYaml(yaml(kind, ...lines));
      assert.deepEqual([keyRuleOf(spec), keyPrefixOf(spec)], [rule, prefix]);
    });
  }

  for (const [url, rule, prefix] of [
    ['s3://registry//?region=eu-west-1&keyrule=plain', 'plain', '/'],
    ['s3://registry/a?region=eu-west-1&keyrule=distribution', 'distribution', 'a/'],
    ['gs://registry//a?keyrule=plain', 'plain', '/a/'],
    ['swift://registry?keyrule=plain', 'plain', ''],
    ['swift://registry/old?KEYRULE=plain', 'plain', 'old/'],
    ['swift://registry/old?', 'distribution', 'old/files/'],
    ['azure://account/registry', 'distribution-3', ''],
    ['azure://account/registry?keyrule=distribution-2', 'distribution-2', '/'],
    ['azure://account/registry?keyrule=distribution-2&trimlegacyrootprefix=false', 'distribution-2', '/'],
    ['azure://account/registry?trimlegacyrootprefix=false', 'distribution-2', '/'],
    ['azure://account/registry///?keyrule=plain', 'plain', '//'],
  ] as const) {
    it(`of ${url} gives "${prefix}", under the rule ${rule}`, () => {
      const { spec } = readUrlStorage(url, ENV);
      assert.deepEqual([keyRuleOf(spec), keyPrefixOf(spec)], [rule, prefix]);
    });
  }

  it('that contradicts trimlegacyrootprefix is refused', async () => {
    for (const [rule, trims] of [
      ['distribution-2', true],
      ['distribution-3', false],
      ['plain', false],
    ] as const) {
      const said = `"keyrule: ${rule}" and "trimlegacyrootprefix: ${trims}" contradict each other`;
      const text = yaml('azure', `trimlegacyrootprefix: ${trims}`, `keyrule: ${rule}`);
      const inYaml = await refusalOf(() => readYaml(text));
      assert.deepEqual(inYaml, { message: `old.yml:6: ${said} (azure)`, hint: 'remove one of the two' });
      const url = `azure://account/registry?keyrule=${rule}&trimlegacyrootprefix=${trims}`;
      assert.equal((await refusalOf(() => readUrlStorage(url, {}))).message, `${said} (Azure URL)`);
    }
  });

  it('that the storage does not know is refused, with those it knows', async () => {
    const inYaml = await refusalOf(() => readYaml(yaml('swift', 'keyrule: distribution-2')));
    assert.match(inYaml.message, /"keyrule" of swift must be one of distribution, plain/);
    for (const url of [
      's3://registry?region=eu-west-1&keyrule=x',
      'gs://registry?keyrule=distribution-3',
      'azure://account/registry?keyrule=distribution',
      'swift://registry?keyrule=distribution-2',
    ]) {
      const { message } = await refusalOf(() => readUrlStorage(url, ENV));
      assert.match(message, /^"keyrule" of the .* URL must be one of /);
    }
  });
});
