/** Signatures, by the examples of https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { StorageSharedKeyCredential } from '@azure/storage-blob';
import { SharedKeySigner, type SignedRequest, stringToSign } from '../../../src/drivers/azure/shared-key.ts';

const DATE = ['x-ms-date', 'Fri, 26 Jun 2015 23:39:12 GMT'] as const;
const VERSION = ['x-ms-version', '2015-02-21'] as const;
/** The well-known key of Microsoft's emulators. */
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

function request(more: Partial<SignedRequest>): SignedRequest {
  return {
    method: 'GET',
    path: '/mycontainer',
    query: [],
    headers: [DATE, VERSION],
    bodyBytes: 0,
    ...more,
  };
}

describe('the string that Azure signs', () => {
  it('is that of the reference for the metadata of a container', () => {
    const query = [
      ['restype', 'container'],
      ['comp', 'metadata'],
      ['timeout', '20'],
    ] as const;
    assert.equal(
      stringToSign('myaccount', request({ query })),
      'GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20',
    );
  });

  it('has each header of a write in its place, those of Azure sorted, and blanks folded', () => {
    const headers = [
      ['x-ms-version', '2015-02-21'],
      ['x-ms-blob-type', '  BlockBlob '],
      ['x-ms-meta-note', 'two \r\n  lines'],
      ['x-ms-date', DATE[1]],
      ['content-md5', 'bWQ1'],
      ['content-type', 'text/plain'],
      ['if-match', '"0x1"'],
      ['if-none-match', '*'],
      ['range', 'bytes=0-9'],
      ['accept', 'never signed'],
    ] as const;
    assert.equal(
      stringToSign('myaccount', request({ method: 'PUT', path: '/c/a%20b', headers, bodyBytes: 11 })),
      [
        'PUT',
        '', // Content-Encoding
        '', // Content-Language
        '11', // Content-Length
        'bWQ1', // Content-MD5
        'text/plain', // Content-Type
        '', // Date: x-ms-date stands for it
        '', // If-Modified-Since
        '"0x1"', // If-Match
        '*', // If-None-Match
        '', // If-Unmodified-Since
        'bytes=0-9', // Range
        'x-ms-blob-type:BlockBlob',
        `x-ms-date:${DATE[1]}`,
        'x-ms-meta-note:two lines',
        'x-ms-version:2015-02-21',
        '/myaccount/c/a%20b',
      ].join('\n'),
    );
  });

  it('has the account twice where the address has it in its path, and keeps a double slash', () => {
    const text = stringToSign('devstoreaccount1', request({ path: '/devstoreaccount1/c//docker/x' }));
    assert.match(text, /\n\/devstoreaccount1\/devstoreaccount1\/c\/\/docker\/x$/);
  });
});

describe('the signature', () => {
  it("is the HMAC-SHA256 of that string, as Node and Microsoft's own client work it out", () => {
    const signed = request({ query: [['comp', 'list']] });
    const text = stringToSign('myaccount', signed);
    const expected = createHmac('sha256', Buffer.from(KEY, 'base64')).update(text).digest('base64');
    assert.equal(new StorageSharedKeyCredential('myaccount', KEY).computeHMACSHA256(text), expected);
    assert.equal(new SharedKeySigner('myaccount', KEY).authorize(signed), `SharedKey myaccount:${expected}`);
  });

  it('is right for keys that are shorter and longer than a block', () => {
    for (const bytes of [1, 32, 63, 65, 200]) {
      const key = Buffer.alloc(bytes, 7);
      const expected = createHmac('sha256', key)
        .update(stringToSign('a', request({})))
        .digest('base64');
      assert.equal(
        new SharedKeySigner('a', key.toString('base64')).authorize(request({})),
        `SharedKey a:${expected}`,
      );
    }
  });
});
