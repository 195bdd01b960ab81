/** What a copy's CPU goes into, by kinds of work, for people who make it faster. */
import type { FunctionTime, ProfileSums } from './cpu-profile.ts';

/** The first rule that fits decides. Natives have no file; node counts the kernel's time for whoever called it. */
const KINDS: readonly (readonly [string, (one: FunctionTime) => boolean])[] = [
  ['garbage collector', ({ functionName }) => functionName === '(garbage collector)'],
  ['event loop, kernel: reading, waiting', ({ functionName }) => functionName === '(program)'],
  [
    'hashes',
    ({ functionName, url }) =>
      /internal\/crypto|^node:crypto|^node:zlib/.test(url) ||
      (url === '' && /^(update|digest|oneShotDigest|crc32|Hash|Hmac|hash)$/i.test(functionName)),
  ],
  [
    'kernel: writing to sockets and files',
    ({ functionName, url }) =>
      url === '' && /^(write|writev|write\w*String|writeBuffer|shutdown|send)/.test(functionName),
  ],
  [
    'kernel: opening, reading and syncing files',
    ({ functionName, url }) => url === '' && /^(open|read|close|fstat|stat|lstat|fsync)/.test(functionName),
  ],
  ['signing', ({ url }) => /\/transport\/sigv4/.test(url)],
  ['parsing answers', ({ url }) => /\/transport\/response-parser/.test(url)],
  ['parsing listings', ({ url }) => /\/drivers\/s3\/s3-(listing|xml|page)/.test(url)],
  ['transport', ({ url }) => url.includes('/src/transport/')],
  ['drivers', ({ url }) => url.includes('/src/drivers/')],
  ['copy', ({ url }) => url.includes('/src/copy/') || url.includes('/src/layout/')],
  ['coordinator, metrics, command line', ({ url }) => /\/src\/(coordinator|metrics|cli|plan)\//.test(url)],
  ['core', ({ url }) => url.includes('/src/core/')],
  ['node: sockets and streams', ({ url }) => /^node:(net|tls|_tls|stream|internal\/stream|events)/.test(url)],
  [
    'node: promises, ticks, timers',
    ({ functionName, url }) =>
      /^node:internal\/(process|timers|promise|async)|^node:timers/.test(url) ||
      functionName === 'runMicrotasks',
  ],
  [
    'node: modules, start',
    ({ url }) =>
      /^node:(internal\/(modules|bootstrap|main|per_context|deps|url|util|options)|path|url)|node_modules/.test(
        url,
      ),
  ],
  ['node: other', ({ url }) => url.startsWith('node:')],
  ['natives without a name of their own', ({ url }) => url === ''],
];

const FUNCTIONS_SHOWN = 30;

/** Two tables: kinds of work, and the dearest functions. */
export function sharesText({ busySeconds, functions }: ProfileSums): string {
  const kinds = new Map<string, number>();
  for (const one of functions) {
    const kind = KINDS.find(([, fits]) => fits(one))?.[0] ?? 'other';
    kinds.set(kind, (kinds.get(kind) ?? 0) + one.selfSeconds);
  }
  const line = (seconds: number, text: string): string =>
    `${((seconds / busySeconds) * 100).toFixed(1).padStart(5)} %  ${seconds.toFixed(2).padStart(6)} s  ${text}`;
  return [
    `${busySeconds.toFixed(2)} s of all threads, idle time taken off; start-up is in it`,
    '',
    ...[...kinds].sort(([, a], [, b]) => b - a).map(([kind, seconds]) => line(seconds, kind)),
    '',
    ...functions
      .slice(0, FUNCTIONS_SHOWN)
      .map((one) => line(one.selfSeconds, `${one.functionName || '(anonymous)'} ${fileOf(one.url)}`)),
  ].join('\n');
}

function fileOf(url: string): string {
  return /\/((?:src|workers|node_modules)\/.*)$/.exec(url)?.[1] ?? url;
}
