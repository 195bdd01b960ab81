/** Who vouches for a server: for people who have to know whether their nodes trust it. Nothing is sent. */
import { connect, type PeerCertificate } from 'node:tls';

const CONNECT_MS_MAX = 15_000;

/** @returns a few words: the issuer of its certificate, or why there is none to be seen. */
export async function serverAuthority(address: string, signal: AbortSignal): Promise<string> {
  const url = new URL(address);
  if (url.protocol !== 'https:') return 'over plain http, without a certificate';
  const port = url.port === '' ? 443 : Number(url.port);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const { promise, resolve } = Promise.withResolvers<string>();
  // Only looked at: whether it is trusted is for the nodes to say.
  const socket = connect({
    host,
    port,
    rejectUnauthorized: false,
    ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
  });
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS_MAX)]);
  const end = (): void => resolve('whose certificate could not be seen from here');
  inTime.addEventListener('abort', end, { once: true });
  socket.once('error', end);
  socket.once('secureConnect', () => resolve(issuerText(socket.getPeerCertificate())));
  try {
    return await promise;
  } finally {
    inTime.removeEventListener('abort', end);
    socket.destroy();
    signal.throwIfAborted();
  }
}

function issuerText({ issuer, fingerprint256 }: PeerCertificate): string {
  const names = [issuer?.CN, issuer?.O].flatMap((name) => name ?? []);
  return `certificate issued by ${names.join(', ') || 'nobody named'}, SHA-256 ${fingerprint256}`;
}
