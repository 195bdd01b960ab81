/** Listings that lie, over both engines: they are refused or give every key they hold, and they always end. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { isStorageError } from '../../../src/core/errors.ts';
import type { ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';
import { openS3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import { openS3SdkDriver } from '../../../src/drivers/s3/s3-sdk-driver.ts';
import { type Asked, ok, refusal, type Scripted, scriptedServer } from './scripted-s3.ts';

const CTX = { signal: new AbortController().signal };
const ENGINES = ['direct', 'sdk'] as const;
type Engine = (typeof ENGINES)[number];

interface Opened {
  readonly driver: StorageDriver;
  readonly asked: readonly Asked[];
}

async function open(
  t: TestContext,
  engine: Engine,
  answerTo: (asked: Asked, index: number) => Scripted,
): Promise<Opened> {
  const { spec, asked } = await scriptedServer(t, answerTo);
  const driver = await (engine === 'sdk' ? openS3SdkDriver : openS3Driver)({ storage: spec, engine });
  t.after(() => driver.close());
  return { driver, asked };
}

async function keysOf(driver: StorageDriver, query: Partial<ListQuery> = {}): Promise<string[]> {
  const keys: string[] = [];
  for await (const { objects } of driver.list(CTX, { prefix: '', ...query }))
    keys.push(...objects.map(({ key }) => key));
  return keys;
}

const entry = (key: string, size = '1') => `<Contents><Key>${key}</Key><Size>${size}</Size></Contents>`;
const root = (inside: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inside}</ListBucketResult>`;
const last = (inside: string) => root(`<IsTruncated>false</IsTruncated>${inside}`);
const more = (inside: string, token: string) =>
  root(`<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>${inside}`);

const REFUSED: Readonly<Record<string, string>> = {
  'another document': '<html><body>Welcome</body></html>',
  'an error in a success': '<Error><Code>InternalError</Code><Message>no</Message></Error>',
  'an empty body': '',
  'an empty list of something else': '<ListAllMyBucketsResult></ListAllMyBucketsResult>',
  'a listing inside something else': `<Wrapper>${last('')}</Wrapper>`,
  'a listing cut between two entries': last(entry('a')).replace('</ListBucketResult>', ''),
  'a listing cut inside an entry': last(entry('a')).split('<Size>')[0] ?? '',
  'bytes behind its end': `${last(entry('a'))}\0\0`,
  'no word on whether there is more': root(entry('a')),
  'an odd word on whether there is more': root(`<IsTruncated>maybe</IsTruncated>${entry('a')}`),
  'two words on whether there is more': last(`<IsTruncated>true</IsTruncated>${entry('a')}`),
  'more of it but not where': root(`<IsTruncated>true</IsTruncated>${entry('a')}`),
  'a count of entries that are not there': last(`<KeyCount>2</KeyCount>${entry('a')}`),
  'an entry in an entry': last(`<Contents>${entry('a')}<Key>b</Key><Size>1</Size></Contents>`),
  'an entry with two names': last('<Contents><Key>a</Key><Key>b</Key><Size>1</Size></Contents>'),
  'an entry with attributes': last(`${entry('a')}<Contents x="y"><Key>b</Key><Size>1</Size></Contents>`),
  'an entry without content': last(`${entry('a')}<Contents/>`),
  'an entry in a comment': last(`${entry('a')}<!-- ${entry('b')} -->`),
  'a name in CDATA': last(entry('<![CDATA[a]]>')),
  'entities that multiply': `<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>${last(entry('&b;'))}`,
  'an entity from elsewhere': `<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>${last(entry('&x;'))}`,
  'an entity nobody knows': last(entry('a&nope;b')),
  'a negative size': last(entry('a', '-1')),
  'a size that is no number': last(entry('a', 'NaN')),
  'a size beyond all numbers': last(entry('a', '9'.repeat(400))),
  'a size with an exponent': last(entry('a', '1e3')),
  'a name of a megabyte': last(entry('a'.repeat(1024 ** 2))),
  'a name that is not UTF-8': last(entry('a\xff')),
};

function isCorrupt(error: unknown): boolean {
  assert.ok(isStorageError(error, 'corrupt'), String(error));
  assert.ok(error.message.length < 500, 'the message is as long as the answer');
  assert.ok(error.details.isTransient);
  return true;
}

for (const engine of ENGINES) {
  describe(`a listing over the engine ${engine}`, () => {
    for (const [what, body] of Object.entries(REFUSED)) {
      it(`is refused with ${what}`, async (t) => {
        const { driver } = await open(t, engine, () => ok(body));
        await assert.rejects(keysOf(driver), isCorrupt);
      });
    }

    it('is refused where its elements are nested ten thousand deep', async (t) => {
      const deep = last(entry('<a>'.repeat(10_000) + '</a>'.repeat(10_000)));
      const { driver } = await open(t, engine, () => ok(deep));
      await assert.rejects(keysOf(driver), isCorrupt);
    });

    it('keeps names exact that come as entities or percent signs', async (t) => {
      const url = '<EncodingType>url</EncodingType>';
      const bodies = [
        last(entry('&#x1F600;&amp;&#10;') + entry('&#128512;x')),
        last(url + entry('%F0%9F%98%80%26%0A') + entry('%F0%9F%98%80x')),
      ];
      for (const body of bodies) {
        const { driver } = await open(t, engine, () => ok(body));
        assert.deepEqual(await keysOf(driver), ['😀&\n', '😀x']);
      }
    });

    it('gives all keys of a page that is larger than was asked for, and counts wrongly', async (t) => {
      const keys = Array.from({ length: 5_000 }, (_, index) => `k${String(index).padStart(5, '0')}`);
      const lies = '<MaxKeys>1000</MaxKeys><KeyCount>3</KeyCount>';
      const { driver } = await open(t, engine, () => ok(last(lies + keys.map((key) => entry(key)).join(''))));
      assert.deepEqual(await keysOf(driver), keys);
    });

    it('ends when tokens go in a circle', async (t) => {
      const { driver, asked } = await open(t, engine, (_, index) =>
        ok(more(entry(`k${String(index).padStart(6, '0')}`), `t${index % 5}`)),
      );
      await assert.rejects(keysOf(driver), isCorrupt);
      assert.ok(asked.length < 30, `${asked.length} requests`);
    });

    it('ends when keys go in a circle under tokens that are always new', async (t) => {
      const { driver, asked } = await open(t, engine, (_, index) =>
        ok(more(entry(`k${index % 7}`), `t${index}`)),
      );
      await assert.rejects(keysOf(driver), isCorrupt);
      assert.ok(asked.length < 40, `${asked.length} requests`);
    });

    it('goes on over empty pages, as a service that filters sends them', async (t) => {
      const { driver } = await open(t, engine, (_, index) =>
        ok(index < 50 ? more('', `t${index}`) : last(entry('a'))),
      );
      assert.deepEqual(await keysOf(driver), ['a']);
    });

    it('does not wait for an announced body of 10 GB', async (t) => {
      const head = 'HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n';
      const { driver } = await open(t, engine, () => `${head}${root('').slice(0, 60)}`);
      await assert.rejects(keysOf(driver), isCorrupt);
    });

    it('does not gather a body without an end', async (t) => {
      const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
      const endless = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(300)}`;
      const { driver } = await open(t, engine, () => endless);
      await assert.rejects(keysOf(driver), isCorrupt);
    });

    it('does not gather a head without an end', async (t) => {
      const { driver } = await open(
        t,
        engine,
        () => `HTTP/1.1 200 OK\r\n${'x-more: of the same\r\n'.repeat(5_000)}`,
      );
      await assert.rejects(keysOf(driver), isCorrupt);
    });

    it('does not gather a refusal without an end', async (t) => {
      const head = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 10000000000\r\n\r\n';
      const { driver } = await open(t, engine, () => `${head}<Error><Code>`);
      await assert.rejects(keysOf(driver), isCorrupt);
    });
  });
}

describe('a service that refuses to be asked what is restored', () => {
  for (const engine of ENGINES) {
    it(`gives its listings with their classes all the same, asked once more (${engine})`, async (t) => {
      const archived = `<Contents><Key>a</Key><Size>1</Size><StorageClass>GLACIER</StorageClass></Contents>`;
      for (const [status, code] of [
        ['501 Not Implemented', 'NotImplemented'],
        ['400 Bad Request', 'InvalidArgument'],
      ] as const) {
        const { driver, asked } = await open(t, engine, ({ headers, query }) => {
          if (headers.has('x-amz-optional-object-attributes')) return refusal(status, code);
          return query.has('continuation-token') ? ok(last(entry('b'))) : ok(more(archived, 'next'));
        });
        const tiers: (string | undefined)[] = [];
        for await (const { objects } of driver.list(CTX, { prefix: '', tellsTier: true }))
          tiers.push(...objects.map(({ tier }) => tier));
        assert.deepEqual(tiers, ['GLACIER', undefined]);
        assert.equal(asked.length, 3);
      }
    });

    it(`is believed where it refuses the listing itself (${engine})`, async (t) => {
      const { driver, asked } = await open(t, engine, () => refusal('501 Not Implemented', 'NotImplemented'));
      await assert.rejects(keysOf(driver, { tellsTier: true }), (error: unknown) =>
        isStorageError(error, 'unsupported'),
      );
      assert.equal(asked.length, 2);
    });
  }
});
