/** Where a service is and how it is reached: origin, trust, proxy; the same for every service and engine. */
import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { ConfigError } from '../../core/errors.ts';
import { HttpPool } from '../../transport/http-pool.ts';
import type { Origin } from '../../transport/http-types.ts';
import { type HttpProxy, proxyFor } from '../../transport/proxy.ts';
import type { NetworkSettings } from '../spec.ts';

/** What the settings of a storage say of the way to its service. */
export interface Reached {
  readonly skipsTlsVerify: boolean;
  readonly network?: NetworkSettings;
}

/** @param url with scheme `http` or `https`. */
export function originOf(url: URL): Origin {
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  return { isTls, host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

/** @throws ConfigError where the further authorities cannot be read. */
export function openPoolTo(origin: Origin, reached: Reached): HttpPool {
  const ca = trustedCertificatesFor(origin, reached);
  const proxy = proxyTo(origin, reached);
  return new HttpPool(origin, { verifies: !reached.skipsTlsVerify, ...(ca ? { ca } : {}) }, proxy);
}

export function proxyTo(origin: Origin, { network }: Reached): HttpProxy | undefined {
  return proxyFor(origin, network?.proxies);
}

/**
 * PEM; undefined for Node's own set. AWS tools trust what AWS_CA_BUNDLE holds and nothing else; here it adds to what
 * Node trusts (NODE_EXTRA_CA_CERTS among it), so that one variable serves a private endpoint beside AWS itself.
 */
export function trustedCertificatesFor(origin: Origin, { network }: Reached): string[] | undefined {
  const caFile = network?.caFile;
  const usesTls = origin.isTls || network?.proxies?.http?.isTls === true;
  if (caFile === undefined || !usesTls) return undefined;
  try {
    return [...getCACertificates('default'), readFileSync(caFile, 'utf8')];
  } catch (error) {
    throw new ConfigError(`Cannot read the authorities in "${caFile}": ${(error as Error).message}`, {
      cause: error,
      hint: 'AWS_CA_BUNDLE names that file; mend it or unset the variable',
    });
  }
}
