import { encode } from '../client/sign-request.ts';
import { elements, outcome, type ProbeCase, type ProbeContext } from './case.ts';

/** Chosen so that byte order, UTF-16 order and order by path segments all differ. */
const KEYS = [
  'a',
  'a b',
  'a+b',
  'a-b',
  'a/1',
  'a/2',
  'a/2/x',
  'a//y',
  'a0',
  'b&<>"\'',
  'ü',
  '\u{fffd}',
  '\u{1f600}',
  'z/',
  'z/1/2',
];

async function fill(context: ProbeContext): Promise<string> {
  const folder = decodeURIComponent(context.path('').slice(context.bucket.length + 2));
  for (const key of KEYS) {
    await context.client.send({ method: 'PUT', target: context.path(key), body: 'x' });
  }
  return folder;
}

/** @param query given the folder that all keys are in. */
function list(name: string, query: (folder: string) => string): ProbeCase {
  return {
    name,
    run: async (context) => {
      const folder = await fill(context);
      const response = await context.client.send({ target: `/${context.bucket}?${query(folder)}` });
      if (response.status !== 200) return outcome(response);
      // The folder's name differs from run to run; so do dates and owners, which are not looked at.
      const clean = (text: string): string =>
        text
          .replaceAll(encode(folder), '~/')
          .replaceAll(encode(folder).replaceAll('%2F', '/'), '~/')
          .replaceAll(folder, '~/');
      const keys = elements(response.text, 'Key').map(clean);
      const prefixes = elements(response.text, 'Prefix').map(clean);
      const rest = [
        'Delimiter',
        'MaxKeys',
        'KeyCount',
        'IsTruncated',
        'Marker',
        'NextMarker',
        'StartAfter',
        'EncodingType',
      ]
        .flatMap((one) => elements(response.text, one).map((value) => `${one}=${clean(value)}`))
        .join(' ');
      return `200 keys [${keys.join('|')}] prefixes [${prefixes.join('|')}] ${rest}`;
    },
  };
}

/** Walks all pages and gives the names in their order. */
function walk(name: string, version: 1 | 2, query: (folder: string) => string): ProbeCase {
  return {
    name,
    run: async (context) => {
      const folder = await fill(context);
      const names: string[] = [];
      let next = '';
      for (let page = 0; page < 50; page += 1) {
        const type = version === 2 ? '&list-type=2' : '';
        const target = `/${context.bucket}?${query(folder)}${type}${next}`;
        const { text } = await context.client.send({ target });
        const found = [...elements(text, 'Key'), ...elements(text, 'Prefix').slice(1)].map((one) =>
          one.slice(folder.length),
        );
        names.push(`(${found.join('|')})`);
        if (elements(text, 'IsTruncated')[0] !== 'true') break;
        const token = elements(text, version === 2 ? 'NextContinuationToken' : 'NextMarker')[0];
        const unescaped = (token ?? elements(text, 'Key').at(-1) ?? '')
          .replaceAll('&lt;', '<')
          .replaceAll('&gt;', '>')
          .replaceAll('&quot;', '"')
          .replaceAll('&apos;', "'")
          .replaceAll('&amp;', '&');
        next = `&${version === 2 ? 'continuation-token' : 'marker'}=${encode(unescaped)}`;
      }
      return names.join(' ');
    },
  };
}

const prefixed = (folder: string): string => `prefix=${encode(folder)}`;

export const LIST_CASES: readonly ProbeCase[] = [
  list('list v2: all', (folder) => `list-type=2&${prefixed(folder)}`),
  list('list v2: url encoding', (folder) => `list-type=2&encoding-type=url&${prefixed(folder)}`),
  list('list v2: delimiter', (folder) => `list-type=2&delimiter=%2F&${prefixed(folder)}`),
  list(
    'list v2: delimiter and url encoding',
    (folder) => `list-type=2&delimiter=%2F&encoding-type=url&${prefixed(folder)}`,
  ),
  list('list v2: delimiter of another kind', (folder) => `list-type=2&delimiter=b&${prefixed(folder)}`),
  list(
    'list v2: delimiter behind a folder',
    (folder) => `list-type=2&delimiter=%2F&prefix=${encode(`${folder}a/`)}`,
  ),
  list(
    'list v2: start-after a key',
    (folder) => `list-type=2&start-after=${encode(`${folder}a/1`)}&${prefixed(folder)}`,
  ),
  list(
    'list v2: start-after inside a common prefix',
    (folder) => `list-type=2&delimiter=%2F&start-after=${encode(`${folder}a/1`)}&${prefixed(folder)}`,
  ),
  list(
    'list v2: start-after a common prefix',
    (folder) => `list-type=2&delimiter=%2F&start-after=${encode(`${folder}a/`)}&${prefixed(folder)}`,
  ),
  list('list v2: start-after before the prefix', (folder) => `list-type=2&start-after=0&${prefixed(folder)}`),
  list(
    'list v2: start-after behind everything',
    (folder) => `list-type=2&start-after=${encode(`${folder}\u{10ffff}`)}&${prefixed(folder)}`,
  ),
  list('list v2: no key has this prefix', (folder) => `list-type=2&prefix=${encode(`${folder}nothing`)}`),
  list('list v2: max-keys 3', (folder) => `list-type=2&max-keys=3&${prefixed(folder)}`),
  list('list v2: max-keys 0', (folder) => `list-type=2&max-keys=0&${prefixed(folder)}`),
  list('list v2: max-keys 5000', (folder) => `list-type=2&max-keys=5000&${prefixed(folder)}`),
  list('list v2: max-keys -1', (folder) => `list-type=2&max-keys=-1&${prefixed(folder)}`),
  list('list v2: max-keys abc', (folder) => `list-type=2&max-keys=abc&${prefixed(folder)}`),
  list('list v2: unknown encoding', (folder) => `list-type=2&encoding-type=base64&${prefixed(folder)}`),
  list('list v1: all', (folder) => prefixed(folder)),
  list('list v1: max-keys 3', (folder) => `max-keys=3&${prefixed(folder)}`),
  list('list v1: max-keys 3, delimiter', (folder) => `max-keys=3&delimiter=%2F&${prefixed(folder)}`),
  list(
    'list v1: marker inside a common prefix',
    (folder) => `delimiter=%2F&marker=${encode(`${folder}a/1`)}&${prefixed(folder)}`,
  ),
  walk('list v2: pages of 2', 2, (folder) => `max-keys=2&${prefixed(folder)}`),
  walk('list v2: pages of 2, delimiter', 2, (folder) => `max-keys=2&delimiter=%2F&${prefixed(folder)}`),
  walk('list v1: pages of 2', 1, (folder) => `max-keys=2&${prefixed(folder)}`),
  walk('list v1: pages of 2, delimiter', 1, (folder) => `max-keys=2&delimiter=%2F&${prefixed(folder)}`),
];
