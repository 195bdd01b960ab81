/** Content digests as registries write them: `sha256:<64 hex>`, `sha512:<128 hex>`. */

export type DigestAlgorithm = 'sha256' | 'sha512';

export interface Digest {
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hexadecimal, 64 or 128 digits. */
  readonly hex: string;
}

const HEX = /^[0-9a-f]+$/;

/** The algorithm's name is not the caller's: that would be a slice, which holds on to what it was cut from. */
export function makeDigest(algorithm: string, hex: string): Digest | undefined {
  if (algorithm === 'sha256')
    return hex.length === 64 && HEX.test(hex) ? { algorithm: 'sha256', hex } : undefined;
  if (algorithm === 'sha512')
    return hex.length === 128 && HEX.test(hex) ? { algorithm: 'sha512', hex } : undefined;
  return undefined;
}

/** Parses `sha256:…`; undefined when the text is anything else, a trailing newline included. */
export function parseDigest(text: string): Digest | undefined {
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : makeDigest(text.slice(0, colon), text.slice(colon + 1));
}

export function formatDigest(digest: Digest): string {
  return `${digest.algorithm}:${digest.hex}`;
}
