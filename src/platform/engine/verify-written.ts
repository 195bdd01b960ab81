/** What passes wrote, read back from the target. */
import { keyPrefixOf } from '../../layout/key-rule.ts';
import type { VerifySummary } from '../../verify/summary.ts';
import type { VerifyProgress } from '../../verify/tally.ts';
import { type KeyOutcome, runVerifyKeys } from '../../verify/verify-keys.ts';
import type { WrittenReport } from '../engine-port.ts';
import type { CheckedKeys } from './checked-keys.ts';
import { NamedCount } from './named.ts';
import {
  type EngineParts,
  type EngineTask,
  hasEpochBroken,
  Paced,
  type ReadEnds,
  type Reading,
} from './parts.ts';
import type { WrittenStore } from './written-store.ts';

export interface WrittenPlaces extends EngineParts {
  readonly written: WrittenStore;
  readonly reading: Reading;
  /** Logical paths of damage that was let be. */
  readonly known: readonly string[];
}

export async function checkWritten(task: EngineTask, place: WrittenPlaces): Promise<WrittenReport> {
  const check = new WrittenCheck(task, place);
  try {
    return check.report(await place.reading((ends) => check.run(ends)));
  } catch (error) {
    if (!hasEpochBroken(task)) throw error;
    return check.report(undefined);
  }
}

class WrittenCheck {
  readonly #task: EngineTask;
  readonly #place: WrittenPlaces;
  readonly #beganMs = Date.now();
  readonly #wrong = new NamedCount();
  readonly #unsettled = new NamedCount();
  readonly #pending = new NamedCount();
  #firstWrong: string | undefined;
  #checked = 0;

  constructor(task: EngineTask, place: WrittenPlaces) {
    this.#task = task;
    this.#place = place;
  }

  async run({ source, openTarget, found, digests }: ReadEnds): Promise<VerifySummary> {
    const { source: from, target: to, options, written } = this.#place;
    const target = await openTarget();
    const keys = await written.begin();
    const paced = new Paced(this.#task.call, (progress: VerifyProgress) => ({
      what: 'written' as const,
      objects: this.#checked,
      objectsMoved: this.#checked,
      bytesMoved: progress.bytesRead,
      objectsWrong: this.#wrong.all().count,
      objectsTotal: keys.count,
    }));
    try {
      return await runVerifyKeys({
        source,
        target,
        sourcePrefix: keyPrefixOf(from),
        targetPrefix: keyPrefixOf(to),
        layout: found.layout,
        keys: keys.batches(),
        ...(digests ? { digests } : {}),
        isLive: this.#task.epoch === undefined,
        signal: this.#task.signal,
        memoryBytes: options.memoryBytes,
        onKey: (outcome) => this.#settle(keys, outcome),
        onProgress: (progress) => paced.tell(progress),
      });
    } finally {
      keys.close();
    }
  }

  /** What is not right stays for the next check. */
  #settle(keys: CheckedKeys, outcome: KeyOutcome): void {
    const { key, is } = outcome;
    // Noted before it was seen to be damaged, and never written.
    const isLetBe =
      is === 'wrong' && outcome.exception.problem === 'missing' && this.#place.known.includes(key.key);
    const isDone = is === 'right' || is === 'gone' || isLetBe;
    keys.settle(key.key, isDone ? undefined : key);
    this.#checked += 1;
    if (is === 'pending') this.#pending.add(key.key);
    if (is === 'unsettled') this.#unsettled.add(`${key.key}: ${outcome.exception.detail}`);
    if (is !== 'wrong' || isLetBe) return;
    this.#wrong.add(`${key.key}: ${outcome.exception.detail}`);
    this.#firstWrong ??= `"${key.key}": ${outcome.exception.detail}`;
  }

  /** @param summary absent where the epoch broke before anything was read. */
  report(summary: VerifySummary | undefined): WrittenReport {
    const { epoch } = this.#task;
    return {
      ...this.#judge(summary),
      ...(epoch ? { epoch: epoch.id } : {}),
      beganMs: this.#beganMs,
      endedMs: Date.now(),
      objectsChecked: this.#checked,
      bytesRead: summary?.bytesRead ?? 0,
      wrong: this.#wrong.all(),
      unsettled: this.#unsettled.all(),
      digestsPending: this.#pending.all(),
      ...(summary ? { summary } : {}),
    };
  }

  #judge(summary: VerifySummary | undefined): Pick<WrittenReport, 'end' | 'isGood' | 'why'> {
    if (hasEpochBroken(this.#task))
      return { end: 'epoch-broke', isGood: false, why: 'the source was not read-only any more' };
    if (summary?.stoppedBy) return { end: 'failed', isGood: false, why: summary.stoppedBy.message };
    const { count } = this.#wrong.all();
    if (count === 0) return { end: 'done', isGood: true };
    const what = count === 1 ? 'object that was written is' : 'objects that were written are';
    return {
      end: 'done',
      isGood: false,
      why: `${count} ${what} not right in the target; first ${this.#firstWrong}`,
    };
  }
}
