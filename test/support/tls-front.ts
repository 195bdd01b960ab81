/** A server over TLS that says nothing of use: for what happens before a request gets through. */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Certificate } from '../../bench/support/certificate.ts';

/** @returns its address. */
export async function tlsFront(t: TestContext, { cert, key }: Certificate): Promise<string> {
  const server = createServer({ cert, key }, (_, answer) => void answer.writeHead(404).end());
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
