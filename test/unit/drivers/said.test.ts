/** What a server says of a request it refuses, with the request in it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { saidSafely, withoutSecrets } from '../../../src/drivers/http/said.ts';

const SECRET = 'pa"ss<wo\\rd';
const IN_JSON = JSON.stringify(SECRET);
const IN_GO = IN_JSON.replace('<', '\\u003c');

describe('what a server says', () => {
  it('holds no secret in the form that JSON gives it, as Go writes that or anybody else', () => {
    for (const quoted of [IN_JSON, IN_GO]) {
      const said = saidSafely(`cannot use {"accountkey":${quoted},"region":"eu"}`, [SECRET]);
      assert.equal(said, 'cannot use {"accountkey":"…","region":"eu"}');
      assert.equal(withoutSecrets(`with ${quoted}.`, [SECRET], '***'), 'with "***".');
    }
  });

  it('holds nothing of what stands under a name of secrets, known or not, a quote in it included', () => {
    for (const quoted of [IN_JSON, IN_GO, `'it is secret'`]) {
      assert.equal(saidSafely(`{"password":${quoted},"region":"eu"}`), '{"password":…,"region":"eu"}');
    }
    assert.equal(saidSafely('secretkey=abc&region=eu'), 'secretkey=…&region=eu');
    assert.equal(saidSafely('token: "cut in the mid'), 'token: …');
  });
});
