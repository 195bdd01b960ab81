/**
 * MD5s in listings that cannot be those of the content: some gateways give every object the ETag of an empty one, or
 * zeros, and a blob that was made empty and filled later may keep what it had. Two objects with such a one are not equal
 * for that.
 */
const OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e';
const ZEROS = '0'.repeat(32);

/** Undefined where there is none that may be true. */
export function plausibleMd5(object: {
  readonly md5?: string;
  readonly sizeBytes: number;
}): string | undefined {
  const { md5, sizeBytes } = object;
  return md5 === ZEROS || (md5 === OF_NOTHING && sizeBytes > 0) ? undefined : md5;
}
