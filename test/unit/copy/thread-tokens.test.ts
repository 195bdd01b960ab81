/** What a thread and the main thread say to each other about tokens. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ThreadTokens, type TokenWanted } from '../../../src/copy/thread-tokens.ts';
import { StorageError, toErrorRecord } from '../../../src/core/errors.ts';

function thread(): { tokens: ThreadTokens; told: TokenWanted[] } {
  const told: TokenWanted[] = [];
  return { tokens: new ThreadTokens((report) => told.push(report)), told };
}

const FIRST = { serial: 1, token: { token: 'first', expiresAtMs: 7 } };

describe('the tokens of a thread', () => {
  it('are asked for with the shard that runs, each after the last that was given', async () => {
    const { tokens, told } = thread();
    const source = tokens.source('target');
    tokens.begin('b0');
    const first = source();
    tokens.hear({
      type: 'token',
      side: 'source',
      given: { serial: 9, token: { token: 'of the other side' } },
    });
    tokens.hear({ type: 'token', side: 'target', given: FIRST });
    assert.deepEqual(await first, FIRST.token);
    tokens.begin('b1');
    const second = source();
    tokens.hear({ type: 'token', side: 'target', given: { serial: 2, token: { token: 'second' } } });
    assert.deepEqual(await second, { token: 'second' });
    assert.deepEqual(told, [
      { type: 'token-wanted', shard: 'b0', side: 'target', after: 0 },
      { type: 'token-wanted', shard: 'b1', side: 'target', after: 1 },
    ]);
  });

  it('are asked for again by the next shard where the last one ended before the answer', async () => {
    const { tokens, told } = thread();
    tokens.begin('b0');
    const waiting = tokens.source('source')();
    tokens.begin('b1');
    assert.deepEqual(
      told.map(({ shard }) => shard),
      ['b0', 'b1'],
    );
    tokens.hear({ type: 'token', side: 'source', given: FIRST });
    assert.deepEqual(await waiting, FIRST.token);
    tokens.begin('b2');
    assert.equal(told.length, 2, 'what was answered is not asked for any more');
  });

  it('say why there is none as the main thread met it, and are asked for again', async () => {
    const { tokens } = thread();
    tokens.begin('b0');
    const source = tokens.source('source');
    const details = {
      kind: 'denied',
      backend: 'gs://b',
      operation: 'log in to',
      isTransient: false,
    } as const;
    const refusal = new StorageError('No', { ...details, scope: 'backend' }, { hint: 'Make a new key' });
    const refused = assert.rejects(source(), (error) => {
      assert.ok(error instanceof StorageError);
      assert.deepEqual([error.message, error.details.scope, error.hint], ['No', 'backend', 'Make a new key']);
      return true;
    });
    tokens.hear({ type: 'token', side: 'source', error: toErrorRecord(refusal) });
    await refused;
    const again = source();
    tokens.hear({ type: 'token', side: 'source', given: FIRST });
    assert.deepEqual(await again, FIRST.token);
  });
});
