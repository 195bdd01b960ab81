/**
 * `x-goog-hash: crc32c=…,md5=…`, both in base64 and the CRC-32C big-endian: sent, it binds a body; in an answer it is
 * what the service keeps (https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash). Objects made of
 * parts have no MD5.
 */
import { createHash, hash } from 'node:crypto';
import { crc32c } from '../../core/crc32c.ts';
import type { Binding, Body, CallContext } from '../driver.ts';
import { untilAborted } from '../or-aborted.ts';

export interface GcsHashes {
  /** Unsigned. */
  readonly crc32c?: number;
  /** Lower-case hex. */
  readonly md5?: string;
}

/** The service sends one field for each, or one for both. */
export function hashesIn(headers: ReadonlyMap<string, string>): GcsHashes {
  const found: { crc32c?: number; md5?: string } = {};
  for (const one of headers.get('x-goog-hash')?.split(',') ?? []) {
    const [, name, base64 = ''] = /^\s*(crc32c|md5)=([\w+/]+=*)\s*$/.exec(one) ?? [];
    const bytes = Buffer.from(base64, 'base64');
    if (name === 'crc32c' && bytes.length === 4) found.crc32c = bytes.readUInt32BE();
    if (name === 'md5' && bytes.length === 16) found.md5 = bytes.toString('hex');
  }
  return found;
}

export function hashHeader({ crc32c: sum, md5 }: GcsHashes): readonly (readonly [string, string])[] {
  const values: string[] = [];
  if (sum !== undefined) values.push(`crc32c=${crc32cBase64(sum)}`);
  if (md5 !== undefined) values.push(`md5=${Buffer.from(md5, 'hex').toString('base64')}`);
  return values.length === 0 ? [] : [['x-goog-hash', values.join(',')]];
}

function crc32cBase64(sum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum >>> 0);
  return bytes.toString('base64');
}

/**
 * What a body is bound by: the CRC-32C, or the MD5 where only that was seen to be checked; nothing where nothing is. As
 * long as nobody has asked, the CRC-32C. A body that is no buffer is read for it before it is sent.
 */
export async function hashesOf(
  ctx: CallContext,
  body: Body,
  binding: Binding | undefined,
): Promise<GcsHashes> {
  ctx.signal.throwIfAborted();
  if (!binding || binding.crc32c) {
    if (body.bytes) return { crc32c: crc32c(body.bytes) };
    let sum = 0;
    for await (const piece of untilAborted(body.open(), ctx.signal)) sum = crc32c(piece, sum);
    return { crc32c: sum };
  }
  if (!binding.contentMd5) return {};
  if (body.bytes) return { md5: hash('md5', body.bytes, 'hex') };
  const hasher = createHash('md5');
  for await (const piece of untilAborted(body.open(), ctx.signal)) hasher.update(piece);
  return { md5: hasher.digest('hex') };
}

/** Does what the service says it has differ from what it was sent? */
export function differs(sent: GcsHashes, kept: GcsHashes): boolean {
  const isOtherSum = sent.crc32c !== undefined && kept.crc32c !== undefined && sent.crc32c !== kept.crc32c;
  return isOtherSum || (sent.md5 !== undefined && kept.md5 !== undefined && sent.md5 !== kept.md5);
}
