/** A port of the loopback for one end of a floor. */
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

export interface ServerCertificate {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
}

/** @returns the port. */
export async function listen(
  accept: (socket: Socket) => void,
  certificate?: ServerCertificate,
): Promise<number> {
  const server = certificate ? createTlsServer(certificate, accept) : createServer(accept);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server is not listening');
  return address.port;
}
