/** The job runner of the stand-in: a job goes one state further with every look at it or at the list. */
import { randomUUID } from 'node:crypto';
import type { JsonRecord } from './json.ts';

export interface StandInJob {
  readonly id: string;
  readonly action: string;
  readonly retryFromID: string;
  status: string;
  workerID: string;
  retriesLeft: number;
  readonly scheduledAt: string;
  readonly log: string[];
  /** States still to come; the last one stays. */
  readonly coming: string[];
  readonly isDriven: boolean;
}

/** What a job does; its lines go into the log. */
export type Effect = (action: string) => Promise<readonly string[]>;

/** Nobody has the job at first: the delay until a worker claims it is random, up to 3 s. */
const SCRIPT = ['waiting', 'running', 'done'];

export class Jobs {
  readonly #effect: Effect;
  readonly #workers: () => readonly string[];
  readonly #scripts = new Map<string, readonly string[]>();
  /** Oldest first. */
  readonly jobs: StandInJob[] = [];
  /** Given to each job that is made: a job that ends badly has another one made in its place. */
  retries = 0;

  constructor(effect: Effect, workers: () => readonly string[]) {
    this.#effect = effect;
    this.#workers = workers;
  }

  /** States behind `waiting` that jobs of this action go through, look by look; the last one stays. */
  script(action: string, states: readonly string[]): void {
    this.#scripts.set(action, states);
  }

  /** @param isDriven somebody else says how it goes on. */
  create(action: string, isDriven = false, from?: StandInJob): StandInJob {
    const job: StandInJob = {
      id: randomUUID(),
      action,
      retryFromID: from?.id ?? '',
      status: 'waiting',
      workerID: '',
      retriesLeft: from ? from.retriesLeft - 1 : this.retries,
      scheduledAt: new Date().toISOString(),
      log: [],
      coming: [...(from ? SCRIPT : (this.#scripts.get(action) ?? SCRIPT))],
      isDriven,
    };
    this.jobs.push(job);
    return job;
  }

  find(id: string): StandInJob | undefined {
    return this.jobs.find((job) => job.id === id);
  }

  cancel(job: StandInJob): void {
    job.status = 'cancel_request';
    job.coming.splice(0, job.coming.length, 'cancel');
  }

  /** Every job that is not done goes one state further. */
  async look(): Promise<void> {
    for (const job of [...this.jobs]) if (!job.isDriven) await this.#advance(job);
  }

  toJson(job: StandInJob): JsonRecord {
    const { id, action, retryFromID, status, workerID, retriesLeft, scheduledAt } = job;
    return {
      id,
      retryFromID,
      workerID,
      status,
      scheduledAt,
      lastUpdated: scheduledAt,
      action,
      retriesLeft,
      retriesTotal: this.retries,
      capacityMap: {},
      parameters: null,
      deadline: '',
      stopTimeout: '',
    };
  }

  async #advance(job: StandInJob): Promise<void> {
    let next = job.coming.shift();
    if (next === undefined || next === job.status) return;
    if (next !== 'waiting' && job.workerID === '') job.workerID = this.#workers()[0] ?? '';
    if (next === 'done') {
      try {
        job.log.push(...(await this.#effect(job.action)));
      } catch (error) {
        job.log.push(String(error));
        next = 'error';
      }
    }
    job.status = next;
    const isBad = ['error', 'worker_dead', 'worker_shutdown', 'worker_resurrection'].includes(next);
    if (isBad && job.retriesLeft > 0) this.create(job.action, false, job);
  }
}
