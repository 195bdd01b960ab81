/** What S3's answers mean, as errors of the driver; the codes are in one table (`s3-error-codes.ts`). */
import type { StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { type HttpCall, type Meaning, refusedError } from '../http/call.ts';
import { codeSafely, saidSafely } from '../http/said.ts';
import { textOf } from '../http/xml.ts';
import { CHECK_KEYS, FULL, meaningOfCode, THROTTLED } from './s3-error-codes.ts';

/** What an answer was, as far as its meaning goes; shared with the SDK engine. */
export interface S3Answer {
  /** Empty where there is none: HEAD, and whatever is no S3 service. */
  readonly code: string;
  readonly status: number;
  /** The request was for no object. */
  readonly isOfBucket: boolean;
  /** It has marks of the service itself: a request id, or a wish to be asked again later. */
  readonly isFromService: boolean;
}

export function meaningOf({ code, status, isOfBucket, isFromService }: S3Answer): Meaning {
  const known = meaningOfCode(code);
  if (known) return known;
  // S3 says of a bucket why it is not there; a web server does not.
  if (status === 404 && isOfBucket) {
    return { kind: 'not-found', scope: 'backend', hint: 'Check that the endpoint is an S3 service' };
  }
  if (status === 404) return { kind: 'not-found' };
  if (status === 401 || status === 403) return { kind: 'denied', hint: CHECK_KEYS };
  if (status === 412) return { kind: 'precondition' };
  if (status === 416) return { kind: 'range' };
  if (status === 408) return { kind: 'timeout', isTransient: true };
  if (status === 429) return THROTTLED;
  // A balancer whose servers are gone says 503, too.
  if (status === 503)
    return isFromService || code !== '' ? THROTTLED : { kind: 'unavailable', isTransient: true };
  if (status === 501) return { kind: 'unsupported' };
  if (status === 507) return FULL;
  if (status >= 500) return { kind: 'unavailable', isTransient: true };
  if (status >= 300 && status < 400) {
    return { kind: 'unsupported', scope: 'backend', hint: 'If that is the S3 service, give it as endpoint' };
  }
  return { kind: 'unexpected' };
}

/** Refusals are short; what is not is no refusal of S3. */
const REFUSAL_BYTES_MAX = 64 * 1024;

export function textOfAnswer(response: HttpResponse): string {
  return response.body.toString('utf8', 0, REFUSAL_BYTES_MAX);
}

/** An answer that is not a success. HEAD answers have no body, so only the status tells. */
export function errorOfResponse(call: HttpCall, response: HttpResponse): StorageError {
  const xml = textOfAnswer(response);
  const code = codeSafely(textOf(xml, 'Code'), call.secrets);
  const { status, headers } = response;
  const isFromService = headers.has('x-amz-request-id') || headers.has('retry-after');
  const meaning = meaningOf({ code, status, isOfBucket: call.key === undefined, isFromService });
  const said = saidSafely(textOf(xml, 'Message') ?? '', call.secrets);
  const reason =
    code === ''
      ? reasonWithoutCode(response.status, response.headers.get('location'), xml)
      : [code, said].filter(Boolean).join(': ');
  return refusedError(call, { status, headers, code, reason }, meaning);
}

/** What answers without S3's XML may be no S3 service, or something in front of it. Its own words may echo secrets. */
export function reasonWithoutCode(status: number, location: string | undefined, text = ''): string {
  const url = URL.parse(location ?? '');
  if (status >= 300 && status < 400 && url) {
    return `the server sends requests on to ${url.origin} (status ${status})`;
  }
  if (status === 400 && /HTTPS (server|port)/i.test(text)) {
    return 'the server speaks TLS on this port (status 400): write https:// in the endpoint';
  }
  return `status ${status}`;
}
