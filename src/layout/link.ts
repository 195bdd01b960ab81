/** The content of link files: exactly the text of a digest, such as `sha256:<64 hex>`, without a line end. */
import { type Digest, formatDigest, parseDigest } from '../core/digest.ts';

export type LinkCheck =
  | { readonly ok: true; readonly digest: Digest }
  | { readonly ok: false; readonly reason: string };

/** `sha512:` and 128 digits. */
const LINK_BYTES_MAX = 135;

/**
 * Does this content name a digest, and the expected one if there is one?
 * The reason completes a sentence that begins with the link's path, such as `… holds nothing`.
 */
export function checkLink(content: Uint8Array, expected?: Digest): LinkCheck {
  if (content.byteLength === 0) return { ok: false, reason: 'holds nothing instead of a digest' };
  if (content.byteLength > LINK_BYTES_MAX + 2) {
    return { ok: false, reason: `holds ${content.byteLength} bytes that are no digest` };
  }
  // One character for each byte, so that no broken UTF-8 is mended on the way.
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1');
  if (expected && text === formatDigest(expected)) return { ok: true, digest: expected };
  const digest = parseDigest(text);
  if (!digest) return { ok: false, reason: whatItIsInstead(text) };
  if (expected && (digest.algorithm !== expected.algorithm || digest.hex !== expected.hex)) {
    return { ok: false, reason: `names ${formatDigest(digest)} instead of ${formatDigest(expected)}` };
  }
  return { ok: true, digest };
}

function whatItIsInstead(text: string): string {
  if (/^\0+$/.test(text)) return `holds ${text.length} zero bytes instead of a digest`;
  const trimmed = parseDigest(text.trim());
  if (trimmed) return `has white space around the digest ${formatDigest(trimmed)}`;
  return `holds ${text.length} bytes that are no digest`;
}
