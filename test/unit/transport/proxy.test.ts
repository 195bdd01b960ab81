import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type HttpProxy, type ProxySettings, proxyFor } from '../../../src/transport/proxy.ts';

const SECURE: HttpProxy = { isTls: false, host: 'secure', port: 1, name: 'http://secure:1' };
const PLAIN: HttpProxy = { isTls: false, host: 'plain', port: 2, name: 'http://plain:2' };

function isExcepted(exceptions: string, host: string, port = 443): boolean {
  const settings: ProxySettings = { https: SECURE, exceptions };
  return proxyFor({ isTls: true, host, port }, settings) === undefined;
}

describe('proxyFor()', () => {
  it('takes the proxy for the kind of server, and none where there is none', () => {
    const both = { https: SECURE, http: PLAIN, exceptions: '' };
    const tls = { isTls: true, host: 'h', port: 443 };
    assert.equal(proxyFor(tls, both), SECURE);
    assert.equal(proxyFor({ ...tls, isTls: false }, both), PLAIN);
    assert.equal(proxyFor(tls, { http: PLAIN, exceptions: '' }), undefined);
    assert.equal(proxyFor({ ...tls, isTls: false }, { https: SECURE, exceptions: '' }), undefined);
    assert.equal(proxyFor(tls, undefined), undefined);
  });

  // Entries of NO_PROXY, and hosts that they hold or do not hold.
  const table: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['', [], ['h', '127.0.0.1']],
    ['*', ['h', '::1', 'a.b.c'], []],
    [
      'example.com',
      ['example.com', 's3.example.com', 'EXAMPLE.com', 'example.com.'],
      ['notexample.com', 'com'],
    ],
    ['.example.com', ['example.com', 's3.example.com'], ['notexample.com']],
    ['*.example.com', ['a.b.example.com'], ['example.org']],
    ['Example.COM.', ['s3.example.com'], []],
    ['a.example, b.example\tc.example', ['a.example', 'b.example', 'c.example'], ['d.example']],
    ['10.0.0.1', ['10.0.0.1'], ['10.0.0.11', '110.0.0.1']],
    ['0.0.1', [], ['10.0.0.1']],
    ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['::2']],
    ['[::1]', ['::1'], ['::2']],
    ['10.0.0.0/8', ['10.200.3.4'], ['11.0.0.1', 'ten.example', '::1']],
    ['fd00::/8', ['fd12::1'], ['fe80::1', '10.0.0.1']],
    ['10.0.0.0/99, 10.0.0.0/x, /8, x/8', [], ['10.0.0.1']],
    [', ,', [], ['h']],
  ];
  for (const [exceptions, inside, outside] of table) {
    it(`reads the exceptions "${exceptions}" as curl does`, () => {
      for (const host of inside) assert.ok(isExcepted(exceptions, host), `${host} is held`);
      for (const host of outside) assert.ok(!isExcepted(exceptions, host), `${host} is not held`);
    });
  }

  it('holds an exception with a port to that port', () => {
    for (const [exceptions, host] of [
      ['example.com:8443', 's3.example.com'],
      ['10.0.0.1:8443', '10.0.0.1'],
      ['[::1]:8443', '::1'],
    ] as const) {
      assert.ok(isExcepted(exceptions, host, 8443), exceptions);
      assert.ok(!isExcepted(exceptions, host, 443), exceptions);
    }
  });
});
