/** ETags that are the MD5 of what they stand for: of objects and parts that came in one piece, at S3 and its like. */
const MD5 = /^[0-9a-f]{32}$/;

/** The MD5 that an ETag is, if it looks like one: multipart ETags end in `-<parts>`. */
export function md5OfETag(etag: string | undefined): string | undefined {
  const bare = etag?.replaceAll('"', '').toLowerCase();
  return bare !== undefined && MD5.test(bare) ? bare : undefined;
}
