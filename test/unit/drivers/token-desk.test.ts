/** One log-in for all drivers and threads that use a storage. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TokenDesk } from '../../../src/drivers/token-desk.ts';

function desk(answers: readonly (string | Error)[]): { desk: TokenDesk; asked: () => number } {
  let asked = 0;
  const source = async () => {
    const answer = answers[asked];
    asked += 1;
    if (typeof answer !== 'string') throw answer;
    return { token: answer };
  };
  return { desk: new TokenDesk(source), asked: () => asked };
}

describe('a desk of tokens', () => {
  it('asks once for all that wait, and gives what it has to whoever comes later', async () => {
    const { desk: one, asked } = desk(['first']);
    const given = await Promise.all([one.give(0), one.give(0), one.source()()]);
    assert.deepEqual(
      given.map((each) => ('serial' in each ? each.token.token : each.token)),
      ['first', 'first', 'first'],
    );
    assert.equal((await one.source()()).token, 'first');
    assert.equal(asked(), 1);
  });

  it('asks for another once for all that have no use for the last one', async () => {
    const { desk: one, asked } = desk(['first', 'second']);
    const [here, there] = [one.source(), one.source()];
    assert.deepEqual([(await here()).token, (await there()).token], ['first', 'first']);
    assert.deepEqual([(await here()).token, (await there()).token], ['second', 'second']);
    assert.equal(asked(), 2);
  });

  it('tells all that wait why there is none, and asks again when it is asked again', async () => {
    const { desk: one, asked } = desk([new Error('nobody answers'), 'second']);
    const refused = await Promise.allSettled([one.give(0), one.give(0)]);
    assert.deepEqual(
      refused.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    assert.deepEqual(await one.give(0), { serial: 1, token: { token: 'second' } });
    assert.equal(asked(), 2);
  });
});
