/**
 * A server of objects that keeps HTTP, but not its manners: how it behaves stands in the key that it is asked for. What
 * an object holds follows from its key as well, so that nothing is remembered of thousands of them.
 */
import { hash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { TlsOptions } from 'node:tls';
import { seededBytes } from '../support/seeded.ts';
import { answer, type Peer, type RawServer, startRaw } from '../unit/transport/raw-server.ts';

/** `right`: the bytes arrive. `wrong`: they do not, and the client must notice. */
type Outcome = 'right' | 'wrong';

interface Behaviour {
  readonly outcome: Outcome;
  /** Closes or breaks the connection behind its answer without having said so: the next request may meet that. */
  readonly leavesStale?: true;
  /** @param key chooses where the answer is cut. */
  act(peer: Peer, bytes: Buffer, key: ObjectKey): unknown;
}

export interface ObjectKey {
  readonly behaviour: string;
  readonly sizeBytes: number;
  readonly number: number;
}

const POOL = seededBytes('bad-server', 'content', 9 * 1024 ** 2);
const ETAG = 'ETag: "v"\r\n';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const ERROR_XML =
  '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>said the server</Message></Error>';
const BUSY = answer(ERROR_XML, '503 Slow Down');
const GONE = answer('<Error><Code>AccessDenied</Code><Message>no</Message></Error>', '403 Forbidden');
const STORED = answer('', '200 OK', ETAG);

export function keyOf({ behaviour, sizeBytes, number }: ObjectKey): string {
  return `${behaviour}/${sizeBytes}/${number}`;
}

/** Bytes that differ from object to object; valid for ever, not to be written to. */
export function contentOf({ sizeBytes, number }: ObjectKey): Buffer {
  const at = (number * 7_919) % (POOL.length - sizeBytes + 1);
  return POOL.subarray(at, at + sizeBytes);
}

function head(bytes: number, headers = ''): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\n${ETAG}${headers}Content-Length: ${bytes}\r\n\r\n`);
}

function whole(bytes: Buffer, headers = '', length = bytes.length): Buffer {
  return Buffer.concat([head(length, headers), bytes]);
}

function inChunks(bytes: Buffer, key: ObjectKey): Buffer {
  const pieces: Buffer[] = [Buffer.from(`HTTP/1.1 200 OK\r\n${ETAG}Transfer-Encoding: chunked\r\n\r\n`)];
  const step = 1 + ((key.number * 31) % 40_000);
  for (let at = 0; at < bytes.length; at += step) {
    const chunk = bytes.subarray(at, at + step);
    pieces.push(Buffer.from(`${chunk.length.toString(16)};x=y\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\nX-Trailer: t\r\n\r\n')]);
}

/** Places between 1 and the length, by the key's number. */
function cutsOf(length: number, { number }: ObjectKey): readonly number[] {
  return Array.from({ length: number % 6 }, (_, index) => 1 + ((number * 7 + index * index * 977) % length));
}

function sendCut(peer: Peer, raw: Buffer, key: ObjectKey): Promise<void> {
  return peer.send(raw, cutsOf(raw.length, key));
}

/** Behind the answer, when the client has it and keeps the connection. */
async function thenIdle(end: () => void): Promise<void> {
  for (let turns = 0; turns < 4; turns += 1) await turn();
  end();
}

/** What a GET meets. */
const READS: Readonly<Record<string, Behaviour>> = {
  plain: { outcome: 'right', act: (peer, bytes, key) => sendCut(peer, whole(bytes), key) },
  chunked: { outcome: 'right', act: (peer, bytes, key) => sendCut(peer, inChunks(bytes, key), key) },
  interim: {
    outcome: 'right',
    act: (peer, bytes, key) => sendCut(peer, Buffer.concat([Buffer.from(CONTINUE), whole(bytes)]), key),
  },
  closing: {
    outcome: 'right',
    act: (peer, bytes) => peer.socket.end(whole(bytes, 'Connection: close\r\n')),
  },
  'closing-unsaid': {
    outcome: 'right',
    leavesStale: true,
    act: (peer, bytes) => peer.socket.end(whole(bytes)),
  },
  'until-close': {
    outcome: 'right',
    act: (peer, bytes) =>
      peer.socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${ETAG}\r\n`), bytes])),
  },
  'until-close-cut': {
    outcome: 'wrong',
    act: (peer, bytes) =>
      peer.socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${ETAG}\r\n`), bytes.subarray(1)])),
  },
  'idle-reset': {
    outcome: 'right',
    leavesStale: true,
    act: (peer, bytes) => peer.socket.write(whole(bytes), () => void thenIdle(() => peer.reset())),
  },
  'length-too-long': {
    outcome: 'wrong',
    act: (peer, bytes) => peer.socket.end(whole(bytes, '', bytes.length + 9)),
  },
  'length-too-short': {
    outcome: 'wrong',
    act: (peer, bytes) => peer.socket.write(whole(bytes, '', bytes.length - 1)),
  },
  'body-too-long': {
    outcome: 'wrong',
    act: (peer, bytes) => peer.socket.write(whole(Buffer.concat([bytes, bytes]))),
  },
  'half-then-reset': {
    outcome: 'wrong',
    act: (peer, bytes) => peer.socket.write(whole(bytes).subarray(0, -1), () => peer.reset()),
  },
  'chunk-cut': {
    outcome: 'wrong',
    act: (peer, bytes, key) => peer.socket.end(inChunks(bytes, key).subarray(0, -3)),
  },
  'no-answer': { outcome: 'wrong', act: (peer) => peer.end() },
  reset: { outcome: 'wrong', act: (peer) => peer.reset() },
  busy: { outcome: 'wrong', act: (peer) => peer.socket.write(BUSY) },
  garbage: { outcome: 'wrong', act: (peer) => peer.socket.write('220 mail.example.com ESMTP\r\n') },
};

/** What a PUT meets when its body is there. */
const WRITES: Readonly<Record<string, Behaviour>> = {
  stores: { outcome: 'right', act: (peer, _, key) => sendCut(peer, Buffer.from(STORED), key) },
  'stores-closing': {
    outcome: 'right',
    act: (peer) => peer.socket.end(answer('', '200 OK', `${ETAG}Connection: close\r\n`)),
  },
  'stores-in-chunks': {
    outcome: 'right',
    act: (peer) => peer.socket.write(`HTTP/1.1 200 OK\r\n${ETAG}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  },
  'stores-then-resets': {
    outcome: 'right',
    leavesStale: true,
    act: (peer) => peer.socket.write(STORED, () => void thenIdle(() => peer.reset())),
  },
  'write-busy': { outcome: 'wrong', act: (peer) => peer.socket.write(BUSY) },
  'write-no-answer': { outcome: 'wrong', act: (peer) => peer.end() },
  'write-reset': { outcome: 'wrong', act: (peer) => peer.reset() },
};

/** What a PUT meets before its body is there. */
const EARLY: Readonly<Record<string, Behaviour>> = {
  continues: { outcome: 'right', act: (peer) => peer.socket.write(CONTINUE) },
  'early-refusal': { outcome: 'wrong', act: (peer) => peer.socket.write(GONE) },
  'early-busy-and-close': { outcome: 'wrong', act: (peer) => peer.socket.end(BUSY) },
  'early-refusal-reads-no-more': {
    outcome: 'wrong',
    act: (peer) => {
      peer.socket.pause();
      // Whoever reads no more does not see the end either: what the client does is learnt by writing.
      peer.socket.write(GONE, () => peer.socket.resume());
    },
  },
  'early-reset': { outcome: 'wrong', act: (peer) => peer.reset() },
};

/** Bodies must be larger than what the two kernels hold between them, else they count as given. */
const EARLY_SUCCESS: Readonly<Record<string, Behaviour>> = {
  'early-success': {
    outcome: 'wrong',
    act: (peer) => {
      peer.socket.pause();
      peer.socket.write(STORED, () => peer.socket.resume());
    },
  },
};

export const READ_BEHAVIOURS = Object.keys(READS);
export const WRITE_BEHAVIOURS = [...Object.keys(WRITES), ...Object.keys(EARLY)];
export const EARLY_SUCCESS_BYTES = 8 * 1024 ** 2;

export function behaviourOf(name: string): Behaviour {
  const found = READS[name] ?? WRITES[name] ?? EARLY[name] ?? EARLY_SUCCESS[name];
  if (!found) throw new Error(`The server has no behaviour "${name}"`);
  return found;
}

export interface BadServer {
  readonly raw: RawServer;
  /** Keys whose content came whole and was answered as stored. */
  readonly stored: ReadonlySet<string>;
  /** Requests that came, whole or in part. */
  requests(): number;
}

export async function startBadServer(tls?: TlsOptions): Promise<BadServer> {
  const stored = new Set<string>();
  let requests = 0;
  const raw = await startRaw(
    {
      onHead: (peer, headText) => {
        requests += 1;
        const key = keyIn(headText);
        const early = EARLY[key.behaviour] ?? EARLY_SUCCESS[key.behaviour];
        if (early) void early.act(peer, contentOf(key), key);
      },
      onRequest: (peer, { head: headText, body }) => {
        // What the raw server remembers of requests would be taken for a leak.
        (raw.requests as unknown[]).length = 0;
        const key = keyIn(headText);
        if (headText.startsWith('GET ')) {
          void READS[key.behaviour]?.act(peer, contentOf(key), key);
          return;
        }
        if (headText.startsWith('HEAD ')) {
          peer.socket.write(head(key.sizeBytes));
          return;
        }
        const early = EARLY[key.behaviour] ?? EARLY_SUCCESS[key.behaviour];
        const isStored = behaviourOf(key.behaviour).outcome === 'right' && isSigned(headText, body);
        if (isStored) stored.add(keyOf(key));
        if (!early) void WRITES[key.behaviour]?.act(peer, body, key);
        else if (isStored) peer.socket.write(STORED);
      },
    },
    tls,
  );
  return { raw, stored, requests: () => requests };
}

function isSigned(headText: string, body: Buffer): boolean {
  const [, sha256 = ''] = /^x-amz-content-sha256: *(\w+)/im.exec(headText) ?? [];
  return sha256 === hash('sha256', body, 'hex');
}

function keyIn(headText: string): ObjectKey {
  const [, behaviour = '', size = '', number = ''] =
    /^[A-Z]+ \/bucket\/([\w-]+)\/(\d+)\/(\d+)[ ?]/.exec(headText) ?? [];
  return { behaviour, sizeBytes: Number(size), number: Number(number) };
}
