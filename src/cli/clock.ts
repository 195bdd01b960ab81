/** How far a server's clock is from ours: signed requests are refused beyond 15 minutes. */
import { addressOf, openPool } from '../drivers/s3/s3-address.ts';
import type { S3Spec } from '../drivers/spec.ts';

const TIMEOUT_MS = 5_000;

/**
 * Asks the server's root for nothing, without signing, and reads the `Date` of its refusal.
 * @returns seconds that the server is ahead, to about half a second; undefined when it cannot be told.
 */
export async function clockSkewOf(spec: S3Spec, signal: AbortSignal): Promise<number | undefined> {
  const startedMs = Date.now();
  const date = await dateOf(spec, signal).catch(() => undefined);
  signal.throwIfAborted();
  const serverMs = Date.parse(date ?? '');
  if (Number.isNaN(serverMs)) return undefined;
  // The header has whole seconds, cut off; it was written about half-way between asking and hearing.
  return (serverMs + 500 - (startedMs + Date.now()) / 2) / 1000;
}

async function dateOf(spec: S3Spec, signal: AbortSignal): Promise<string | undefined> {
  const { host } = addressOf(spec);
  const pool = openPool(spec);
  try {
    const { headers } = await pool.request({
      method: 'HEAD',
      target: '/',
      headerLines: `host: ${host}\r\n`,
      bodyBytes: 0,
      collectBytesMax: 0,
      headTimeoutMs: TIMEOUT_MS,
      signal,
    });
    return headers.get('date');
  } finally {
    pool.close();
  }
}
