/** Headers of uploads: what the target's configuration asks for. Nothing is taken over from the source object. */
import type { HttpResponse } from '../../transport/http-types.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import type { Fields } from '../http/service-client.ts';
import type { GcsSpec } from '../spec.ts';
import { differs, type GcsHashes, hashesIn } from './gcs-hash.ts';

export function gcsObjectHeaders(spec: GcsSpec): Fields {
  const { contentType = 'application/octet-stream', predefinedAcl, storageClass, kmsKeyName } = spec;
  return [
    ['content-type', contentType],
    ...(predefinedAcl === undefined ? [] : [['x-goog-acl', predefinedAcl] as const]),
    ...(storageClass === undefined ? [] : [['x-goog-storage-class', storageClass] as const]),
    ...(kmsKeyName === undefined ? [] : [['x-goog-encryption-kms-key-name', kmsKeyName] as const]),
  ];
}

/** The service says what it got; that costs nothing to look at. @throws StorageError of kind `corrupt`. */
export function demandSame(call: HttpCall, sent: GcsHashes, { headers }: HttpResponse): void {
  if (differs(sent, hashesIn(headers))) {
    throw malformed(call, 'the service says that it holds other bytes than were sent');
  }
}
