/** How far a server's clock is from ours: signed requests are refused beyond 15 minutes. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { S3Spec } from '../drivers/spec.ts';

const TIMEOUT_MS = 5_000;

/**
 * Asks the server's root for nothing, without signing, and reads the `Date` of its refusal.
 * @returns seconds that the server is ahead, to about half a second; undefined when it cannot be told.
 */
export async function clockSkewOf(spec: S3Spec, signal: AbortSignal): Promise<number | undefined> {
  const url = new URL(spec.endpoint ?? `https://s3.${spec.region}.amazonaws.com`);
  const startedMs = Date.now();
  const date = await dateOf(url, spec.skipsTlsVerify, signal).catch(() => undefined);
  signal.throwIfAborted();
  const serverMs = Date.parse(date ?? '');
  if (Number.isNaN(serverMs)) return undefined;
  // The header has whole seconds, cut off; it was written about half-way between asking and hearing.
  return (serverMs + 500 - (startedMs + Date.now()) / 2) / 1000;
}

function dateOf(url: URL, skipsTlsVerify: boolean, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const options = { method: 'HEAD', agent: false, signal, timeout: TIMEOUT_MS } as const;
    const request =
      url.protocol === 'https:'
        ? requestHttps(url, { ...options, rejectUnauthorized: !skipsTlsVerify })
        : requestHttp(url, options);
    request.on('response', (response) => {
      response.destroy();
      resolve(response.headers.date);
    });
    request.on('timeout', () => request.destroy(new Error('No answer')));
    request.on('error', reject);
    request.end();
  });
}
