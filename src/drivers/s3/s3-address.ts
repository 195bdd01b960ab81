/** Where the requests of a storage go, and how: host, path, trust, proxy; the same for both engines. */
import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { ConfigError } from '../../core/errors.ts';
import { HttpPool } from '../../transport/http-pool.ts';
import type { Origin } from '../../transport/http-types.ts';
import { type HttpProxy, proxyFor } from '../../transport/proxy.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type { NetworkSettings, S3Spec } from '../spec.ts';
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
  const isTls = url.protocol === 'https:';
  const hostname = spec.isPathStyle ? url.hostname : `${spec.bucket}.${url.hostname}`;
  const bare = hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const base = url.pathname.replace(/\/+$/, '');
  return {
    origin: { isTls, host: bare, port },
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
  const { origin } = addressOf(spec);
  const ca = trustedCertificates(spec);
  return new HttpPool(origin, { verifies: !spec.skipsTlsVerify, ...(ca ? { ca } : {}) }, proxyOf(spec));
}

export function proxyOf(spec: S3Spec): HttpProxy | undefined {
  return proxyFor(addressOf(spec).origin, spec.network?.proxies);
}

/**
 * PEM; undefined for Node's own set. AWS tools trust what AWS_CA_BUNDLE holds and nothing else; here it adds to what
 * Node trusts (NODE_EXTRA_CA_CERTS among it), so that one variable serves a private endpoint beside AWS itself.
 */
export function trustedCertificates(spec: S3Spec): string[] | undefined {
  const caFile = spec.network?.caFile;
  if (caFile === undefined || !usesTls(spec, spec.network)) return undefined;
  try {
    return [...getCACertificates('default'), readFileSync(caFile, 'utf8')];
  } catch (error) {
    throw new ConfigError(`Cannot read the authorities in "${caFile}": ${(error as Error).message}`, {
      cause: error,
      hint: 'AWS_CA_BUNDLE names that file; mend it or unset the variable',
    });
  }
}

function usesTls(spec: S3Spec, network: NetworkSettings | undefined): boolean {
  const { isTls } = addressOf(spec).origin;
  return isTls || network?.proxies?.http?.isTls === true;
}
