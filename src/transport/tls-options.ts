/** How TLS is begun with a server or a proxy. */
import { isIP } from 'node:net';
import type { ConnectionOptions, SecureContext } from 'node:tls';

export function tlsOptions(
  host: string,
  verifies: boolean,
  context: SecureContext | undefined,
): ConnectionOptions {
  return {
    // A name is needed for SNI; an address must not be sent as one (RFC 6066 section 3).
    ...(isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: verifies,
    ALPNProtocols: ['http/1.1'],
    ...(context ? { secureContext: context } : {}),
  };
}
