/** Display names of storages: what messages, events and reports call them. They never hold a secret. */
import { pathToFileURL } from 'node:url';
import type { AzureSpec, GcsSpec, S3Spec, StorageSpec } from './spec.ts';

/** `file:///srv/registry`, `s3://bucket/root`, `s3://bucket/root at http://host:port`, `memory://name`. */
export function storageName(spec: StorageSpec): string {
  switch (spec.kind) {
    case 'fs':
      return pathToFileURL(spec.rootDirectory).href;
    case 's3':
      return printable(`s3://${spec.bucket}${rootOf(spec)}${placeOf(spec)}`);
    case 'gcs':
      return printable(`gs://${spec.bucket}${rootOf(spec)}${placeOf(spec)}`);
    case 'swift':
      return printable(`swift://${spec.container}${pathOf(spec.prefix)} at ${serverOf(spec.access.authUrl)}`);
    case 'azure':
      return printable(azureName(spec));
    case 'memory':
      return printable(`memory://${spec.name}`);
  }
}

/**
 * What makes two storages the same one, where a name for people does not tell: each project of a Swift, and each region,
 * may have a container of the same name. No secret.
 */
export function storageIdentity(spec: StorageSpec): string {
  const name = storageName(spec);
  if (spec.kind !== 'swift') return name;
  const { access } = spec;
  const { tenant, tenantId, tenantDomain, tenantDomainId, domain, domainId, region } = access;
  const isTempauth = access.authVersion === 1;
  const owner = {
    // `account:user`
    account: isTempauth ? access.user.split(':')[0] : undefined,
    project: tenantId ?? tenant,
    domain: tenantDomainId ?? tenantDomain ?? domainId ?? domain,
    region,
  };
  const told = Object.entries(owner).filter(([, value]) => value !== undefined && value !== '');
  return printable([name, ...told.map(([what, value]) => `${what} ${value}`)].join(', '));
}

/** Is this a name that Amazon Web Services serves, in whichever of its partitions? */
export function isAwsHost(hostname: string): boolean {
  return /(?:^|\.)(?:amazonaws\.(?:com|com\.cn|eu)|c2s\.ic\.gov|sc2s\.sgov\.gov|csp\.hci\.ic\.gov|cloud\.adc-e\.uk)$/i.test(
    hostname,
  );
}

/** An account at Microsoft is known by its name; which of Azure's clouds it is in shows in the host. */
function azureName(spec: AzureSpec): string {
  const place = /^https:\/\/[^/]*\.blob\.core\.windows\.net$/.test(spec.endpoint)
    ? ''
    : ` at ${serverOf(spec.endpoint)}`;
  return `azure://${spec.accountName}/${spec.container}${pathOf(spec.rootDirectory)}${place}`;
}

function rootOf(spec: S3Spec | GcsSpec): string {
  return pathOf(spec.rootDirectory);
}

function pathOf(root: string): string {
  const bare = root.replace(/^\/+|\/+$/g, '');
  return bare === '' ? '' : `/${bare}`;
}

/** Scheme, host and port alone: user information, path and query of an address may be secret. */
function serverOf(address: string): string {
  const url = URL.parse(address);
  return url ? `${url.protocol}//${url.host}` : 'an address that is no URL';
}

/** Scheme, host and port alone: user information, path and query of an endpoint may be secret. */
function placeOf(spec: S3Spec | GcsSpec): string {
  if (spec.endpoint === undefined) return '';
  const url = URL.parse(spec.endpoint);
  if (!url) return ' at an endpoint that is no URL';
  return isAwsHost(url.hostname) ? '' : ` at ${url.protocol}//${url.host}`;
}

/** Control characters would let a name rewrite the terminal it is shown on. */
function printable(name: string): string {
  return name.replace(/\p{Cc}/gu, (character) => encodeURIComponent(character));
}
