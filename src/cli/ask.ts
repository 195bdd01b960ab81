/** Questions to whoever sits at the terminal, or to whatever is piped in. */
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Output } from './output.ts';

export class Asker {
  readonly #stdin: Readable | undefined;
  readonly #output: Output;
  #lines: Interface | undefined;
  #iterator: AsyncIterator<string> | undefined;

  constructor(stdin: Readable | undefined, output: Output) {
    this.#stdin = stdin;
    this.#output = output;
  }

  /**
   * Says the lines and waits for an answer of one line. Whatever is no yes is a no, and so is the end of the input.
   * @throws the signal's reason.
   */
  async agrees(lines: readonly string[], question: string, signal: AbortSignal): Promise<boolean> {
    for (const line of lines) this.#output.say(line);
    this.#output.say(`${question} [yes/no]`);
    return /^(y|yes|done)$/i.test((await this.#line(signal)).trim());
  }

  /** Else an open terminal would keep the program alive. */
  close(): void {
    this.#lines?.close();
  }

  async #line(signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    if (this.#stdin === undefined) return '';
    this.#lines ??= createInterface({ input: this.#stdin });
    this.#iterator ??= this.#lines[Symbol.asyncIterator]();
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const { done, value } = await Promise.race([this.#iterator.next(), promise]);
      return done === true ? '' : value;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
