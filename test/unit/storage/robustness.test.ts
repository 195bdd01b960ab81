// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the texts that users write.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readUrlStorage } from '../../../src/cli/storage/url-storage.ts';
import { ConfigError } from '../../../src/core/errors.ts';
import { readYaml } from './reading.ts';

/** Reads, or refuses as a user's mistake: anything else would be a mistake of ours. */
function onlyRefuses(read: () => unknown): void {
  try {
    assert.ok(read());
  } catch (error) {
    if (error instanceof ConfigError) return;
    throw error;
  }
}

const line = fc
  .tuple(
    fc.constantFrom('', '  ', '    ', '\t', '- '),
    fc.constantFrom(
      'storage',
      's3',
      'filesystem',
      'bucket',
      'region',
      'secure',
      'chunksize',
      '<<',
      '*a',
      '? x',
      '---',
    ),
    fc.constantFrom(':', ': ', ': &a ', ''),
    fc.constantFrom('registry', 'eu-west-1', '{}', '[', '*a', '|', '!x y', '${X}', '~', '0x1f', '"', "'"),
  )
  .map((parts) => parts.join(''));

describe('whatever is given', () => {
  it('as YAML is read or refused, never a crash', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(line).map((lines) => lines.join('\n')),
        ),
        (text) => {
          onlyRefuses(() => readYaml(text, { X: 'x' }));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('as a URL is read or refused, never a crash', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.constantFrom(
        'bucket',
        '/',
        '?',
        '&',
        'region=eu-west-1',
        'endpoint=',
        '%',
        '%2F',
        '@',
        ':',
        '#',
        '=',
        'x',
      ),
    );
    fc.assert(
      fc.property(
        fc.constantFrom('file://', 's3://', 'gs://', 'https://', 's3:', 'x://'),
        fc.array(piece),
        (scheme, pieces) => onlyRefuses(() => readUrlStorage(scheme + pieces.join(''), {})),
      ),
      { numRuns: 2000 },
    );
  });

  it('as aliases that would grow without end is read at once', () => {
    const levels = (form: (previous: string) => string) =>
      Array.from(
        { length: 30 },
        (_, at) => `  a${at}: &a${at} ${at === 0 ? '{ useragent: x }' : form(`*a${at - 1}`)}`,
      );
    const nine = (previous: string) => Array.from({ length: 9 }, () => previous).join(', ');
    const file = (lines: readonly string[]) =>
      [
        'x:',
        ...lines,
        'storage:',
        '  s3:',
        '    <<: *a29',
        '    bucket: registry',
        '    region: *a29',
        '',
      ].join('\n');
    const message = 'old.yml:36: "region" of s3 must be a single value, not a section';
    assert.throws(() => readYaml(file(levels((previous) => `{ <<: [${nine(previous)}] }`))), { message });
    const list = 'old.yml:36: "region" of s3 must be a single value, not a list';
    assert.throws(() => readYaml(file(levels((previous) => `[${nine(previous)}]`))), { message: list });
  });

  it('as a megabyte of names is refused in little time', () => {
    const names = Array.from({ length: 30_000 }, (_, at) => `  name${at}: 1`);
    const started = performance.now();
    assert.throws(() => readYaml(['s3:', ...names].join('\n')), /and 29990 more/);
    assert.ok(performance.now() - started < 20_000, `${performance.now() - started} ms`);
  });

  it('as a name given twice is refused in any section, with its line', () => {
    for (const twice of ['s3:\n  bucket: a\n  bucket: b', 'http:\n  x: 1\n  "x": 2\ns3:\n  bucket: a'])
      assert.throws(() => readYaml(twice), {
        message: 'old.yml:3: this name is given twice in the same section',
      });
  });
});
