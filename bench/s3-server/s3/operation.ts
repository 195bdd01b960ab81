/** What operations are given and what they answer. */
import type { RequestHead } from '../http/request-head.ts';
import type { Content } from '../store/content.ts';
import type { Bucket, Store } from '../store/store.ts';
import type { ChecksumAlgorithm, StoredChecksum } from './checksum.ts';
import type { Route } from './route.ts';
import { S3Error } from './s3-error.ts';
import { XML_DECLARATION } from './xml.ts';

/** What the server as a whole was told to be like. */
export interface ServiceSettings {
  readonly region: string | undefined;
  /** False: knows no `x-amz-checksum-*`. */
  readonly checksums: boolean;
  readonly checksNothing: boolean;
  readonly pageKeysMax: number;
  readonly opaqueEtags: boolean | 'dashed';
  /** What a copy's checksum is: computed where one is asked for, or only what its source has, or none. */
  readonly copyChecksums: 'computed' | 'copied' | 'none';
}

/** A body that arrived whole and passed every check. */
export interface ReceivedBody {
  readonly content: Content;
  /** Hex MD5, or an opaque value of the same shape. */
  readonly etag: string;
  /** What the client sent and the server found true. */
  readonly sent: { readonly algorithm: ChecksumAlgorithm; readonly value: string } | undefined;
  /** Base64 of a checksum that the operation asked for beforehand or the client sent. */
  checksum(algorithm: ChecksumAlgorithm): string;
}

export interface OperationRequest {
  readonly store: Store;
  readonly settings: ServiceSettings;
  readonly route: Route;
  readonly head: RequestHead;
  readonly nowMs: number;
  /** How faults bend listings. */
  readonly listing: { readonly hideWrittenSinceMs: number; readonly unordered?: 'page' | 'listing' };
  /** A bit that comes out wrong in a copy. */
  readonly copyFlip?: { readonly offset: number; readonly bit?: number } | undefined;
}

export interface Response {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** A binary string, or part of a content. */
  readonly body?: string | { readonly content: Content; readonly start: number; readonly end: number };
  /** For HEAD: what Content-Length says though no body follows. */
  readonly announcedBytes?: number;
}

export function bucketOf(request: OperationRequest): Bucket {
  const name = request.route.bucket;
  const bucket = request.store.buckets.get(name);
  if (!bucket) {
    throw new S3Error('NoSuchBucket', 'The specified bucket does not exist', {
      fields: { BucketName: name },
    });
  }
  return bucket;
}

export function xmlResponse(xml: string, headers: Response['headers'] = []): Response {
  return {
    status: 200,
    headers: [['Content-Type', 'application/xml'], ...headers],
    body: XML_DECLARATION + xml,
  };
}

export function checksumHeaders(checksum: StoredChecksum | undefined): Response['headers'] {
  if (!checksum) return [];
  return [
    [`x-amz-checksum-${checksum.algorithm}`, checksum.value],
    ['x-amz-checksum-type', checksum.type],
  ];
}
