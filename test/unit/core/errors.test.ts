import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BlobferryError,
  ConfigError,
  fromErrorRecord,
  IntegrityError,
  isStorageError,
  StorageError,
  type StorageErrorDetails,
  toErrorRecord,
} from '../../../src/core/errors.ts';

const DETAILS: StorageErrorDetails = {
  kind: 'throttled',
  backend: 's3://bucket/root',
  operation: 'read',
  key: 'a/b',
  status: 503,
  backendCode: 'SlowDown',
  retryAfterMs: 2_000,
  isTransient: true,
  scope: 'object',
};

/** As an error travels: over a thread's port or through a job's file. */
const travels: Readonly<Record<string, (error: unknown) => Error>> = {
  'a structured clone': (error) => fromErrorRecord(structuredClone(toErrorRecord(error))),
  JSON: (error) => fromErrorRecord(JSON.parse(JSON.stringify(toErrorRecord(error)))),
};

for (const [way, travel] of Object.entries(travels)) {
  describe(`Errors over ${way}`, () => {
    it('keep everything of a StorageError', () => {
      const error = new StorageError('Cannot read', DETAILS, { hint: 'Wait', cause: new Error('why') });
      const arrived = travel(error);
      assert.ok(arrived instanceof StorageError);
      assert.equal(arrived.name, 'StorageError');
      assert.equal(arrived.message, 'Cannot read');
      assert.equal(arrived.hint, 'Wait');
      assert.deepEqual(arrived.details, DETAILS);
      assert.ok(isStorageError(arrived, 'denied', 'throttled'));
      assert.ok(!isStorageError(arrived, 'denied'));
    });

    for (const Kind of [IntegrityError, ConfigError]) {
      it(`keep the class, message and hint of a ${Kind.name}`, () => {
        for (const hint of ['Do this', undefined]) {
          const arrived = travel(new Kind('What is wrong', { hint }));
          assert.ok(arrived instanceof Kind);
          assert.equal(arrived.name, Kind.name);
          assert.equal(arrived.message, 'What is wrong');
          assert.equal(arrived.hint, hint);
        }
      });
    }

    it('keep message and hint of an error that is ours and of no further class', () => {
      const arrived = travel(new BlobferryError('What is wrong', { hint: 'Do this' }));
      assert.ok(arrived instanceof BlobferryError);
      assert.equal(arrived.message, 'What is wrong');
      assert.equal(arrived.hint, 'Do this');
    });

    it('keep message and stack of any other error', () => {
      const error = new TypeError('a mistake of ours');
      const arrived = travel(error);
      assert.equal(arrived.message, 'a mistake of ours');
      assert.equal(arrived.stack, error.stack);
    });

    it('make an error of whatever was thrown or given as a reason', () => {
      for (const thrown of ['text', undefined, null, 7, Symbol('x'), {}, Object.create(null)]) {
        const arrived = travel(thrown);
        assert.ok(arrived instanceof Error);
        assert.equal(typeof arrived.message, 'string');
      }
    });
  });
}

describe('isStorageError()', () => {
  it('takes any kind where none is named, and nothing but StorageErrors', () => {
    assert.ok(isStorageError(new StorageError('x', DETAILS)));
    for (const other of [new Error('x'), new ConfigError('x'), undefined, null, { details: DETAILS }])
      assert.ok(!isStorageError(other));
  });
});
