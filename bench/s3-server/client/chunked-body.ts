/** Builds `aws-chunked` bodies, right ones and wrong ones. */
import { createHmac } from 'node:crypto';
import { type SignedRequest, sha256Hex } from './sign-request.ts';

function sign(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex');
}

export interface ChunkedBodyOptions {
  readonly chunks: readonly (string | Uint8Array)[];
  /** Given: chunks (and trailers) are signed with it. */
  readonly signed?: SignedRequest;
  readonly trailers?: Readonly<Record<string, string>>;
  /** Signs the chunk with this index wrongly; `trailer` the trailers. */
  readonly wrong?: number | 'trailer';
}

export function chunkedBody(options: ChunkedBodyOptions): Buffer {
  const { signed, trailers } = options;
  let previous = signed?.signature ?? '';
  const pieces: Buffer[] = [];
  for (const [index, chunk] of [...options.chunks, ''].entries()) {
    const data = Buffer.from(chunk);
    let extension = '';
    if (signed) {
      const key = options.wrong === index ? Buffer.from('wrong') : signed.signingKey;
      previous = sign(
        key,
        `AWS4-HMAC-SHA256-PAYLOAD\n${signed.amzDate}\n${signed.scope}\n${previous}\n${sha256Hex('')}\n${sha256Hex(data)}`,
      );
      extension = `;chunk-signature=${previous}`;
    }
    pieces.push(Buffer.from(`${data.length.toString(16)}${extension}\r\n`), data);
    if (data.length > 0) pieces.push(Buffer.from('\r\n'));
  }
  let tail = '';
  for (const [name, value] of Object.entries(trailers ?? {})) tail += `${name}:${value}\r\n`;
  if (signed && trailers) {
    const canonical = Object.entries(trailers).map(([name, value]) => `${name}:${value}\n`);
    const key = options.wrong === 'trailer' ? Buffer.from('wrong') : signed.signingKey;
    const signature = sign(
      key,
      `AWS4-HMAC-SHA256-TRAILER\n${signed.amzDate}\n${signed.scope}\n${previous}\n${sha256Hex(canonical.join(''))}`,
    );
    tail += `x-amz-trailer-signature:${signature}\r\n`;
  }
  pieces.push(Buffer.from(`${tail}\r\n`));
  return Buffer.concat(pieces);
}
