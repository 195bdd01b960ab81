/** Does something at the first call of a step of a migration, before that call gets where it goes. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Gate } from './migrate-world.ts';

export class AtStep implements Gate {
  #step = '';
  #waits: { readonly step: string; readonly act: () => Promise<void> | void } | undefined;
  #acting: Promise<void> | undefined;

  /** @param act is called once, when the step has begun what it does and calls somebody. */
  once(step: string, act: () => Promise<void> | void): void {
    this.#step = '';
    this.#acting = undefined;
    this.#waits = { step, act };
  }

  /** Was there such a call? */
  get hasActed(): boolean {
    return this.#waits === undefined;
  }

  /** Takes each line of the program, which has to say what it does: `--json`. */
  readonly onLine = (line: string): void => {
    const [, step, what] = /"event":"step".*?"step":"([^"]*)","what":"([^"]*)"/.exec(line) ?? [];
    if (step === undefined) return;
    this.#step = what === 'do-begun' ? step : '';
  };

  async asked(): Promise<boolean> {
    // What it had written before it called lies in the pipe already.
    await turn();
    await turn();
    const waits = this.#waits;
    if (waits && waits.step === this.#step) {
      this.#waits = undefined;
      this.#acting = Promise.resolve(waits.act());
    }
    await this.#acting;
    return true;
  }

  async answered(): Promise<boolean> {
    return true;
  }
}
