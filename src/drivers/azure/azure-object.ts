/** What answers say of an account and its blobs, whichever engine asked. */
import type { HttpResponse } from '../../transport/http-types.ts';
import type { DriverFacts } from '../driver.ts';
import { md5OfBase64, versionOf } from './azure-listing.ts';

/** Of one Put Blob, since version 2019-12-12. */
const PUT_BYTES_MAX = 5_000 * 1024 ** 2;

/** What is known of the account: `unknown` where these credentials may not ask. */
export type Namespace = 'flat' | 'hierarchical' | 'unknown';

export function azureFacts(namespace: Namespace): DriverFacts {
  return {
    // A hierarchical account goes from folder to folder: `a/x` comes before `a-b`.
    listOrder: namespace === 'flat' ? 'bytes' : 'unsorted',
    // Whoever made a blob may have stored any MD5 with it.
    md5MayBeOpaque: true,
    writeBytesMax: PUT_BYTES_MAX,
    keepsAttributes: false,
    hasFolders: namespace === 'hierarchical',
  };
}

/** So Azurite answers where one byte of an empty blob is asked for; the service itself says 416. */
export function isRangeOfNothing({ status, headers }: Pick<HttpResponse, 'status' | 'headers'>): boolean {
  return status === 206 && headers.get('content-length') === '0';
}

/** Of a range, `content-md5` would be the range's; that of the blob is then in a header of its own. */
export function identityOf({ status, headers }: Pick<HttpResponse, 'status' | 'headers'>): {
  version?: string;
  md5?: string;
} {
  const version = headers.get('etag');
  const stored =
    headers.get('x-ms-blob-content-md5') ?? (status === 206 ? undefined : headers.get('content-md5'));
  const md5 = headers.get('x-ms-blob-type') === 'BlockBlob' ? md5OfBase64(stored) : undefined;
  return {
    ...(version === undefined ? {} : { version: versionOf(version) }),
    ...(md5 === undefined ? {} : { md5 }),
  };
}
