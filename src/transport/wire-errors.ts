/** What Node says of sockets and handshakes, in one table for both engines: which fault it is, and in which words. */
import { WireError } from './http-types.ts';

const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|INVALID_(CA|PURPOSE)|HOSTNAME_|PATH_LENGTH|EPROTO)/;
/** Nothing was sent yet when one of these comes. */
const CONNECT_CODE =
  /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EADDRNOTAVAIL|ENOTFOUND|EAI_\w+)$/;

/** Errno name, OpenSSL's or Node's own code; that of the first attempt where several addresses were tried. */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** A connection that did not come about: to the server, or (with its name) to a proxy. */
export function connectError(cause: unknown, proxyName?: string, hint?: string): WireError {
  const text = reasonOf(cause);
  if (proxyName !== undefined) {
    return new WireError('proxy', `the proxy ${proxyName} cannot be reached: ${text}`, cause);
  }
  return new WireError(TLS_CODE.test(codeOf(cause) ?? '') ? 'tls' : 'connect', text, cause, hint);
}

/** An error of Node's own client, which does not tell how far it had got. */
export function wireErrorOf(cause: Error): WireError | undefined {
  if (cause instanceof WireError) return cause;
  const code = codeOf(cause);
  if (code === undefined) return undefined;
  if (TLS_CODE.test(code) || CONNECT_CODE.test(code)) return connectError(cause);
  if (code.startsWith('HPE_')) return new WireError('malformed', 'The answer is not HTTP/1.1', cause);
  if (code === 'ETIMEDOUT') return new WireError('timeout', reasonOf(cause), cause);
  if (code === 'ECONNRESET' || code === 'EPIPE') return new WireError('reset', reasonOf(cause), cause);
  return undefined;
}

const CLOSED = 'The server closed the connection';

/** One sentence, without OpenSSL's file names and line numbers. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) {
    // A name with several addresses, none of which answers: Node's own message is empty then.
    return [...new Set(cause.errors.map(reasonOf))].join(', ') || CLOSED;
  }
  if (!(cause instanceof Error)) return CLOSED;
  const code = codeOf(cause);
  const { hostname, reason } = cause as { hostname?: unknown; reason?: unknown };
  if (code === 'ENOTFOUND') return `the host name "${String(hostname)}" has no address (${code})`;
  if (code?.startsWith('EAI_')) {
    return `the host name "${String(hostname)}" could not be looked up (${code})`;
  }
  if (code?.startsWith('ERR_SSL') || code === 'EPROTO') {
    // While something is being written Node puts OpenSSL's words into its own message, and nowhere else.
    const [, inMessage = code] = /:SSL routines:[^:]*:([^:]+):/.exec(cause.message) ?? [];
    return `the TLS handshake failed: ${typeof reason === 'string' ? reason : inMessage}`;
  }
  // Node 26 adds advice of its own, which would stand before ours.
  return cause.message.replace(/; if the root CA is installed locally.*$/, '') || code || CLOSED;
}
