import { BlobferryError } from '../../../core/errors.ts';

/** A step gave up before it sent anything: there is nothing to wait for. */
export class NotBegun extends BlobferryError {
  readonly mayHaveActed = false;
}
