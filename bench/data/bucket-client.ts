/** Requests whose bodies are too large for memory, to fill buckets and to read back what lies in them. */
import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encode, sha256Hex, signRequest, TEST_SIGNER } from '../s3-server/client/sign-request.ts';

export interface BucketAddress {
  readonly endpoint: string;
  readonly bucket: string;
  readonly ca?: string | undefined;
}

export interface ObjectToSend {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** One PUT, at most 5 GiB. */
export async function sendObject(
  address: BucketAddress,
  { path, sizeBytes, sha256 }: ObjectToSend,
  pieces: Iterable<Buffer>,
): Promise<void> {
  const { outgoing, answered } = open(address, 'PUT', path, sha256, { 'content-length': sizeBytes });
  const [response] = await Promise.all([answered, pipeline(Readable.from(pieces), outgoing)]);
  const text = await textOf(response);
  if (response.statusCode !== 200) throw new Error(`PUT ${path}: ${response.statusCode} ${text}`);
}

/** Reads an object from its server, as any client would. @returns lower-case hex. */
export async function sha256OfObject(address: BucketAddress, path: string): Promise<string> {
  const { outgoing, answered } = open(address, 'GET', path, sha256Hex(''), {});
  outgoing.end();
  const response = await answered;
  if (response.statusCode !== 200)
    throw new Error(`GET ${path}: ${response.statusCode} ${await textOf(response)}`);
  const digest = createHash('sha256');
  for await (const piece of response) digest.update(piece as Buffer);
  return digest.digest('hex');
}

function open(
  { endpoint, bucket, ca }: BucketAddress,
  method: 'GET' | 'PUT',
  path: string,
  payloadHash: string,
  more: Readonly<Record<string, number>>,
): { readonly outgoing: ReturnType<typeof httpRequest>; readonly answered: Promise<IncomingMessage> } {
  const { protocol, host, hostname, port } = new URL(endpoint);
  const target = `/${bucket}/${path.split('/').map(encode).join('/')}`;
  const { headers } = signRequest(TEST_SIGNER, { method, host, target, payloadHash });
  const options: RequestOptions = { hostname, port, method, path: target, headers: { ...headers, ...more } };
  const outgoing =
    protocol === 'https:' ? httpsRequest({ ...options, ...(ca ? { ca } : {}) }) : httpRequest(options);
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
  });
  return { outgoing, answered };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}
