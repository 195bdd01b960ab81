/** Refusals that can be mended without the user: a wrong clock, another region, credentials that have expired. */
import { StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { textOf } from '../http/xml.ts';
import type { S3Credentials, S3Spec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { textOfAnswer } from './s3-errors.ts';

/** Servers allow 15 minutes, some less. */
const SKEW_MS = 5 * 60_000;
const EXPIRED_CODES = ['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired'];

/** From which difference between the clocks on a refusal is its fault; undefined where it never is. */
export function leastSkewOf(method: string, { details }: StorageError): number | undefined {
  if (details.backendCode === 'RequestTimeTooSkewed') return 1_000;
  // The answer to HEAD has no body, and so no code: a wrong clock looks like a missing permission.
  return method === 'HEAD' && details.status === 403 ? SKEW_MS : undefined;
}

/** Epoch milliseconds: what the refusal says of the clock it was checked by, or the Date of the answer. */
export function serverTimeOf(response: HttpResponse): number | undefined {
  const said = textOf(textOfAnswer(response), 'ServerTime') ?? response.headers.get('date');
  const time = Date.parse(said ?? '');
  return Number.isNaN(time) ? undefined : time;
}

export function isExpiry(method: string, { details }: StorageError, credentials: S3Credentials): boolean {
  if (details.backendCode !== undefined) return EXPIRED_CODES.includes(details.backendCode);
  // Without a body there is no code; only temporary credentials whose end is not known to be far can be meant.
  const isRefusal = details.status === 400 || details.status === 403;
  const mayHaveExpired = (credentials.expiresAtMs ?? 0) < Date.now() + SKEW_MS;
  return method === 'HEAD' && isRefusal && credentials.sessionToken !== undefined && mayHaveExpired;
}

/** The region that a refusal says the bucket is in. */
export function regionIn(response: HttpResponse): string | undefined {
  const { status, headers } = response;
  const text = textOfAnswer(response);
  const code = textOf(text, 'Code');
  const isMoved =
    status === 301 ||
    status === 307 ||
    code === 'AuthorizationHeaderMalformed' ||
    code === 'IllegalLocationConstraintException' ||
    // HEAD: the header alone tells it from other refusals.
    (code === undefined && status === 400);
  if (!isMoved) return undefined;
  const region = headers.get('x-amz-bucket-region') ?? textOf(text, 'Region');
  return region !== undefined && /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(region) ? region : undefined;
}

/** @param offsetMs what the server's clock is ahead of this machine's. */
export function clockNotice(spec: S3Spec, offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / 60_000);
  const way = offsetMs > 0 ? 'behind' : 'ahead of';
  return `The clock of this machine is ${minutes} minutes ${way} that of ${storageName(spec)}: requests are signed by the server’s; set the one that is wrong`;
}

export function movedNotice(spec: S3Spec, region: string): string {
  return `The bucket of ${storageName(spec)} is in the region "${region}", not in "${spec.region}": requests go there; write that region into its settings`;
}

/** @param regions in the order in which the server sent from one to the next. */
export function movedError(error: StorageError, regions: readonly string[]): StorageError {
  const [from, ...to] = regions.map((region) => `"${region}"`);
  const { backend, operation } = error.details;
  return new StorageError(
    `Cannot ${operation} ${backend}: the server sends requests from region ${from} on to ${to.join(' and from there to ')}`,
    { ...error.details, kind: 'unsupported', isTransient: false, scope: 'backend' },
    { cause: error, hint: 'Check region and endpoint: one of the two belongs to another service' },
  );
}
