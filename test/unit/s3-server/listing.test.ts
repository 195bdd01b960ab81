import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RawClient } from '../../../bench/s3-server/client/raw-client.ts';
import { encode } from '../../../bench/s3-server/client/sign-request.ts';
import { elements } from '../../../bench/s3-server/probe/case.ts';
import { withServer } from './with-server.ts';

interface Walked {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
}

interface Walk {
  readonly version: 1 | 2;
  readonly prefix?: string;
  readonly delimiter?: string;
  readonly startAfter?: string;
  readonly pageSize: number;
}

async function walk(client: RawClient, bucket: string, options: Walk): Promise<Walked> {
  const keys: string[] = [];
  const prefixes: string[] = [];
  let next = options.startAfter === undefined ? '' : `&start-after=${encode(options.startAfter)}`;
  for (;;) {
    const type = options.version === 2 ? '&list-type=2' : '';
    const query = `encoding-type=url&max-keys=${options.pageSize}&prefix=${encode(options.prefix ?? '')}&delimiter=${encode(options.delimiter ?? '')}${type}${next}`;
    const { text, status } = await client.send({ target: `/${bucket}?${query}` });
    assert.equal(status, 200);
    const found = elements(text, 'Key').map(decodeURIComponent);
    const common = elements(text, 'Prefix').slice(1).map(decodeURIComponent);
    assert.ok(found.length + common.length <= options.pageSize);
    keys.push(...found);
    prefixes.push(...common);
    if (elements(text, 'IsTruncated')[0] === 'false') return { keys, prefixes };
    const token = elements(text, options.version === 2 ? 'NextContinuationToken' : 'NextMarker')[0];
    assert.ok(token, 'a page that is not the last names the next');
    next = `&${options.version === 2 ? 'continuation-token' : 'marker'}=${options.version === 2 ? encode(token) : token}`;
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function expected(all: readonly string[], options: Walk): Walked {
  const prefix = options.prefix ?? '';
  const keys: string[] = [];
  const prefixes = new Set<string>();
  for (const key of [...new Set(all)].sort(byBytes)) {
    if (!key.startsWith(prefix)) continue;
    if (options.startAfter !== undefined && byBytes(key, options.startAfter) <= 0) continue;
    const cut = options.delimiter ? key.indexOf(options.delimiter, prefix.length) : -1;
    if (cut < 0) keys.push(key);
    else prefixes.add(key.slice(0, cut + (options.delimiter?.length ?? 0)));
  }
  return { keys, prefixes: [...prefixes] };
}

const SEGMENT = fc.constantFrom('a', 'a-b', 'a0', 'ä', 'z', '\u{fffd}', '\u{1f600}', 'A', ' ', '+', '');

describe('listings', () => {
  it('have every key once, in the order of their bytes, however they are paged and grouped', async () => {
    const keyOf = fc.array(SEGMENT, { minLength: 1, maxLength: 4 }).map((parts) => `k${parts.join('/')}`);
    const walkOf = fc.record({
      version: fc.constantFrom(1 as const, 2 as const),
      prefix: fc.constantFrom('', 'k', 'ka', 'ka/', 'none'),
      delimiter: fc.constantFrom('', '/', 'a'),
      pageSize: fc.integer({ min: 1, max: 7 }),
    });
    await withServer({}, async ({ client, server }) => {
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(keyOf, { maxLength: 25 }), walkOf, async (keys, options) => {
          run += 1;
          const bucket = `run-${run}`;
          await client.send({ method: 'PUT', target: `/${bucket}` });
          await server.put(
            bucket,
            keys.map((key) => ({ key, body: Buffer.from('x') })),
          );
          assert.deepEqual(await walk(client, bucket, options), expected(keys, options));
        }),
        { numRuns: 60 },
      );
    });
  });

  it('start behind the key they are told, and say what was asked', async () => {
    await withServer({}, async ({ client, server }) => {
      const keys = ['a', 'b/1', 'b/2', 'c'];
      await server.put(
        'box',
        keys.map((key) => ({ key, body: Buffer.from('xyz') })),
      );
      for (const startAfter of ['', 'a', 'a0', 'b/1', 'c', 'd']) {
        const options: Walk = { version: 2, startAfter, pageSize: 2 };
        assert.deepEqual(await walk(client, 'box', options), expected(keys, options), startAfter);
      }
      const { text } = await client.send({
        target: '/box?list-type=2&prefix=b%2F&start-after=b%2F1&fetch-owner=true',
      });
      assert.equal(elements(text, 'StartAfter')[0], 'b/1');
      assert.equal(elements(text, 'KeyCount')[0], '1');
      assert.equal(elements(text, 'Size')[0], '3');
      assert.equal(elements(text, 'ETag')[0], '&quot;d16fb36f0911f878998c136191af705e&quot;');
      assert.match(text, /<Owner>/);
    });
  });

  it('take counts from 0 to 1,000 and refuse nonsense', async () => {
    await withServer({}, async ({ client, server }) => {
      await server.put(
        'box',
        Array.from({ length: 1500 }, (_, n) => ({ key: `k${n}`, body: Buffer.from('x') })),
      );
      const get = async (query: string): Promise<readonly string[]> => {
        const { status, code, text } = await client.send({ target: `/box?list-type=2&${query}` });
        return status === 200
          ? [String(elements(text, 'Key').length), elements(text, 'IsTruncated')[0] ?? '']
          : [code];
      };
      assert.deepEqual(await get(''), ['1000', 'true']);
      assert.deepEqual(await get('max-keys=5000'), ['1000', 'true']);
      assert.deepEqual(await get('max-keys=0'), ['0', 'false']);
      for (const query of ['max-keys=-1', 'max-keys=x', 'encoding-type=x', 'continuation-token=x']) {
        assert.deepEqual(await get(query), ['InvalidArgument'], query);
      }
    });
  });

  it('show what is written and deleted between two pages', async () => {
    await withServer({}, async ({ client, server }) => {
      await server.put(
        'box',
        ['b', 'd', 'f'].map((key) => ({ key, body: Buffer.from('x') })),
      );
      const first = await client.send({ target: '/box?list-type=2&max-keys=1' });
      const token = elements(first.text, 'NextContinuationToken')[0] ?? '';
      await server.put(
        'box',
        ['a', 'e'].map((key) => ({ key, body: Buffer.from('x') })),
      );
      await client.send({ method: 'DELETE', target: '/box/d' });
      const second = await client.send({ target: `/box?list-type=2&continuation-token=${encode(token)}` });
      assert.deepEqual(elements(second.text, 'Key'), ['e', 'f']);
    });
  });
});
