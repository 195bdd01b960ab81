/**
 * Where the registry sends clients for blobs once it is on its new storage: to what `URLFor` of its driver gives
 * (distribution 2.8: registry/storage/driver/{s3-aws,azure,gcs,swift}). The storage is that of the settings which MSR
 * gets: what blobferry itself uses to reach the same bucket is another matter.
 */
import type { AzureSpec, S3Spec, StorageSpec } from '../../drivers/spec.ts';
import type { StorageSection } from '../../platform/msr/registry-settings.ts';
import { swiftRedirect } from './swift-account.ts';

/** Undefined: it sends nobody anywhere, and `why`. */
export type Redirect = { readonly address: string } | { readonly address?: undefined; readonly why: string };

const OWN = 'clients get everything from the registry itself';

/** @param section as MSR's settings will have it. */
export async function redirectOf(
  storage: StorageSpec,
  section: StorageSection,
  signal: AbortSignal,
): Promise<Redirect> {
  switch (storage.kind) {
    case 's3':
      return { address: addressOfS3(storage, section) };
    case 'azure':
      return { address: addressOfAzure(storage) };
    case 'gcs':
      return hasPrivateKey(section)
        ? { address: storage.endpoint ?? 'https://storage.googleapis.com' }
        : { why: `${OWN}: without a keyfile its driver can sign no address` };
    case 'swift': {
      const address = await swiftRedirect(storage, signal);
      return address === undefined
        ? { why: `${OWN}: this Swift checks no signed addresses (tempurl)` }
        : { address };
    }
    default:
      return { why: OWN };
  }
}

/** With `regionendpoint` the driver of 2.8 writes the bucket into the path; on AWS itself into the host. */
function addressOfS3({ bucket, region }: S3Spec, { parameters }: StorageSection): string {
  const scheme = String(parameters['secure'] ?? true) === 'false' ? 'http' : 'https';
  const given = parameters['regionendpoint'];
  if (typeof given === 'string' && given !== '')
    return /^[a-z]+:\/\//i.test(given) ? given : `${scheme}://${given}`;
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  // Its library still has the first region without a name.
  const host = region === 'us-east-1' ? `s3.${suffix}` : `s3.${region}.${suffix}`;
  return `${scheme}://${fitsHost(bucket, scheme) ? `${bucket}.` : ''}${host}`;
}

/** A dot in its name would not fit the certificate. */
function fitsHost(bucket: string, scheme: 'http' | 'https'): boolean {
  return /^[a-z\d][a-z\d.-]{1,61}[a-z\d]$/.test(bucket) && (scheme === 'http' || !bucket.includes('.'));
}

/** The account's own host, whatever way blobferry takes to it (a private endpoint has the same name). */
function addressOfAzure({ endpoint }: AzureSpec): string {
  return new URL(endpoint).origin;
}

function hasPrivateKey({ parameters }: StorageSection): boolean {
  return ['keyfile', 'credentials'].some((name) => (parameters[name] ?? '') !== '');
}
