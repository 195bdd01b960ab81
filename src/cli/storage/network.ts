/**
 * How services are reached, as the environment says: HTTPS_PROXY, HTTP_PROXY, NO_PROXY, AWS_CA_BUNDLE. Read here
 * once, for all threads and both engines. Values may hold a password and are never shown.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import type { AzureSpec, GcsSpec, NetworkSettings, S3Spec, SwiftSpec } from '../../drivers/spec.ts';
import { storageName } from '../../drivers/spec-name.ts';
import { type HttpProxy, type ProxySettings, proxyFor } from '../../transport/proxy.ts';
import type { Environment } from './environment.ts';

/** Storages that are reached over the network. */
type RemoteSpec = S3Spec | SwiftSpec | GcsSpec | AzureSpec;

export interface NetworkReading<S extends RemoteSpec> {
  readonly spec: S;
  readonly notes: readonly string[];
}

/**
 * The same storage with what the environment says of the way to it.
 * @throws ConfigError for values that this storage would need and that make no sense.
 */
export function withNetwork<S extends RemoteSpec>(spec: S, env: Environment): NetworkReading<S> {
  const server = serverOf(spec);
  const proxies = readProxies(env);
  const caFile = server.isTls && !spec.skipsTlsVerify ? readCaFile(spec, env) : undefined;
  const network: NetworkSettings = {
    ...(proxies ? { proxies } : {}),
    ...(caFile === undefined ? {} : { caFile }),
  };
  const proxy = proxyFor(server, proxies);
  const notes = [
    ...(proxy ? [`${storageName(spec)} is reached through the proxy ${proxy.name}`] : []),
    ...(server.isTls && !spec.skipsTlsVerify ? extraCertificateNotes(env) : []),
  ];
  return { spec: Object.keys(network).length === 0 ? spec : { ...spec, network }, notes };
}

function serverOf(spec: RemoteSpec): {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
} {
  const url = new URL(addressOf(spec));
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  return { isTls, host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

/** Where a service answers. */
function addressOf(spec: RemoteSpec): string {
  // The address of the account comes with the token; it is most likely on the same side of the proxy.
  if (spec.kind === 'swift') return spec.access.authUrl;
  if (spec.kind === 'gcs') return spec.endpoint ?? 'https://storage.googleapis.com';
  if (spec.kind === 'azure') return spec.endpoint;
  return spec.endpoint ?? `https://s3.${spec.region}.amazonaws.com`;
}

/** Small letters win, as with curl; an empty variable counts as unset. */
export function readProxies(env: Environment): ProxySettings | undefined {
  const https = readProxy(env, 'https_proxy');
  const http = readProxy(env, 'http_proxy');
  if (!https && !http) return undefined;
  const [, exceptions = ''] = given(env, 'no_proxy') ?? [];
  return { ...(https ? { https } : {}), ...(http ? { http } : {}), exceptions };
}

function given(env: Environment, name: string): readonly [name: string, value: string] | undefined {
  for (const variable of [name, name.toUpperCase()]) {
    const value = env[variable]?.trim();
    if (value) return [variable, value];
  }
  return undefined;
}

function readProxy(env: Environment, name: string): HttpProxy | undefined {
  const [variable = name, text] = given(env, name) ?? [];
  if (text === undefined) return undefined;
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    throw new ConfigError(`${variable} names a proxy of kind "${scheme}", which blobferry does not speak`, {
      hint: PROXY_HINT,
    });
  }
  const url = URL.parse(scheme === undefined ? `http://${text}` : text);
  const authorization = url && authorizationOf(url);
  if (!url || url.hostname === '' || authorization === null) {
    throw new ConfigError(`${variable} holds no URL of a proxy`, { hint: PROXY_HINT });
  }
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  return {
    isTls,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    name: `${url.protocol}//${url.hostname}:${port}`,
    ...(authorization === undefined ? {} : { authorization }),
  };
}

const PROXY_HINT =
  'write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with special characters in the password as %XX; hosts to be reached without it belong into NO_PROXY';

/** Null where the credentials cannot be decoded. */
function authorizationOf({ username, password }: URL): string | undefined | null {
  if (username === '' && password === '') return undefined;
  try {
    const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(plain).toString('base64')}`;
  } catch {
    return null;
  }
}

function readCaFile(spec: RemoteSpec, env: Environment): string | undefined {
  const file = env['AWS_CA_BUNDLE'];
  if (!file) return undefined;
  const problem = problemOfCertificates(file);
  if (problem === undefined) return resolve(file);
  throw new ConfigError(`AWS_CA_BUNDLE names "${file}" for ${storageName(spec)}: ${problem}`, {
    hint: 'Give a PEM file with the certificates of the authorities to trust, or unset AWS_CA_BUNDLE',
  });
}

/** Node ignores a file that it cannot read, with a warning that is easily missed. */
function extraCertificateNotes(env: Environment): readonly string[] {
  const file = env['NODE_EXTRA_CA_CERTS'];
  const problem = file ? problemOfCertificates(file) : undefined;
  return problem === undefined ? [] : [`NODE_EXTRA_CA_CERTS names "${file}" and is not used: ${problem}`];
}

const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** Completes `… names "file": `; undefined where the file holds certificates and nothing broken. */
function problemOfCertificates(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
    if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
    return code === 'EISDIR' ? 'it is a folder' : message;
  }
  if (text.trim() === '') return 'the file is empty';
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) return 'the file holds no certificate in PEM form';
  return certificates.every(isCertificate) ? undefined : 'the file holds a certificate that cannot be read';
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem.replace('TRUSTED ', '')).subject !== undefined;
  } catch {
    return false;
  }
}
