/** Counts of one verification while it runs, and the summary it becomes. */
import type { ErrorRecord } from '../core/errors.ts';
import type { Layout, ObjectClass } from '../layout/layout.ts';
import type { MatchGround, Problem, RowsSummary, VerifyException, VerifySummary } from './summary.ts';

const EXCEPTIONS_KEPT = 100;
const LEFT_OUT_NAMED = 10;

/** A snapshot for progress displays. */
export interface VerifyProgress {
  readonly listedSource: number;
  readonly listedTarget: number;
  readonly objectsCompared: number;
  readonly objectsMatched: number;
  /** Everything that is not a match and not an allowed extra. */
  readonly objectsWrong: number;
  /** Source bytes of all objects compared so far. */
  readonly bytesCompared: number;
  readonly bytesRead: number;
  /** How far both listings are compared: the last logical path taken from them. */
  readonly path?: string;
}

export interface TallyHead {
  readonly source: string;
  readonly target: string;
  readonly layout: Layout;
  readonly isDeep: boolean;
  readonly allowsExtra: boolean;
}

export class Tally {
  listedSource = 0;
  listedTarget = 0;
  bytesRead = 0;
  readAgain = 0;
  retries = 0;
  path: string | undefined;
  readonly #head: TallyHead;
  readonly #onException: (exception: VerifyException) => void;
  readonly #matchedBy: Record<MatchGround, number> = { digest: 0, content: 0, md5: 0, size: 0 };
  readonly #matchedByClass: Record<ObjectClass, number> = { blob: 0, link: 0, tag: 0, other: 0 };
  readonly #problems: Record<Problem, number> = {
    missing: 0,
    extra: 0,
    'wrong-size': 0,
    'wrong-content': 0,
    damaged: 0,
    unreadable: 0,
  };
  readonly #exceptions: VerifyException[] = [];
  readonly #leftOutNames = new Set<string>();
  #matched = 0;
  #compared = 0;
  readonly #leftOut = { source: 0, target: 0 };
  #bytesMatched = 0;
  #bytesCompared = 0;

  constructor(head: TallyHead, onException: (exception: VerifyException) => void) {
    this.#head = head;
    this.#onException = onException;
  }

  match(ground: MatchGround, objectClass: ObjectClass, sizeBytes: number): void {
    this.#matchedBy[ground] += 1;
    this.#matchedByClass[objectClass] += 1;
    this.#matched += 1;
    this.#bytesMatched += sizeBytes;
    this.#compared += 1;
    this.#bytesCompared += sizeBytes;
  }

  problem(exception: VerifyException, sourceBytes: number): void {
    this.#problems[exception.problem] += 1;
    if (exception.problem !== 'extra') this.#compared += 1;
    this.#bytesCompared += sourceBytes;
    if (this.#exceptions.length < EXCEPTIONS_KEPT) this.#exceptions.push(exception);
    this.#onException(exception);
  }

  leaveOut(side: 'source' | 'target', path: string): void {
    this.#leftOut[side] += 1;
    if (this.#leftOutNames.size < LEFT_OUT_NAMED) this.#leftOutNames.add(path);
  }

  /** True while neither side has shown anything to compare. */
  get isEmpty(): boolean {
    return this.#compared === 0 && this.#problems.extra === 0;
  }

  progress(): VerifyProgress {
    const problems = Object.values(this.#problems).reduce((sum, count) => sum + count, 0);
    return {
      listedSource: this.listedSource,
      listedTarget: this.listedTarget,
      objectsCompared: this.#compared,
      objectsMatched: this.#matched,
      objectsWrong: problems - (this.#head.allowsExtra ? this.#problems.extra : 0),
      bytesCompared: this.#bytesCompared,
      bytesRead: this.bytesRead,
      ...(this.path === undefined ? {} : { path: this.path }),
    };
  }

  summary(end: {
    isComplete: boolean;
    isStopped: boolean;
    seconds: number;
    stoppedBy?: ErrorRecord;
    rows?: RowsSummary;
  }): VerifySummary {
    const { layout, ...head } = this.#head;
    return {
      event: 'summary',
      ...head,
      layout: layout.name,
      isComplete: end.isComplete,
      isStopped: end.isStopped,
      objectsCompared: this.#compared,
      objectsMatched: this.#matched,
      matchedBy: { ...this.#matchedBy },
      matchedByClass: { ...this.#matchedByClass },
      objectsMissing: this.#problems.missing,
      objectsExtra: this.#problems.extra,
      objectsWrongSize: this.#problems['wrong-size'],
      objectsWrongContent: this.#problems['wrong-content'],
      objectsDamaged: this.#problems.damaged,
      objectsUnreadable: this.#problems.unreadable,
      objectsLeftOut: this.#leftOut.source,
      objectsLeftOutTarget: this.#leftOut.target,
      leftOut: [...this.#leftOutNames],
      bytesMatched: this.#bytesMatched,
      bytesRead: this.bytesRead,
      objectsReadAgain: this.readAgain,
      requestsRepeated: this.retries,
      seconds: end.seconds,
      exceptions: [...this.#exceptions],
      ...(end.rows === undefined ? {} : { rows: end.rows }),
      ...(end.stoppedBy === undefined ? {} : { stoppedBy: end.stoppedBy }),
    };
  }
}
