/** Does a failure mean that the backend may not be there at all? And what to call it. */
import { StorageError } from '../../core/errors.ts';

/**
 * No answer, or one that a gateway gives in the place of a server. It may also be the fault of one object (a bad sector,
 * a request that makes the server hang up), so it is a reason to ask whether the backend is there, not yet the answer.
 * Throttling is none: who asks for patience is there.
 */
export function isSilence(error: unknown): error is StorageError {
  if (!(error instanceof StorageError) || !error.details.isTransient) return false;
  const { kind, status, backendCode } = error.details;
  if (status !== undefined) return kind === 'unavailable' && status >= 500;
  // A kept connection that was closed tells nothing yet, the next attempt will.
  if (backendCode === 'wire-stale') return false;
  // A server that dies in the middle of an answer.
  return kind === 'unavailable' || kind === 'timeout' || backendCode === 'wire-truncated';
}

/** The last words of an error's sentence, such as `connect ECONNREFUSED 127.0.0.1:9000`. */
export function shortReason({ message, details }: StorageError): string {
  const start = message.indexOf(`${details.backend}: `);
  return start < 0 ? message : message.slice(start + details.backend.length + 2);
}
