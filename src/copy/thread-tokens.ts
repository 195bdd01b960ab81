/** The tokens of a thread's drivers: got by the main thread, which is asked for the next one when it is wanted. */
import type { Side } from '../core/counters.ts';
import { type ErrorRecord, fromErrorRecord } from '../core/errors.ts';
import type { TokenSource } from '../drivers/access-token.ts';
import { type GivenToken, sourceOf } from '../drivers/token-desk.ts';

export interface TokenWanted {
  readonly type: 'token-wanted';
  /** The answer goes to whoever runs it. */
  readonly shard: string;
  readonly side: Side;
  /** Serial of the last one that was given; 0: none was. */
  readonly after: number;
}

export type TokenAnswer = { readonly type: 'token'; readonly side: Side } & (
  | { readonly given: GivenToken }
  | { readonly error: ErrorRecord }
);

interface Waiting extends PromiseWithResolvers<GivenToken> {
  readonly after: number;
}

export class ThreadTokens {
  readonly #tell: (report: TokenWanted) => void;
  readonly #waiting = new Map<Side, Waiting>();
  #shard: string | undefined;

  constructor(tell: (report: TokenWanted) => void) {
    this.#tell = tell;
  }

  source(side: Side): TokenSource {
    return sourceOf((after) => this.#ask(side, after));
  }

  /** This thread runs it from now on. What an earlier one waited for when it ended is asked for again. */
  begin(shard: string): void {
    this.#shard = shard;
    for (const [side, { after }] of this.#waiting) this.#tell({ type: 'token-wanted', shard, side, after });
  }

  hear(answer: TokenAnswer): void {
    const waiting = this.#waiting.get(answer.side);
    this.#waiting.delete(answer.side);
    if ('given' in answer) waiting?.resolve(answer.given);
    else waiting?.reject(fromErrorRecord(answer.error));
  }

  /** A driver's keeper asks once for all its requests, and a thread has one driver a side. */
  #ask(side: Side, after: number): Promise<GivenToken> {
    const known = this.#waiting.get(side);
    if (known) return known.promise;
    const waiting = { ...Promise.withResolvers<GivenToken>(), after };
    this.#waiting.set(side, waiting);
    if (this.#shard !== undefined) this.#tell({ type: 'token-wanted', shard: this.#shard, side, after });
    return waiting.promise;
  }
}
