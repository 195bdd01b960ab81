/**
 * Keeps the credentials of one driver good: renews them before they expire and when the server says that they have,
 * once for all requests that wait. Every thread has its own.
 */
import { StorageError } from '../../core/errors.ts';

/** Credentials are renewed this long before they expire. */
const RENEW_MS = 5 * 60_000;
/** While they are still good, who gives them is not asked more often than this. */
const RENEW_AGAIN_MS = 30_000;
/** Credentials of a minute or less are renewed when half of their time is over. */
const RENEW_AGAIN_PART = 0.5;

/** Keys or a token that may end; a value of its own whenever others were given out. */
export interface Perishable {
  /** Epoch milliseconds. */
  readonly expiresAtMs?: number;
}

export type CredentialSource<T extends Perishable> = () => Promise<T>;

export interface CredentialKeeperOptions<T extends Perishable> {
  /** Display name of the storage. */
  readonly backend: string;
  readonly credentials: T;
  /** Absent: these are all there will ever be. */
  readonly renew?: CredentialSource<T>;
  readonly isOther: (one: T, other: T) => boolean;
  /** Where they come from, for whoever has to mend it. */
  readonly origin: string;
}

export class CredentialKeeper<T extends Perishable> {
  readonly #options: CredentialKeeperOptions<T>;
  #current: T;
  #renewFromMs: number;
  #renewal: Promise<void> | undefined;
  /** When others were last asked for because the server refused these, and there were none. */
  #uselessAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: CredentialKeeperOptions<T>) {
    this.#options = options;
    this.#current = options.credentials;
    this.#renewFromMs = expiryOf(options.credentials) - RENEW_MS;
  }

  get current(): T {
    return this.#current;
  }

  /** Cheap enough to be asked before every request. */
  get isDue(): boolean {
    return Date.now() > this.#renewFromMs && this.#options.renew !== undefined;
  }

  /** Rejects only when the credentials at hand have expired and there are no others. */
  async renew(): Promise<void> {
    try {
      await this.#renewOnce();
    } catch (error) {
      // Whoever gives credentials may be away for a while: those at hand are good for minutes yet.
      if (Date.now() >= expiryOf(this.#current)) throw this.#failure(error);
    }
  }

  /**
   * The server says that these have expired.
   * @returns whether other ones are there now; rejects when none can be had.
   */
  async replace(refused: T): Promise<boolean> {
    if (this.#options.isOther(this.#current, refused)) return true;
    if (this.#options.renew === undefined || Date.now() - this.#uselessAtMs < RENEW_AGAIN_MS) return false;
    try {
      await this.#renewOnce();
    } catch (error) {
      throw this.#failure(error);
    }
    if (this.#options.isOther(this.#current, refused)) return true;
    this.#uselessAtMs = Date.now();
    return false;
  }

  #renewOnce(): Promise<void> {
    const { renew } = this.#options;
    if (!renew) return Promise.resolve();
    this.#renewal ??= this.#ask(renew).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #ask(renew: CredentialSource<T>): Promise<void> {
    try {
      this.#current = await renew();
    } finally {
      const now = Date.now();
      const expiresAtMs = expiryOf(this.#current);
      const pauseMs = Math.min(RENEW_AGAIN_MS, Math.max(0, (expiresAtMs - now) * RENEW_AGAIN_PART));
      this.#renewFromMs = Math.min(Math.max(expiresAtMs - RENEW_MS, now + pauseMs), expiresAtMs);
    }
  }

  #failure(cause: unknown): StorageError {
    const { backend, origin } = this.#options;
    const operation = 'renew the credentials of';
    const why = cause instanceof Error ? cause.message : String(cause);
    return new StorageError(
      `Cannot ${operation} ${backend}: ${why}`,
      { kind: 'denied', backend, operation, isTransient: false, scope: 'backend' },
      {
        cause,
        hint: `Mend where they come from (${origin}) and run again: what was copied stays`,
      },
    );
  }
}

function expiryOf(credentials: Perishable): number {
  return credentials.expiresAtMs ?? Number.POSITIVE_INFINITY;
}
