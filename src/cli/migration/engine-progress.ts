/** How far a pass or a comparison of a migration is: one live line on a terminal, a plain line now and then elsewhere. */
import type { EngineProgress } from '../../platform/engine-port.ts';
import type { Output } from '../output.ts';
import { liveLine, type ProgressReading, plainLine, Rates } from '../progress.ts';

const PLAIN_EVERY_MS = 5_000;

const PHASES = {
  pass: 'copying',
  verify: 'comparing',
  written: 'reading back',
  survey: 'listing',
} as const satisfies Record<EngineProgress['what'], string>;

export class EngineProgressLine {
  readonly #output: Output;
  readonly #now: () => number;
  #rates: Rates;
  #last: EngineProgress | undefined;
  #plainMs: number;

  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
    this.#plainMs = now();
    this.#rates = new Rates(this.#plainMs);
  }

  tell(progress: EngineProgress): void {
    const nowMs = this.#now();
    // Another call of the engine: its numbers begin at nothing.
    if (progress.what !== this.#last?.what || progress.objects < this.#last.objects) {
      this.#rates = new Rates(nowMs);
      this.#plainMs = nowMs;
    }
    this.#last = progress;
    const reading = readingOf(progress);
    this.#rates.add(nowMs, reading);
    if (this.#output.isLive) {
      this.#output.showLive(liveLine(reading, this.#rates, this.#output.columns));
    } else if (nowMs - this.#plainMs >= PLAIN_EVERY_MS) {
      this.#plainMs = nowMs;
      this.#output.say(plainLine(reading, this.#rates));
    }
  }

  /** What is told next is of something else. */
  end(): void {
    if (this.#last === undefined) return;
    this.#last = undefined;
    if (this.#output.isLive) this.#output.showLive('');
  }
}

function readingOf({
  what,
  objects,
  bytesMoved,
  objectsWrong,
  objectsTotal,
}: EngineProgress): ProgressReading {
  const known = Math.max(objectsTotal ?? 0, objects);
  return {
    phase: PHASES[what],
    objectsDone: objects,
    objectsKnown: known,
    bytesDone: bytesMoved,
    errors: objectsWrong,
    phaseObjects: objects,
    phaseBytes: bytesMoved,
    // Of an earlier listing: what was pushed since is on top of it.
    ...(objectsTotal ? { share: objects / known } : {}),
  };
}
