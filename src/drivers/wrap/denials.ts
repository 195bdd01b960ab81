/**
 * One denied object is that object's failure. When nothing else comes back any more, a permission was taken away or was
 * never there, and a million objects need not fail one by one to find out.
 */
import type { Operation } from '../../core/counters.ts';
import { StorageError } from '../../core/errors.ts';

/** More than one repository's worth of odd permissions is likely to be, and few enough to be over within seconds. */
const DENIALS_IN_A_ROW_MAX = 50;

export class Denials {
  readonly #inARow = new Map<Operation, number>();

  succeeded(operation: Operation): void {
    if (this.#inARow.size > 0) this.#inARow.delete(operation);
  }

  /** @returns the error itself, or the one that ends the run. */
  denied(operation: Operation, error: StorageError): StorageError {
    const count = (this.#inARow.get(operation) ?? 0) + 1;
    this.#inARow.set(operation, count);
    return count < DENIALS_IN_A_ROW_MAX ? error : denialOfAll(count, error);
  }
}

function denialOfAll(count: number, error: StorageError): StorageError {
  const { details } = error;
  return new StorageError(
    `${details.backend} denied ${count} requests of one kind in a row, the last one: ${error.message}`,
    { ...details, scope: 'backend' },
    {
      cause: error,
      hint: 'The permission is missing or was taken away: give it (back), then run again; what was copied stays',
    },
  );
}
