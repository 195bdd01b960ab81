/** Exchanges that broke before there was an answer: what that means to a copy, and what to do. One table for all services and engines. */
import { type ErrorKind, StorageError } from '../../core/errors.ts';
import { WireError, type WireFault } from '../../transport/http-types.ts';
import { codeOf } from '../../transport/wire-errors.ts';
import { type HttpCall, serviceOf, subject } from './call.ts';

interface WireMeaning {
  readonly kind: ErrorKind;
  /** Every further request would meet the same. */
  readonly isLasting?: true;
}

const MEANINGS: Readonly<Record<WireFault, WireMeaning>> = {
  connect: { kind: 'unavailable' },
  tls: { kind: 'unavailable', isLasting: true },
  proxy: { kind: 'unavailable' },
  'proxy-refused': { kind: 'denied', isLasting: true },
  reset: { kind: 'unavailable' },
  stale: { kind: 'unavailable' },
  truncated: { kind: 'corrupt' },
  timeout: { kind: 'timeout' },
  'too-slow': { kind: 'timeout' },
  malformed: { kind: 'corrupt' },
  'too-large': { kind: 'corrupt' },
};

/** A broken exchange. Anything that is no WireError (an abort's reason, a body that failed) is passed on as it is. */
export function errorOfWire(call: HttpCall, error: unknown): unknown {
  if (!(error instanceof WireError)) return error;
  const { kind, isLasting = false } = MEANINGS[error.fault];
  return new StorageError(
    `Cannot ${call.operation} ${subject(call)}: ${error.message}`,
    {
      kind,
      backend: call.backend,
      operation: call.operation,
      backendCode: `wire-${error.fault}`,
      isTransient: !isLasting,
      scope: isLasting ? 'backend' : 'object',
      ...(call.key === undefined ? {} : { key: call.key }),
    },
    { cause: error, hint: error.hint ?? hintOf(call, error) },
  );
}

function hintOf(call: HttpCall, error: WireError): string | undefined {
  const code = codeOf(error.cause) ?? '';
  switch (error.fault) {
    case 'connect':
      return /^(ENOTFOUND|EAI_)/.test(code)
        ? `Check the host name of the endpoint${whatNamesHost(call)}, and that this machine can look names up; behind a proxy set HTTPS_PROXY`
        : 'Check the endpoint, its port and the network; behind a proxy set HTTPS_PROXY';
    case 'tls':
      return tlsHint(call, code);
    case 'proxy':
      return 'Check HTTPS_PROXY and HTTP_PROXY, and that the proxy runs; hosts in NO_PROXY are reached without it';
    case 'reset':
    case 'malformed':
      return `If this stays, check that the endpoint is ${serviceOf(call)} and its scheme the right one: https:// for a port that speaks TLS, else http://`;
    case 'timeout':
    case 'too-slow':
      return 'If this stays, check the load of the server and what is between here and there';
    default:
      return undefined;
  }
}

/** The parameters that a host name is made of. */
function whatNamesHost({ backend }: HttpCall): string {
  if (backend.startsWith('s3://')) return ' (on AWS the region)';
  if (backend.startsWith('azure://')) return ' (accountname and realm, or serviceurl)';
  return backend.startsWith('swift://') ? ' (authurl, or the address in the catalog)' : '';
}

/** What the settings call it. */
function skipParameterOf({ backend }: HttpCall): string {
  return backend.startsWith('swift://') ? 'insecureskipverify' : 'skipverify';
}

function tlsHint(call: HttpCall, code: string): string {
  const skip = skipParameterOf(call);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    const pathStyle = call.backend.startsWith('s3://') ? ' (path style keeps the bucket out of it)' : '';
    return `Give the endpoint by a name that is in the certificate${pathStyle}, or set ${skip}`;
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return 'Renew the certificate of the server; if that is in order, set the clock of this machine';
  }
  if (code.startsWith('ERR_SSL') || code === 'EPROTO') {
    return 'If the server speaks plain HTTP on this port, write http:// in the endpoint; else it must offer TLS 1.2 or newer';
  }
  return `Trust its authority with NODE_EXTRA_CA_CERTS=ca.pem or AWS_CA_BUNDLE=ca.pem, or set ${skip}`;
}
