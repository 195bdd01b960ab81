/**
 * The authority that an MSR offers under `/ca`. It is fetched without trust and without credentials, so it proves nothing
 * by itself: it is shown with its fingerprint, for a person to compare, and never trusted because it was fetched.
 */
import { X509Certificate } from 'node:crypto';
import type { ProxySettings } from '../../transport/proxy.ts';
import { MsrConnection } from './msr-connection.ts';
import { MsrError } from './msr-error.ts';

export interface OfferedCertificate {
  readonly subject: string;
  readonly issuer: string;
  /** SHA-256, pairs of hex digits with colons between them. */
  readonly fingerprint: string;
  readonly validFrom: Date;
  readonly validTo: Date;
}

export interface OfferedCa {
  /** As it came. */
  readonly pem: string;
  readonly certificates: readonly OfferedCertificate[];
}

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const CA_BYTES_MAX = 1024 * 1024;

/** @param url `https://host[:port]` */
export async function fetchCa(url: string, signal: AbortSignal, proxies?: ProxySettings): Promise<OfferedCa> {
  // Nothing secret is sent over this connection: there is no one yet whom to trust.
  const access = { url, username: 'nobody', secret: 'nothing', isInsecure: true };
  const msr = new MsrConnection({ ...access, ...(proxies ? { proxies } : {}) });
  try {
    const operation = 'fetch the authority';
    const answer = await msr.send(signal, {
      method: 'GET',
      operation,
      path: '/ca',
      authorization: 'none',
      bytesMax: CA_BYTES_MAX,
    });
    const pem = answer.body.toString('latin1');
    const certificates = readCertificates(pem);
    if (certificates) return { pem, certificates };
    const details = { kind: 'malformed', server: msr.name, operation } as const;
    throw new MsrError('the answer holds no certificate in PEM', {
      ...details,
      isTransient: false,
      mayHaveActed: false,
    });
  } finally {
    msr.close();
  }
}

/** Undefined where the text has no certificate, or one that cannot be read. */
export function readCertificates(pem: string): readonly OfferedCertificate[] | undefined {
  const blocks = pem.match(BLOCK) ?? [];
  try {
    const certificates = blocks.map((block) => describe(new X509Certificate(block)));
    return certificates.length === 0 ? undefined : certificates;
  } catch {
    return undefined;
  }
}

function describe(certificate: X509Certificate): OfferedCertificate {
  const oneLine = (name: string | undefined): string => (name ?? '').replaceAll('\n', ', ');
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    fingerprint: certificate.fingerprint256,
    validFrom: certificate.validFromDate,
    validTo: certificate.validToDate,
  };
}
