/** Runs tasks with bounded concurrency behind a bounded look-ahead: the producer waits instead of queueing for ever. */
import pLimit from 'p-limit';

export interface LookAheadOptions {
  /** Tasks running at once. */
  readonly concurrency: number;
  /** Tasks running or waiting; above it `add` makes the producer wait. */
  readonly inHandMax: number;
}

export class LookAhead {
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #inHandMax: number;
  #inHand = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(options: LookAheadOptions) {
    this.#limit = pLimit(options.concurrency);
    this.#inHandMax = options.inHandMax;
  }

  /**
   * Resolves when there is room for the next task; rejects with the first task's failure, after which no waiting task
   * is started. Only one producer may call it.
   */
  async add(task: () => Promise<void>): Promise<void> {
    this.#throwFailure();
    this.#inHand += 1;
    this.#limit(() => (this.#failure === undefined ? task() : Promise.resolve()))
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#inHand -= 1;
        this.#wake?.();
      });
    while (this.#inHand >= this.#inHandMax) await this.#nextEnd();
    this.#throwFailure();
  }

  /** Waits for every task; never rejects. */
  async settle(): Promise<void> {
    while (this.#inHand > 0) await this.#nextEnd();
  }

  /** As `settle`, but rejects with the first failure. */
  async finish(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  #nextEnd(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
