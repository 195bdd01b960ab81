/**
 * How much the embedded server does with one core: `node bench/s3-server/perf.ts [--connections 16] [--seconds 3]`.
 * The server runs in a process of its own and its CPU time is what counts; the client's is on another core. One JSON line
 * per measurement: requests or bytes per second of wall time, and per second of the server's CPU time.
 */
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { crc32 } from 'node:zlib';
import { sha256Hex, signRequest, TEST_SIGNER } from './client/sign-request.ts';
import type { S3ServerOptions } from './s3-server.ts';
import { type S3ServerProcess, startS3ServerProcess } from './s3-server-process.ts';

const BUCKET = 'perf';
const MIB = 1024 * 1024;
const LISTED_KEYS = 1_000_000;

interface Load {
  readonly name: string;
  readonly method: 'GET' | 'PUT';
  readonly body: Buffer;
  readonly isUnsigned?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  target(request: number): string;
  readonly bytesEach: number;
}

/** One keep-alive connection that sends a request, waits for the whole response, and goes on until told to stop. */
function driveConnection(port: number, load: Load, next: () => number | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const host = `127.0.0.1:${port}`;
  const payloadHash = load.isUnsigned ? 'UNSIGNED-PAYLOAD' : sha256Hex(load.body);
  let head = '';
  let bodyLeft = -1;
  const take = (bytes: number, buffer: Uint8Array): boolean => {
    let at = 0;
    if (bodyLeft < 0) {
      head += Buffer.from(buffer.buffer, buffer.byteOffset, bytes).toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return true;
      if (!head.startsWith('HTTP/1.1 20')) {
        reject(new Error(`The server refused: ${head}`));
        socket.destroy();
        return false;
      }
      bodyLeft = Number(/content-length: (\d+)/i.exec(head.slice(0, end))?.[1] ?? 0);
      // What has been read of the body was all in this one buffer, or in heads before it.
      at = bytes - (head.length - end - 4);
      head = '';
    }
    bodyLeft -= bytes - at;
    if (bodyLeft === 0) send();
    return true;
  };
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: { buffer: Buffer.alloc(256 * 1024), callback: take },
  });
  const send = (): void => {
    bodyLeft = -1;
    const request = next();
    if (request === undefined) {
      socket.end();
      resolve();
      return;
    }
    const target = load.target(request);
    const { headers } = signRequest(TEST_SIGNER, {
      method: load.method,
      host,
      target,
      payloadHash,
      ...(load.headers ? { headers: load.headers } : {}),
    });
    let text = `${load.method} ${target} HTTP/1.1\r\n`;
    for (const [name, value] of Object.entries(headers)) text += `${name}: ${value}\r\n`;
    if (load.method === 'PUT') text += `content-length: ${load.body.length}\r\n`;
    text += '\r\n';
    if (load.body.length > 4096) {
      socket.cork();
      socket.write(text);
      socket.write(load.body);
      socket.uncork();
    } else {
      socket.write(text + load.body.toString('latin1'), 'latin1');
    }
  };
  socket.once('connect', send);
  socket.once('error', reject);
  return promise;
}

async function measure(
  server: S3ServerProcess,
  load: Load,
  connections: number,
  seconds: number,
): Promise<void> {
  let count = 0;
  const before = (await server.stats()).cpuSeconds;
  const start = performance.now();
  const until = start + seconds * 1000;
  const next = (): number | undefined => (performance.now() < until ? count++ : undefined);
  await Promise.all(Array.from({ length: connections }, () => driveConnection(server.port, load, next)));
  const wall = (performance.now() - start) / 1000;
  const { cpuSeconds, rssBytes } = await server.stats();
  report(load.name, count, load.bytesEach, wall, cpuSeconds - before, rssBytes);
}

function report(
  name: string,
  count: number,
  bytesEach: number,
  wall: number,
  cpu: number,
  rss: number,
): void {
  const rate = (seconds: number): Record<string, number> =>
    bytesEach >= MIB
      ? { mibPerSecond: Math.round((count * bytesEach) / MIB / seconds) }
      : { perSecond: Math.round(count / seconds) };
  const line = {
    measured: name,
    count,
    wallSeconds: round(wall),
    serverCpuSeconds: round(cpu),
    wall: rate(wall),
    perServerCpuSecond: rate(cpu),
    serverRssMib: Math.round(rss / MIB),
    node: process.version,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

async function measureListing(server: S3ServerProcess): Promise<void> {
  const batch = 50_000;
  for (let first = 0; first < LISTED_KEYS; first += batch) {
    const objects = Array.from({ length: batch }, (_, index) => ({
      key: `docker/registry/v2/blobs/sha256/${sha256Hex(String(first + index))}/data`,
      body: Buffer.from('x'),
    }));
    await server.put(BUCKET, objects);
  }
  let token: string | undefined;
  let pages = 0;
  let keys = 0;
  const before = (await server.stats()).cpuSeconds;
  const start = performance.now();
  do {
    const query = `list-type=2&prefix=docker%2F${token === undefined ? '' : `&continuation-token=${token}`}`;
    const { headers } = signRequest(TEST_SIGNER, {
      method: 'GET',
      host: `127.0.0.1:${server.port}`,
      target: `/${BUCKET}?${query}`,
      payloadHash: sha256Hex(''),
    });
    const { host: _host, ...rest } = headers;
    const xml = await (await fetch(`${server.endpoint}/${BUCKET}?${query}`, { headers: rest })).text();
    token = /<NextContinuationToken>([^<]+)</.exec(xml)?.[1];
    keys += xml.split('<Contents>').length - 1;
    pages += 1;
  } while (token !== undefined);
  const wall = (performance.now() - start) / 1000;
  if (keys !== LISTED_KEYS) throw new Error(`The listing gave ${keys} keys of ${LISTED_KEYS}`);
  const { cpuSeconds, rssBytes } = await server.stats();
  report(`keys listed in ${pages} pages`, keys, 0, wall, cpuSeconds - before, rssBytes);
}

const SMALL = Buffer.alloc(180, 'a');
const LARGE = Buffer.alloc(8 * MIB, 'b');
const NOTHING = Buffer.alloc(0);

function smallLoad(method: Load['method']): Load {
  const body = method === 'PUT' ? SMALL : NOTHING;
  // Every PUT makes a new key; the GETs meet the first thousand of them.
  const target = (n: number): string => `/${BUCKET}/small/${method === 'PUT' ? n : n % 1000}`;
  return { name: `${method} of 180 B`, method, body, target, bytesEach: SMALL.length };
}

function largeLoad(
  method: Load['method'],
  how: string,
  fields: Pick<Load, 'isUnsigned' | 'headers'> = {},
): Load {
  const body = method === 'PUT' ? LARGE : NOTHING;
  const target = (n: number): string => `/${BUCKET}/large/${n % 8}`;
  return { name: `${method} of 8 MiB${how}`, method, body, target, bytesEach: LARGE.length, ...fields };
}

function crcHeader(body: Buffer): Readonly<Record<string, string>> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return { 'x-amz-checksum-crc32': bytes.toString('base64') };
}

const UNSIGNED = { isUnsigned: true, headers: crcHeader(LARGE) } as const;

async function withServer(
  options: S3ServerOptions,
  run: (server: S3ServerProcess) => Promise<void>,
): Promise<void> {
  const server = await startS3ServerProcess({ buckets: [BUCKET], ...options });
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      connections: { type: 'string', default: '16' },
      seconds: { type: 'string', default: '3' },
      'skip-listing': { type: 'boolean', default: false },
    },
  });
  const connections = Number(values.connections);
  const seconds = Number(values.seconds);
  await withServer({}, async (server) => {
    const loads = [
      smallLoad('PUT'),
      smallLoad('GET'),
      largeLoad('PUT', ', hash signed'),
      largeLoad('PUT', ', CRC32 instead', UNSIGNED),
      largeLoad('GET', ''),
    ];
    for (const load of loads) await measure(server, load, connections, seconds);
    if (!values['skip-listing']) await measureListing(server);
  });
  // As the bench's target is: what is left is the cost of receiving and checking.
  await withServer({ storage: 'discard', opaqueEtags: true }, async (server) => {
    await measure(server, largeLoad('PUT', ', hash signed, no MD5, discarded'), connections, seconds);
    await measure(
      server,
      largeLoad('PUT', ', CRC32 instead, no MD5, discarded', UNSIGNED),
      connections,
      seconds,
    );
  });
}

await main();
