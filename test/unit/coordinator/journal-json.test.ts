import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { namesInColumn } from '../../../src/coordinator/journal-json.ts';
import { ConfigError } from '../../../src/core/errors.ts';

describe('namesInColumn()', () => {
  it('gives back any names', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (names) => {
        assert.deepEqual(namesInColumn(JSON.stringify(names), 'j'), names);
      }),
    );
  });

  it('takes nothing else for a list of names, and says which file is damaged', () => {
    const deep = '['.repeat(100_000);
    for (const text of ['', '{}', '"a"', 'null', '[1]', '["a"', '["a",null]', '[["a"]]', '\0', deep]) {
      assert.throws(
        () => namesInColumn(text, '/state/journal.sqlite'),
        (error) => error instanceof ConfigError && error.message.includes('/state/journal.sqlite is damaged'),
        text.slice(0, 20),
      );
    }
  });

  it('never gives anything but names, whatever bytes are there', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          assert.ok(namesInColumn(text, 'j').every((name) => typeof name === 'string'));
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error));
        }
      }),
    );
  });
});
