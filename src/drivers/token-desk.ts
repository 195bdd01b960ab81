/**
 * Gets the tokens of one storage, once for all drivers and threads that use it: the libraries that ask for them take
 * 11 MiB (Google's) to 30 MiB (Azure's) in every thread that loads them, and whoever gives tokens out limits how often.
 */
import type { AccessToken, TokenSource } from './access-token.ts';

export interface GivenToken {
  /** 1, and one more for each token that was got. */
  readonly serial: number;
  readonly token: AccessToken;
}

export class TokenDesk {
  readonly #source: TokenSource;
  #last: GivenToken | undefined;
  #asking: Promise<GivenToken> | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /**
   * One that came after the one with this serial; 0: any. Rejects as the source does; the next call asks it again.
   */
  give(after: number): Promise<GivenToken> {
    if (this.#last && this.#last.serial > after) return Promise.resolve(this.#last);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** For one driver of this thread. */
  source(): TokenSource {
    return sourceOf((after) => this.give(after));
  }

  async #ask(): Promise<GivenToken> {
    const token = await this.#source();
    this.#last = { serial: (this.#last?.serial ?? 0) + 1, token };
    return this.#last;
  }
}

/** Never gives the same serial twice: whoever asks again has no use for what it was given. */
export function sourceOf(give: (after: number) => Promise<GivenToken>): TokenSource {
  let last = 0;
  return async () => {
    const { serial, token } = await give(last);
    last = serial;
    return token;
  };
}
