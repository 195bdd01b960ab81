/**
 * The authority that an MSR offers under `/ca`. It is fetched without trust and without credentials, so it proves nothing
 * by itself: it is shown with its fingerprint, for a person to compare, and never trusted because it was fetched.
 */
import type { ProxySettings } from '../../transport/proxy.ts';
import { type OfferedCertificate, readCertificates } from './certificates.ts';
import { MsrConnection } from './msr-connection.ts';
import { MsrError } from './msr-error.ts';

export interface OfferedCa {
  /** As it came. */
  readonly pem: string;
  readonly certificates: readonly OfferedCertificate[];
}

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
