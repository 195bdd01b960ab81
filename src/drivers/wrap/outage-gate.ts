/**
 * What one thread does while a backend does not answer: its calls wait at a gate, and the gate asks the backend now and
 * then whether it is there. It asks for an object that nobody has: any answer will do, and no bad object can stand in
 * the way of it. Each thread has a gate for each side.
 */
import { StorageError } from '../../core/errors.ts';
import { pause } from '../../transport/pause.ts';
import type { StorageDriver } from '../driver.ts';
import { orAborted } from '../or-aborted.ts';
import { isSilence, shortReason } from './silence.ts';

/** So many failures, and no answer between them, are reason to ask; a blip costs one request and no waiting. */
const FAILURES_IN_A_ROW = 3;
/** Pauses between questions grow to this: a backend that is back is noticed within seconds. */
const PROBE_PAUSE_MS_MIN = 250;
const PROBE_PAUSE_MS_MAX = 5_000;
/** A network that swallows packets must not hold up the next question much longer than the pauses do. */
const PROBE_MS_MAX = 15_000;
/** Below any root it is a name that no registry and nobody else uses. */
const PROBE_KEY = '.blobferry-is-the-backend-there';

/** A backend stopped answering and is waited for, or is back. */
export interface BackendNews {
  readonly state: 'waiting' | 'back';
  /** Its last error, without the name of the backend. */
  readonly reason: string;
}

export interface OutageGateOptions {
  readonly driver: StorageDriver;
  /** How long one outage may last; undefined: nothing is waited for. */
  readonly limitMs: number | undefined;
  readonly onNews: (news: BackendNews) => void;
  /** 0 ≤ value < 1. */
  readonly random: () => number;
  readonly now?: () => number;
}

/** One time that the gate is closed. */
interface Closing {
  /** Resolves to whether the backend was really away. */
  readonly over: PromiseWithResolvers<boolean>;
  readonly stop: AbortController;
  waiting: number;
  isConfirmed: boolean;
}

export class OutageGate {
  readonly #options: OutageGateOptions;
  readonly #now: () => number;
  #failures = 0;
  /** When the first of these failures came. */
  #sinceMs = 0;
  #reason = '';
  #closing: Closing | undefined;
  #end: StorageError | undefined;

  constructor(options: OutageGateOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  get isOpen(): boolean {
    return this.#closing === undefined && this.#end === undefined;
  }

  /** The backend said something, be it a refusal. */
  answered(): void {
    this.#failures = 0;
    if (this.#closing) this.#open(this.#closing);
  }

  /** @param error for which `isSilence` holds. */
  silent(error: StorageError): void {
    if (this.#options.limitMs === undefined) return;
    this.#reason = shortReason(error);
    this.#failures += 1;
    if (this.#failures === 1) this.#sinceMs = this.#now();
    if (this.#failures >= FAILURES_IN_A_ROW && this.isOpen) this.#close();
  }

  /**
   * Waits until calls may go. @returns whether the backend was away meanwhile, so that what failed tells nothing about
   * the call. @throws the signal's reason; a StorageError of scope `backend` once the outage has lasted too long.
   */
  async pass(signal: AbortSignal): Promise<boolean> {
    if (this.#end) throw this.#end;
    const closing = this.#closing;
    if (!closing) return false;
    closing.waiting += 1;
    try {
      return await orAborted(closing.over.promise, signal);
    } finally {
      closing.waiting -= 1;
      if (closing.waiting === 0) closing.stop.abort();
    }
  }

  #close(): void {
    const closing: Closing = {
      over: Promise.withResolvers(),
      stop: new AbortController(),
      waiting: 0,
      isConfirmed: false,
    };
    // Nobody may be waiting any more when it ends.
    closing.over.promise.catch(() => undefined);
    this.#closing = closing;
    this.#ask(closing).catch((error: unknown) => this.#leave(closing, error));
  }

  #open(closing: Closing): void {
    if (this.#closing !== closing) return;
    this.#closing = undefined;
    this.#failures = 0;
    if (closing.isConfirmed) this.#options.onNews({ state: 'back', reason: this.#reason });
    closing.over.resolve(closing.isConfirmed);
    closing.stop.abort();
  }

  /** Nobody waits any more, or it makes no sense to. */
  #leave(closing: Closing, error: unknown): void {
    if (this.#closing === closing) this.#closing = undefined;
    this.#failures = 0;
    closing.over.reject(error);
  }

  async #ask(closing: Closing): Promise<void> {
    const { signal } = closing.stop;
    for (let pauseMs = 0; this.#closing === closing; ) {
      if (pauseMs > 0) await pause(Math.max(0, Math.min(this.#jittered(pauseMs), this.#leftMs)), signal);
      if (await this.#isThere(signal)) {
        this.#open(closing);
        return;
      }
      if (closing.waiting === 0) throw new Error('Nobody waits for the backend');
      if (!closing.isConfirmed && this.#closing === closing) {
        closing.isConfirmed = true;
        this.#options.onNews({ state: 'waiting', reason: this.#reason });
      }
      if (this.#leftMs <= 0) {
        this.#end = this.#outageError();
        throw this.#end;
      }
      pauseMs = pauseMs === 0 ? PROBE_PAUSE_MS_MIN : Math.min(PROBE_PAUSE_MS_MAX, 2 * pauseMs);
    }
  }

  get #leftMs(): number {
    return (this.#options.limitMs ?? 0) - (this.#now() - this.#sinceMs);
  }

  async #isThere(signal: AbortSignal): Promise<boolean> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS_MAX)]);
    try {
      await this.#options.driver.stat({ signal: bounded }, PROBE_KEY);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (bounded.aborted) {
        this.#reason = `no answer within ${PROBE_MS_MAX / 1000} s`;
        return false;
      }
      if (!isSilence(error)) return true;
      this.#reason = shortReason(error);
      return false;
    }
  }

  /** Threads that ask must not do so in step. */
  #jittered(ms: number): number {
    return ms * (0.5 + this.#options.random() / 2);
  }

  #outageError(): StorageError {
    const lastedMs = this.#now() - this.#sinceMs;
    const since = new Date(Date.now() - lastedMs).toISOString().replace(/\.\d+Z$/, 'Z');
    const { name } = this.#options.driver;
    return new StorageError(
      `${name} has not answered since ${since}, for ${Math.round(lastedMs / 1000)} s: ${this.#reason}`,
      { kind: 'unavailable', backend: name, operation: 'reach', isTransient: false, scope: 'backend' },
      {
        hint: 'See that it answers, then run again: what was copied stays; --outage-limit sets how long is waited',
      },
    );
  }
}
