/** What can go wrong between here and an MSR, in terms of what that means to the steps of a migration. */
import { BlobferryError } from '../../core/errors.ts';

export type MsrErrorKind =
  /** Wrong, revoked or expired credentials. */
  | 'unauthorized'
  /** The credentials are right, the user may not do this. */
  | 'forbidden'
  | 'not-found'
  /** The request was understood and refused. */
  | 'refused'
  | 'throttled'
  | 'timeout'
  | 'unavailable'
  /** Nobody that is trusted here vouches for the server, or there is no common TLS. */
  | 'tls'
  /** The answer is not what this version of blobferry can read. */
  | 'malformed'
  | 'unexpected';

export interface MsrErrorDetails {
  readonly kind: MsrErrorKind;
  /** `https://host`, without secrets. */
  readonly server: string;
  /** What was being done: `read the settings`. */
  readonly operation: string;
  /** HTTP status; undefined where there was no answer. */
  readonly status?: number;
  /** MSR's own code, such as `NO_SUCH_JOB`. */
  readonly code?: string;
  /** May the same call succeed a little later? */
  readonly isTransient: boolean;
  /** The call may have taken effect all the same: ask what is so now before it is sent again. */
  readonly mayHaveActed: boolean;
}

export class MsrError extends BlobferryError {
  readonly details: MsrErrorDetails;
  /** Without what was being done and where. */
  readonly reason: string;

  constructor(
    reason: string,
    details: MsrErrorDetails,
    options: { readonly cause?: unknown; readonly hint?: string | undefined } = {},
  ) {
    super(`Cannot ${details.operation} at ${details.server}: ${reason}`, options);
    this.details = details;
    this.reason = reason;
  }

  /** Ask what is so before it is sent again. */
  get mayHaveActed(): boolean {
    return this.details.mayHaveActed;
  }

  get kind(): MsrErrorKind {
    return this.details.kind;
  }
}

export function isMsrError(error: unknown, ...kinds: readonly MsrErrorKind[]): error is MsrError {
  return error instanceof MsrError && (kinds.length === 0 || kinds.includes(error.kind));
}
