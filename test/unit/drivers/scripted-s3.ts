/** An S3 driver whose server answers what a test says, byte for byte. */

import type { Binding } from '../../../src/drivers/driver.ts';
import { S3Driver, type S3DriverOptions } from '../../../src/drivers/s3/s3-driver.ts';
import type { S3Spec } from '../../../src/drivers/spec.ts';
import { type Peer, startRaw } from '../transport/raw-server.ts';

export interface Asked {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** A raw answer as Latin-1 text; `close` ends the connection behind it, `reset` breaks it. */
export type Scripted = string | { readonly raw: string; readonly end: 'close' | 'reset' };

export interface ScriptedS3 {
  readonly driver: S3Driver;
  readonly asked: readonly Asked[];
}

interface Choices {
  readonly binding?: Binding;
  readonly options?: Partial<S3DriverOptions>;
  readonly spec?: Partial<S3Spec>;
}

const CREDENTIALS = { accessKeyId: 'key', secretAccessKey: 'secret' };

interface Afterwards {
  after(fn: () => Promise<void>): void;
}

/** @returns where it listens, and what it was asked. */
export async function scriptedServer(
  test: Afterwards,
  answerTo: (asked: Asked, index: number) => Scripted | Promise<Scripted>,
): Promise<{ readonly spec: S3Spec; readonly asked: readonly Asked[] }> {
  const asked: Asked[] = [];
  const server = await startRaw({
    onRequest: async (peer: Peer, { head, body }) => {
      const one = parseRequest(head, body);
      asked.push(one);
      const scripted = await answerTo(one, asked.length - 1);
      const { raw, end } = typeof scripted === 'string' ? { raw: scripted, end: 'keep' } : scripted;
      await peer.send(raw);
      if (end === 'close') peer.end();
      if (end === 'reset') peer.reset();
    },
  });
  test.after(() => server.close());
  const spec: S3Spec = {
    kind: 's3',
    bucket: 'bucket',
    rootDirectory: '',
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${server.port}`,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: CREDENTIALS,
    encrypt: false,
  };
  return { spec, asked };
}

export async function scriptedS3(
  test: Afterwards,
  answerTo: (asked: Asked, index: number) => Scripted | Promise<Scripted>,
  choices: Choices = {},
): Promise<ScriptedS3> {
  const { spec, asked } = await scriptedServer(test, answerTo);
  const options = { credentials: CREDENTIALS, ...choices.options };
  const driver = new S3Driver({ ...spec, ...choices.spec }, choices.binding, options);
  test.after(() => driver.close());
  return { driver, asked };
}

function parseRequest(head: string, body: Buffer): Asked {
  const [start = '', ...lines] = head.split('\r\n');
  const [method = '', target = ''] = start.split(' ');
  const url = new URL(target, 'http://server');
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return {
    method,
    path: decodeURIComponent(url.pathname),
    query: new Map(url.searchParams),
    headers: new Map(headers),
    body,
  };
}

export function ok(body = '', headers: Readonly<Record<string, string>> = {}, status = '200 OK'): string {
  const lines = Object.entries({ 'Content-Length': String(body.length), ...headers });
  return `HTTP/1.1 ${status}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

export function refusal(
  status: string,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said the server</Message></Error>`;
  return ok(xml, headers, status);
}
