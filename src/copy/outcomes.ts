/** What an outcome means to the rest of its repository and to the shard, and outcomes of objects that are not tried. */
import type { CounterWriter } from '../core/counters.ts';
import { BlobferryError, type StorageError } from '../core/errors.ts';
import type { CopyItem, CopyOutcome } from './context.ts';
import type { Missing } from './object-window.ts';

/** Tags go without what the source itself lacks: damaged bytes, and what was deleted while it may be. */
export function missingAfter({ state }: CopyOutcome, isFrozen: boolean): Missing | undefined {
  if (state === 'unsettled') return 'unsettled';
  if (state === 'vanished') return isFrozen ? 'failed' : undefined;
  return state === 'failed' || state === 'conflict' ? 'failed' : undefined;
}

/** Is there nothing to tell of it at the shard's end? What vanished under a live pass is only counted. */
export function isGood({ state }: CopyOutcome, isFrozen: boolean): boolean {
  return state === 'copied' || state === 'skipped' || (state === 'vanished' && !isFrozen);
}

export function notSeen(item: CopyItem, cause: StorageError): CopyOutcome {
  const message = `"${item.path}" was not copied, as it is not known whether the target has it: ${cause.message}`;
  return { state: 'failed', error: new BlobferryError(message, { cause, hint: cause.hint }) };
}

export function heldBack(item: CopyItem, lacking: Missing): CopyOutcome {
  const message = `"${item.path}" was held back: other objects of its repository did not reach the target`;
  const hint = lacking === 'failed' ? 'Mend those first, then run again' : 'Run again: it goes with them';
  return { state: lacking, error: new BlobferryError(message, { hint }) };
}

const PROOF_COUNTERS = {
  digest: 'provedDigest',
  service: 'provedService',
  readBack: 'provedReadBack',
  stored: 'provedStored',
  twice: 'provedTwice',
  none: 'unproved',
} as const;

export function countProof(
  counters: CounterWriter,
  { proof, isServerSide, bytes }: Extract<CopyOutcome, { readonly state: 'copied' }>,
): void {
  counters.count(PROOF_COUNTERS[proof]);
  if (!isServerSide) return;
  counters.count('serverSide');
  counters.count('bytesServerSide', bytes);
}
