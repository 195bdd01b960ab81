/**
 * Answers of the AWS SDK's clients before the SDK reads them. It would collect whatever a server sends, and its parser
 * takes what it does not know for nothing (another document for an empty listing, an unknown entity for no character),
 * so bodies are bounded here and listings kept for the parser that both engines share.
 */
import type { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { WireError } from '../../transport/http-types.ts';
import { COLLECT_BYTES_MAX } from './s3-client.ts';

/** Complete may work for minutes, sending white space meanwhile. */
const COLLECT_MS_MAX = 10 * 60_000;
const EMPTY_LISTING = Buffer.from('<ListBucketResult></ListBucketResult>');

interface WireResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  body: Uint8Array | (AsyncIterable<Uint8Array> & { destroy(error?: Error): void }) | undefined;
}

/** What speaks of an object is as long as that is: its body goes where it is read to, or, of a HEAD, never comes. */
const OF_AN_OBJECT = new Set<string | undefined>(['GetObjectCommand', 'HeadObjectCommand']);

/** Every other body is collected here, up to a limit. */
export function boundAnswers(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      const response = result.response as WireResponse;
      if (!OF_AN_OBJECT.has(context.commandName) || response.statusCode >= 300) {
        response.body = await collected(response);
      }
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'boundAnswers' },
  );
}

/** @returns the listing as it came, once the command was sent; undefined where it was refused. */
export function keptListing(command: ListObjectsV2Command): () => Buffer | undefined {
  let kept: Buffer | undefined;
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as WireResponse;
      if (response.statusCode >= 300) return result;
      kept = await collected(response);
      response.body = EMPTY_LISTING;
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'keptListing' },
  );
  return () => kept;
}

/** @throws WireError where it is too large, or takes too long. */
async function collected({ body, headers }: WireResponse): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0);
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const tooLarge = (bytes: string): WireError => {
    body.destroy();
    return new WireError('too-large', `The answer has ${bytes} bytes, more than ${COLLECT_BYTES_MAX}`);
  };
  const announced = headers['content-length'];
  if (Number(announced) > COLLECT_BYTES_MAX) throw tooLarge(String(announced));
  const late = new WireError('timeout', `The answer did not end within ${COLLECT_MS_MAX / 1000} s`);
  const timer = setTimeout(() => body.destroy(late), COLLECT_MS_MAX);
  try {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of body) {
      bytes += piece.length;
      if (bytes > COLLECT_BYTES_MAX) throw tooLarge(`at least ${bytes}`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces, bytes);
  } finally {
    clearTimeout(timer);
  }
}
