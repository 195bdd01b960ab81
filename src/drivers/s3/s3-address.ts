/** Where the requests of a storage go, and how: host, path, trust, proxy; the same for both engines. */
import type { HttpPool } from '../../transport/http-pool.ts';
import type { Origin } from '../../transport/http-types.ts';
import type { HttpProxy } from '../../transport/proxy.ts';
import { encodePath } from '../../transport/sigv4.ts';
import { openPoolTo, originOf, proxyTo, trustedCertificatesFor } from '../http/endpoint.ts';
import type { S3Spec } from '../spec.ts';
import { isAwsHost } from '../spec-name.ts';

export interface S3Address {
  readonly origin: Origin;
  /** The Host field, as it is signed. */
  readonly host: string;
  /** What stands before `/key` in every path. */
  readonly pathPrefix: string;
}

export function endpointOf(spec: S3Spec): string {
  return spec.endpoint ?? `https://s3.${spec.region}.amazonaws.com`;
}

export function addressOf(spec: S3Spec): S3Address {
  const url = new URL(endpointOf(spec));
  const hostname = spec.isPathStyle ? url.hostname : `${spec.bucket}.${url.hostname}`;
  const base = url.pathname.replace(/\/+$/, '');
  return {
    origin: { ...originOf(url), host: hostname.replace(/^\[|\]$/g, '') },
    host: url.port === '' ? hostname : `${hostname}:${url.port}`,
    pathPrefix: spec.isPathStyle ? `${base}/${encodePath(spec.bucket)}` : base,
  };
}

/** The same storage in another region: on AWS that is another endpoint, elsewhere only another signature. */
export function relocated(spec: S3Spec, region: string): S3Spec {
  if (spec.endpoint === undefined) return { ...spec, region };
  const url = new URL(spec.endpoint);
  if (!isAwsHost(url.hostname)) return { ...spec, region };
  const hostname = url.hostname.includes(`.${spec.region}.`)
    ? url.hostname.replace(`.${spec.region}.`, `.${region}.`)
    : url.hostname.replace(/^s3\.amazonaws\.com$/, `s3.${region}.amazonaws.com`);
  url.hostname = hostname;
  return { ...spec, region, endpoint: `${url.origin}${url.pathname.replace(/\/+$/, '')}` };
}

/** @throws ConfigError where the further authorities cannot be read. */
export function openPool(spec: S3Spec): HttpPool {
  return openPoolTo(addressOf(spec).origin, spec);
}

export function proxyOf(spec: S3Spec): HttpProxy | undefined {
  return proxyTo(addressOf(spec).origin, spec);
}

/** @throws ConfigError where the further authorities cannot be read. */
export function trustedCertificates(spec: S3Spec): string[] | undefined {
  return trustedCertificatesFor(addressOf(spec).origin, spec);
}
