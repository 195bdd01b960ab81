/** Waits for the end of a job, over restarts of the server and retries that get an id of their own. */
import { pause } from '../../transport/pause.ts';
import type { MsrConnection } from './msr-connection.ts';
import { isMsrError, MsrError } from './msr-error.ts';
import { listJobs, type MsrJob, readJob, stageOf } from './msr-jobs.ts';

export interface FollowOptions {
  /** How long the job may take, its retries included. */
  readonly msMax: number;
  /** Between two looks; default 2 s. */
  readonly pollMs?: number;
  /** How many times to look for the retry of a job that failed and may be tried again; default 10. */
  readonly looksForRetry?: number;
}

const POLL_MS = 2_000;
const LOOKS_FOR_RETRY = 10;

/**
 * @returns the job in its last state, or its last retry: `done` or failed, which is for the caller to judge.
 * @throws MsrError of kind `timeout` when it takes too long, `malformed` for a state that is not known here.
 */
export async function followJob(
  msr: MsrConnection,
  signal: AbortSignal,
  id: string,
  options: FollowOptions,
): Promise<MsrJob> {
  const follower = new Follower(msr, signal, options);
  let job = await follower.end(id);
  for (;;) {
    const retry = await follower.retryOf(job);
    if (!retry) return job;
    job = await follower.end(retry.id);
  }
}

class Follower {
  readonly #msr: MsrConnection;
  readonly #signal: AbortSignal;
  readonly #options: FollowOptions;
  readonly #untilMs: number;

  constructor(msr: MsrConnection, signal: AbortSignal, options: FollowOptions) {
    this.#msr = msr;
    this.#signal = signal;
    this.#options = options;
    this.#untilMs = performance.now() + options.msMax;
  }

  async end(id: string): Promise<MsrJob> {
    for (let last: MsrJob | undefined; ; ) {
      const job = await this.#look(id);
      last = job ?? last;
      if (job) {
        const stage = stageOf(job);
        if (stage === 'done' || stage === 'failed') return job;
        if (stage === 'unknown') throw this.#unknown(job);
      }
      await this.#wait(id, last);
    }
  }

  /** A worker that died, and a job that failed with retries left, have another one made in their place. */
  async retryOf(job: MsrJob): Promise<MsrJob | undefined> {
    if (stageOf(job) !== 'failed' || job.retriesLeft <= 0) return undefined;
    if (job.status === 'cancel' || job.status === 'deleted') return undefined;
    for (let looks = this.#options.looksForRetry ?? LOOKS_FOR_RETRY; looks > 0; looks -= 1) {
      for await (const other of listJobs(this.#msr, this.#signal, { action: job.action })) {
        if (other.retryFromId === job.id) return other;
      }
      await this.#wait(job.id, job);
    }
    return undefined;
  }

  /** Undefined where the look failed and a later one may not. */
  async #look(id: string): Promise<MsrJob | undefined> {
    try {
      return await readJob(this.#msr, this.#signal, id);
    } catch (error) {
      if (!isMsrError(error) || !error.details.isTransient) throw error;
      return undefined;
    }
  }

  async #wait(id: string, last: MsrJob | undefined): Promise<void> {
    const pollMs = this.#options.pollMs ?? POLL_MS;
    if (performance.now() + pollMs > this.#untilMs) throw this.#late(id, last);
    await pause(pollMs, this.#signal);
  }

  #late(id: string, last: MsrJob | undefined): MsrError {
    const within = `${Math.round(this.#options.msMax / 1000)} s`;
    const state = last === undefined ? 'its state could not be read' : `it is "${last.status}"`;
    return this.#error('timeout', id, `it has not ended within ${within}: ${state}`, true);
  }

  #unknown({ id, action, status }: MsrJob): MsrError {
    return this.#error('malformed', id, `the job "${action}" is "${status}", which is not known here`, false);
  }

  #error(kind: 'timeout' | 'malformed', id: string, reason: string, isTransient: boolean): MsrError {
    const operation = `follow the job ${id}`;
    const details = { kind, server: this.#msr.name, operation, isTransient, mayHaveActed: true };
    return new MsrError(reason, details, { hint: `Look at ${this.#msr.name}/api/v0/jobs/${id}/logs` });
  }
}
