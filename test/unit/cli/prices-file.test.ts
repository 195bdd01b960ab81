import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readPrices, readPricesFile, requestPrices, sidePrices } from '../../../src/cli/prices-file.ts';
import { parameterInfo } from '../../../src/cli/storage/parameter.ts';
import { ConfigError } from '../../../src/core/errors.ts';
import { tempFolderFor } from '../../support/temp.ts';

const reference = readFileSync(new URL('../../../docs/prices.md', import.meta.url), 'utf8');

function refusal(text: string): string {
  try {
    readPrices(text, 'prices.yml');
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  throw new assert.AssertionError({ message: `These prices were read: ${text}` });
}

describe('readPrices()', () => {
  it('reads prices by side and operation', () => {
    const text = [
      'currency: €',
      'source: {egress: 0.09, requests: {list: 0.0050, read: "0.0004"}}',
      'target:',
      '  requests:',
      '    write: 5',
      '    begin: 0',
    ];
    assert.deepEqual(readPrices(text.join('\n'), 'prices.yml'), {
      currency: '€',
      source: { requests: { list: 0.005, read: 0.0004 }, egressGib: 0.09 },
      target: { requests: { write: 5, begin: 0 } },
    });
  });

  it('takes one side for what it is', () => {
    const { source, target } = readPrices('currency: USD\ntarget: {egress: 1}', 'prices.yml');
    assert.deepEqual(source, { requests: {} });
    assert.deepEqual(target, { requests: {}, egressGib: 1 });
  });

  const MISTAKES: readonly (readonly [string, string, string])[] = [
    ['nothing', '', 'prices.yml:1: the file holds no prices'],
    ['a list', '- 1', 'prices.yml:1: the file holds no prices'],
    ['no currency', 'source: {egress: 1}', 'prices.yml:1: "currency" of the prices is missing'],
    [
      'a currency that is a number',
      'currency: 5\nsource: {egress: 1}',
      'prices.yml:1: "currency" of the prices must be a short word, such as USD',
    ],
    ['no side', 'currency: USD', 'prices.yml:1: prices need a section "source" or "target"'],
    [
      'an unknown section',
      'currency: USD\nsource: {egress: 1}\ntraget: {}',
      'prices.yml:3: unknown name "traget" in prices; did you mean "target"?',
    ],
    [
      'an unknown name',
      'currency: USD\nsource:\n  request: {}\n  egress: 1',
      'prices.yml:3: unknown name "request" in source prices; did you mean "requests"?',
    ],
    [
      'an unknown operation',
      'currency: USD\nsource:\n  requests:\n    raed: 1',
      'prices.yml:4: unknown parameter "raed" of source requests; did you mean "read"?',
    ],
    [
      'a price below zero',
      'currency: USD\nsource:\n  requests:\n    read: -1',
      'prices.yml:4: "read" of source requests must be a price such as 0.0004, not "-1"',
    ],
    [
      'a price with a currency',
      'currency: USD\ntarget:\n  egress: 0.09 USD',
      'prices.yml:3: "egress" of target prices must be a price such as 0.0004, not "0.09 USD"',
    ],
    [
      'a price written with a comma',
      'currency: USD\ntarget:\n  egress: 0,09',
      'prices.yml:3: "egress" of target prices must be a price such as 0.0004, not "0,09"',
    ],
    [
      'no price',
      'currency: USD\ntarget:\n  requests:\n    write:',
      'prices.yml:4: "write" of target requests has no value',
    ],
    ['a side that is a number', 'currency: USD\ntarget: 5', 'prices.yml:2: "target" holds no prices'],
    [
      'several mistakes',
      'source: {egress: x}\ntarget: {requests: {list: y}}',
      'prices.yml:1: "egress" of source prices must be a price such as 0.0004, not "x"\n' +
        'prices.yml:1: "currency" of the prices is missing\n' +
        'prices.yml:2: "list" of target requests must be a price such as 0.0004, not "y"',
    ],
    ['no YAML', 'currency: "USD', 'prices.yml:1: something is missing: a closing quote or bracket'],
  ];
  for (const [what, text, message] of MISTAKES) {
    it(`names ${what} with file and line`, () => {
      assert.equal(refusal(text).slice(0, message.length), message);
    });
  }

  it('names a file that is not there', async (t) => {
    const file = join(await tempFolderFor(t), 'none.yml');
    await assert.rejects(readPricesFile(file), {
      name: 'ConfigError',
      message: `Cannot read prices from "${file}": there is no such file`,
    });
  });
});

describe('docs/prices.md', () => {
  for (const [heading, schema] of [
    ['requests', requestPrices],
    ['beside them', sidePrices],
  ] as const) {
    it(`says of "${heading}" what the schema says`, () => {
      const [, section = ''] = reference.split(`\n### ${heading}\n`);
      const shown = (section.split('\n#')[0] ?? '').split('\n').filter((line) => line.startsWith('| `'));
      const rows = Object.entries(schema.shape).map(([name, field]) => {
        const info = parameterInfo.get(field);
        assert.ok(info);
        return `| \`${name}\` | ${info.type} | ${info.default} | ${info.description} |`;
      });
      assert.deepEqual(shown, rows);
    });
  }

  it('has an example that is read', () => {
    const [, example = ''] = /```yaml\n(.*?)```/s.exec(reference) ?? [];
    assert.equal(readPrices(example, 'prices.yml').target.requests.complete, 0.005);
  });
});
