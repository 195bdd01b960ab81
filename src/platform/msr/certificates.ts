/** Certificates in PEM, as people compare them. */
import { X509Certificate } from 'node:crypto';

export interface OfferedCertificate {
  readonly subject: string;
  readonly issuer: string;
  /** SHA-256, pairs of hex digits with colons between them. */
  readonly fingerprint: string;
  readonly validFrom: Date;
  readonly validTo: Date;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

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
