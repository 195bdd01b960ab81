/** Which request fields are kept with an object and given back. */
import type { RequestHead } from '../http/request-head.ts';
import type { Attributes } from '../store/store.ts';
import { S3Error } from './s3-error.ts';

const KEPT: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-acl',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-bucket-key-enabled',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
]);

const META = 'x-amz-meta-';
/** AWS: names and values of user metadata together. */
const META_BYTES_MAX = 2048;

/** Fields that ask for what this server does not do; to ignore them would be to lie. */
const REFUSED = [
  'x-amz-grant-',
  'x-amz-object-lock-',
  'x-amz-server-side-encryption-customer-',
  'x-amz-tagging',
];

export function attributesOf(head: RequestHead): Attributes {
  const kept: (readonly [string, string])[] = [];
  let metaBytes = 0;
  for (const [name, value] of head.headers) {
    if (name === 'x-amz-tagging-directive') continue;
    if (name.startsWith('x-amz-') && REFUSED.some((prefix) => name.startsWith(prefix))) {
      throw new S3Error(
        'NotImplemented',
        `A header you provided implies functionality that is not implemented: ${name}`,
      );
    }
    if (name.startsWith(META)) metaBytes += name.length - META.length + value.length;
    else if (!KEPT.has(name)) continue;
    if (name === 'content-encoding') {
      const rest = withoutAwsChunked(value);
      if (rest !== '') kept.push([name, rest]);
    } else {
      kept.push([name, value]);
    }
  }
  if (metaBytes > META_BYTES_MAX) {
    throw new S3Error('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size', {
      fields: { Size: metaBytes, MaxSizeAllowed: META_BYTES_MAX },
    });
  }
  return kept;
}

/** The framing of the upload is no property of the object. */
function withoutAwsChunked(value: string): string {
  return value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== 'aws-chunked' && one !== '')
    .join(', ');
}

/** What a copy keeps of its source: not how and where the source is stored, which each request says for itself. */
export function copiedAttributes(source: Attributes, head: RequestHead): Attributes {
  const described = source.filter(([name]) => !name.startsWith('x-amz-') || name.startsWith(META));
  const stored = attributesOf(head).filter(([name]) => name.startsWith('x-amz-') && !name.startsWith(META));
  return [...described, ...stored];
}

/** Does the object's encryption make its ETag something other than an MD5? */
export function isKmsEncrypted(attributes: Attributes): boolean {
  return attributes.some(
    ([name, value]) => name === 'x-amz-server-side-encryption' && value.startsWith('aws:kms'),
  );
}
