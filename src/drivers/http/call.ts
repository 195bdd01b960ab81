/** One request to a storage service, as errors speak of it; the same for every service over HTTP. */
import { type ErrorKind, type ErrorScope, StorageError } from '../../core/errors.ts';

export interface HttpCall {
  readonly backend: string;
  /** `read`, `write`, `list` …, as it stands in messages. */
  readonly operation: string;
  readonly key?: string;
  /** What no message may repeat, whoever says it. */
  readonly secrets?: readonly string[];
  /** What the endpoint should be; default: `an S3 service`. */
  readonly service?: string;
}

/** What a refusal means to a copy. */
export interface Meaning {
  readonly kind: ErrorKind;
  /** Default: `object`. */
  readonly scope?: ErrorScope;
  /** Default: false. */
  readonly isTransient?: boolean;
  readonly hint?: string;
}

export function subject(call: HttpCall): string {
  return call.key === undefined ? call.backend : `"${call.key}" in ${call.backend}`;
}

export function serviceOf(call: HttpCall): string {
  return call.service ?? 'an S3 service';
}

/** An answer that is a success by its status but makes no sense. */
export function malformed(call: HttpCall, what: string): StorageError {
  return new StorageError(
    `Cannot ${call.operation} ${subject(call)}: ${what}`,
    {
      kind: 'corrupt',
      backend: call.backend,
      operation: call.operation,
      isTransient: true,
      scope: 'object',
      ...(call.key === undefined ? {} : { key: call.key }),
    },
    {
      hint: `If this stays, check that the endpoint is ${serviceOf(call)} and that nothing in between changes answers`,
    },
  );
}

const RETRY_AFTER_SECONDS = /^\d+(?:\.\d+)?$/;

/**
 * Retry-After as milliseconds: seconds, or a date, which is the server's and so compared with its own Date.
 * Undefined where it says nothing that lies ahead.
 */
export function retryAfterMsOf(retryAfter: string | undefined, date: string | undefined): number | undefined {
  const text = retryAfter?.trim() ?? '';
  const serverMs = Date.parse(date ?? '');
  const ms = RETRY_AFTER_SECONDS.test(text)
    ? Number(text) * 1000
    : Date.parse(text) - (Number.isNaN(serverMs) ? Date.now() : serverMs);
  return ms > 0 ? ms : undefined;
}

/** What a server said of its refusal. */
export interface Refusal {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** Its own code; empty where it has none. */
  readonly code: string;
  /** In words. */
  readonly reason: string;
}

export function refusedError(call: HttpCall, refusal: Refusal, meaning: Meaning): StorageError {
  const { status, headers, code, reason } = refusal;
  const retryAfterMs = retryAfterMsOf(headers.get('retry-after'), headers.get('date'));
  return new StorageError(
    `Cannot ${call.operation} ${subject(call)}: ${reason}`,
    {
      kind: meaning.kind,
      backend: call.backend,
      operation: call.operation,
      status,
      isTransient: meaning.isTransient ?? false,
      scope: meaning.scope ?? 'object',
      ...(call.key === undefined ? {} : { key: call.key }),
      ...(code === '' ? {} : { backendCode: code }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
    { hint: meaning.hint },
  );
}
