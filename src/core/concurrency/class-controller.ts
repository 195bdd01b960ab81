/** The two variables of one operation class of one backend: requests in flight and requests a second. Pure. */
import { PaceFinder } from './pace.ts';
import { type WindowBounds, WindowFinder } from './window.ts';

/** What all threads together did since the sample before. */
export interface ClassSample {
  readonly elapsedMs: number;
  readonly answered: number;
  readonly refused: number;
  /** Without an answer, or with one that is the server's own fault. */
  readonly troubled: number;
  /** Bytes of what was answered. */
  readonly bytes: number;
  readonly inFlight: number;
  /** Did requests wait for a place in the window? */
  readonly isFull: boolean;
  /** Had the processors, or the threads that make them, no time to spare? */
  readonly isBusy: boolean;
  /** The longest that refusals asked to wait; 0: they did not say. */
  readonly retryAfterMs: number;
}

/** A request costs as much as so many bytes: somewhere between a busy processor's view of it and a long line's. */
const REQUEST_BYTES = 256 * 1024;

export class ClassController {
  readonly #window: WindowFinder | undefined;
  readonly #pace = new PaceFinder();

  /** @param bounds absent: any number may be in flight, as something else bounds them. */
  constructor(bounds?: WindowBounds) {
    this.#window = bounds && new WindowFinder(bounds);
  }

  /** undefined: not bounded. */
  get window(): number | undefined {
    return this.#window?.window;
  }

  /** undefined: not bounded. */
  get perSecond(): number | undefined {
    return this.#pace.perSecond;
  }

  /** Nothing may be sent for so long. */
  get holdMs(): number {
    return this.#pace.holdMs;
  }

  step(sample: ClassSample): void {
    const { elapsedMs, answered, refused, troubled, bytes, inFlight, isFull, isBusy, retryAfterMs } = sample;
    if (elapsedMs <= 0) return;
    const isCut = this.#pace.step({ elapsedMs, accepted: answered, refused, retryAfterMs, inFlight });
    const work = answered + bytes / REQUEST_BYTES;
    if (isCut || this.holdMs > 0) this.#window?.forget();
    else this.#window?.step({ elapsedMs, answered, work, troubled, isFull, isBusy });
  }
}
