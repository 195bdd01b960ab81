/** Content digests as registries write them: `sha256:<64 hex>`, `sha512:<128 hex>`. */

export type DigestAlgorithm = 'sha256' | 'sha512';

export interface Digest {
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hexadecimal, 64 or 128 digits. */
  readonly hex: string;
}

const HEX_LENGTH: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };
const HEX = /^[0-9a-f]+$/;

export function makeDigest(algorithm: string, hex: string): Digest | undefined {
  if (algorithm !== 'sha256' && algorithm !== 'sha512') return undefined;
  return hex.length === HEX_LENGTH[algorithm] && HEX.test(hex) ? { algorithm, hex } : undefined;
}

/** Parses `sha256:…`; undefined when the text is anything else, a trailing newline included. */
export function parseDigest(text: string): Digest | undefined {
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : makeDigest(text.slice(0, colon), text.slice(colon + 1));
}

export function formatDigest(digest: Digest): string {
  return `${digest.algorithm}:${digest.hex}`;
}
