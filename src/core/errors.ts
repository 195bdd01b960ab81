/**
 * The errors a user can meet. Every message says what was being done, where, and what is wrong; `hint` says what to do.
 * Secrets never enter a message: whoever builds one passes names, never credentials or signed URLs.
 */

/** What a backend's refusal means to the caller; each driver maps its wire codes to these in one table. */
export type ErrorKind =
  | 'not-found'
  | 'denied'
  | 'precondition'
  | 'range'
  | 'throttled'
  | 'timeout'
  | 'unavailable'
  | 'unsupported'
  | 'no-space'
  | 'invalid-name'
  | 'corrupt'
  | 'unexpected';

/** `backend`: every further request would meet the same (bad key, missing bucket, full disk), so the run stops. */
export type ErrorScope = 'object' | 'backend';

/** A plain record of an error that survives structured clone: piscina keeps only message and stack of a thrown one. */
export interface ErrorRecord {
  readonly name: 'StorageError' | 'IntegrityError' | 'ConfigError' | 'Error';
  readonly message: string;
  readonly hint?: string;
  readonly stack?: string;
  readonly storage?: StorageErrorDetails;
}

export interface StorageErrorDetails {
  readonly kind: ErrorKind;
  /** Display name of the backend, without secrets, such as `s3://bucket/root`. */
  readonly backend: string;
  readonly operation: string;
  readonly key?: string;
  /** HTTP status or undefined where the backend has none. */
  readonly status?: number;
  /** The backend's own code, such as `NoSuchBucket` or `ENOSPC`. */
  readonly backendCode?: string;
  readonly retryAfterMs?: number;
  /** May a retry of the same call succeed? */
  readonly isTransient: boolean;
  readonly scope: ErrorScope;
}

interface ErrorOptionsWithHint {
  readonly cause?: unknown;
  readonly hint?: string | undefined;
}

export class BlobferryError extends Error {
  readonly hint: string | undefined;
  constructor(message: string, options: ErrorOptionsWithHint = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.hint = options.hint;
  }
}

/** A backend refused, failed or could not be reached. */
export class StorageError extends BlobferryError {
  readonly details: StorageErrorDetails;
  constructor(message: string, details: StorageErrorDetails, options: ErrorOptionsWithHint = {}) {
    super(message, options);
    this.details = details;
  }
  get kind(): ErrorKind {
    return this.details.kind;
  }
}

/** Bytes differ from what their digest, size or other copy says. Exit code 3. */
export class IntegrityError extends BlobferryError {}

/** The operator can mend it: arguments, configuration, an unsuitable source or target. Exit code 2. */
export class ConfigError extends BlobferryError {}

export function isStorageError(error: unknown, ...kinds: readonly ErrorKind[]): error is StorageError {
  return error instanceof StorageError && (kinds.length === 0 || kinds.includes(error.kind));
}

export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof StorageError) {
    return { ...describe(error, 'StorageError'), storage: error.details };
  }
  if (error instanceof IntegrityError) return describe(error, 'IntegrityError');
  if (error instanceof ConfigError) return describe(error, 'ConfigError');
  if (error instanceof BlobferryError) return describe(error, 'Error');
  if (error instanceof Error) {
    return { name: 'Error', message: error.message, ...(error.stack ? { stack: error.stack } : {}) };
  }
  return { name: 'Error', message: textOf(error) };
}

/** An abort's reason may be anything, an object that has no text included. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}

function describe(error: BlobferryError, name: ErrorRecord['name']): ErrorRecord {
  return { name, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}

export function fromErrorRecord(record: ErrorRecord): Error {
  const options = { hint: record.hint };
  if (record.storage) return new StorageError(record.message, record.storage, options);
  if (record.name === 'IntegrityError') return new IntegrityError(record.message, options);
  if (record.name === 'ConfigError') return new ConfigError(record.message, options);
  const error =
    record.hint === undefined ? new Error(record.message) : new BlobferryError(record.message, options);
  if (record.stack) error.stack = record.stack;
  return error;
}
