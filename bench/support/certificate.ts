/**
 * Certificates (X.509 version 3, ECDSA P-256) made with node:crypto alone, for servers of tests and of the bench: self-signed ones, which
 * may also vouch for others, and those that they vouch for.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export interface CertificateChoices {
  /** DNS names and addresses (IPv4 or IPv6) that it is good for. */
  readonly names: readonly string[];
  /** Default: from yesterday for a year. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Who vouches for it; default: it does so itself. */
  readonly issuer?: Certificate;
}

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly commonName: string;
}

const DAY_MS = 24 * 3_600_000;

export function makeCertificate(choices: CertificateChoices): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid(1, 2, 840, 10045, 4, 3, 2));
  const commonName = `test ${choices.names[0] ?? ''}`;
  const { issuer } = choices;
  const notBefore = choices.notBefore ?? new Date(Date.now() - DAY_MS);
  const notAfter = choices.notAfter ?? new Date(Date.now() + 365 * DAY_MS);
  const extensions = sequence(
    sequence(oid(2, 5, 29, 17), octets(sequence(...choices.names.map(generalName)))),
    ...(issuer ? [] : [BASIC_CONSTRAINTS_CA]),
  );
  const content = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    nameOf(issuer?.commonName ?? commonName),
    sequence(utcTime(notBefore), utcTime(notAfter)),
    nameOf(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, extensions),
  );
  const signature = sign('sha256', content, issuer ? createPrivateKey(issuer.key) : privateKey);
  const der = sequence(content, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    commonName,
  };
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(oid(2, 5, 4, 3), utf8(commonName))));
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >>> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function set(part: Buffer): Buffer {
  return tlv(0x31, part);
}

function integer(bytes: Buffer): Buffer {
  return tlv(0x02, bytes);
}

function octets(content: Buffer): Buffer {
  return tlv(0x04, content);
}

function utf8(text: string): Buffer {
  return tlv(0x0c, Buffer.from(text));
}

function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tlv(0x17, Buffer.from(`${digits}Z`));
}

function oid(first: number, second: number, ...rest: readonly number[]): Buffer {
  const bytes = rest.flatMap((value) => {
    const groups = [value & 0x7f];
    for (let left = value >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return tlv(0x06, Buffer.from([first * 40 + second, ...bytes]));
}

function generalName(name: string): Buffer {
  if (/^[\d.]+$/.test(name)) return tlv(0x87, Buffer.from(name.split('.').map(Number)));
  // The only IPv6 address that tests use.
  if (name === '::1') return tlv(0x87, Buffer.from([...Array.from({ length: 15 }, () => 0), 1]));
  return tlv(0x82, Buffer.from(name));
}

const TRUE = tlv(0x01, Buffer.from([0xff]));
/** Critical, and: it is an authority. */
const BASIC_CONSTRAINTS_CA = sequence(oid(2, 5, 29, 19), TRUE, octets(sequence(TRUE)));
