/** Single values of an S3 storage, wherever they are written: YAML or URL. */
import { isIP } from 'node:net';
import type { Environment } from './environment.ts';
import { Refused } from './parameter.ts';

export function readBucket(text: string): string | Refused {
  if (text === '') return new Refused('is empty');
  if (/^arn:/i.test(text))
    return new Refused('must be the name of a bucket (access point ARNs are not supported)');
  if (text.includes('/')) {
    return new Refused('must be the bucket alone (the rest belongs into rootdirectory)');
  }
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html
  if (/--x-s3$/.test(text)) {
    return new Refused('must not be a directory bucket: those have sessions and listings of their own');
  }
  // Buckets older than the DNS rules of 2018 have capitals and `_`, up to 255 characters; Ceph's tenants bring a `:`.
  const isName = /^[A-Za-z0-9][A-Za-z0-9._:-]{1,253}[A-Za-z0-9_-]$/.test(text);
  return isName
    ? text
    : new Refused('must be the name of a bucket (3 to 255 letters, digits, ".", "_" or "-")');
}

export function readRegion(text: string): string | undefined | Refused {
  if (text === '') return undefined;
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text) ? text : new Refused('must be the name of a region');
}

/**
 * An endpoint with or without its scheme, as `scheme://host[:port][/path]`. What is wrong is said without showing it:
 * someone may have put credentials into it.
 */
export function readEndpoint(text: string): string | undefined | Refused {
  if (text === '') return undefined;
  const hasScheme = text.includes('://');
  const url = URL.parse(hasScheme ? text : `https://${text}`);
  if (!url || url.hostname === '' || /[\s\p{Cc}]/u.test(text)) {
    return new Refused('must be a URL such as https://s3.example.com:9000');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return new Refused('must begin with http:// or https://');
  if (url.username !== '' || url.password !== '') {
    return new Refused('must not hold credentials; accesskey and secretkey, or the environment, give them');
  }
  if (url.search !== '' || url.hash !== '')
    return new Refused('must not hold a query ("?") or a fragment ("#")');
  const path = url.pathname.replace(/\/+$/, '');
  // Without a scheme the port is kept as written: `:443` is no default yet.
  return hasScheme ? `${url.origin}${path}` : text.replace(/\/+$/, '');
}

export function withScheme(endpoint: string, isSecure: boolean): string {
  if (endpoint.includes('://')) return endpoint;
  // Through URL once more, so that the scheme's own port is left out whichever scheme it is.
  const url = new URL(`${isSecure ? 'https' : 'http'}://${endpoint}`);
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** AWS takes its own region names only; elsewhere any name goes. */
export function isAwsRegion(region: string): boolean {
  return /^[a-z]{2,5}(?:-[a-z]+)+-\d+$/.test(region);
}

/** What servers other than AWS are signed for when nothing else is said; most do not look at it. */
export const REGION_OF_OTHERS = 'us-east-1';

/** The region where the AWS SDK looks for it; empty variables count as unset. */
export function regionFromEnvironment(
  env: Environment,
  hasOwnEndpoint: boolean,
): { readonly region: string; readonly note: string } | Refused | undefined {
  const variable = ['AWS_REGION', 'AWS_DEFAULT_REGION'].find((name) => env[name]);
  if (variable === undefined) return undefined;
  const region = readRegion(env[variable] ?? '');
  if (typeof region !== 'string' || !(hasOwnEndpoint || isAwsRegion(region))) {
    return new Refused(`${variable} holds no region of AWS`);
  }
  return { region, note: `the region is "${region}", from ${variable}` };
}

/**
 * Can the bucket stand in front of the host name? Not with capitals or `_`, not as an IP address, and not with dots
 * over TLS, where `*.s3.amazonaws.com` in the certificate covers one name only. AWS keeps path style for these.
 */
function fitsHostName(bucket: string, isTls: boolean): boolean {
  if (!/^[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]$/.test(bucket) || /\.\.|\.-|-\./.test(bucket)) return false;
  return isIP(bucket) === 0 && !(isTls && bucket.includes('.'));
}

export interface PathStyleOptions {
  /** What the user said, if anything. */
  readonly asked: boolean | undefined;
  /** Distribution 2.8 puts the bucket into the path as soon as there is an endpoint; 3 does so when told to. */
  readonly hasOwnEndpoint: boolean;
  readonly isTls: boolean;
  /** Where it is an IP address, no name can be put in front of it. */
  readonly endpoint: string | undefined;
}

/** Does the bucket stand in the path of requests instead of the host name? */
export function usesPathStyle(bucket: string, options: PathStyleOptions): boolean {
  const host = URL.parse(options.endpoint ?? '')?.hostname.replace(/^\[|\]$/g, '') ?? '';
  if (isIP(host) !== 0) return true;
  return (options.asked ?? options.hasOwnEndpoint) || !fitsHostName(bucket, options.isTls);
}

export interface AwsEndpointOptions {
  readonly region: string;
  readonly isSecure: boolean;
  readonly isDualStack: boolean;
  readonly isFips: boolean;
  readonly isAccelerated: boolean;
}

/** DNS suffixes of AWS's partitions other than the first (AWS SDK, partitions.json, 2026-11). */
const PARTITIONS: readonly { readonly region: RegExp; readonly suffix: string }[] = [
  { region: /^cn-/, suffix: 'amazonaws.com.cn' },
  { region: /^eusc-/, suffix: 'amazonaws.eu' },
  { region: /^us-iso-/, suffix: 'c2s.ic.gov' },
  { region: /^us-isob-/, suffix: 'sc2s.sgov.gov' },
  { region: /^us-isof-/, suffix: 'csp.hci.ic.gov' },
  { region: /^eu-isoe-/, suffix: 'cloud.adc-e.uk' },
];

/** Where AWS itself serves the region in the way asked for; undefined for the ordinary endpoint. */
export function awsEndpoint(options: AwsEndpointOptions): string | undefined {
  const { region, isSecure, isDualStack, isFips, isAccelerated } = options;
  const partition = PARTITIONS.find((one) => one.region.test(region));
  if (!partition && isSecure && !isDualStack && !isFips && !isAccelerated) return undefined;
  const suffix = partition?.suffix ?? 'amazonaws.com';
  const scheme = isSecure ? 'https' : 'http';
  const dualStack = isDualStack ? '.dualstack' : '';
  if (isAccelerated) return `${scheme}://s3-accelerate${dualStack}.${suffix}`;
  return `${scheme}://${isFips ? 's3-fips' : 's3'}${dualStack}.${region}.${suffix}`;
}
