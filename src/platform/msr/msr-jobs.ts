/** `jobs`: what MSR does in the background, garbage collection and the switch to read-only among it. */
import { z } from 'zod';
import type { MsrConnection } from './msr-connection.ts';
import { MsrError } from './msr-error.ts';

export interface MsrJob {
  readonly id: string;
  readonly action: string;
  /** MSR's own word; `stageOf` says what it means. */
  readonly status: string;
  /** The replica that runs it; empty while nobody does. */
  readonly workerId: string;
  /** The job of which this one is a retry; empty: none. */
  readonly retryFromId: string;
  readonly retriesLeft: number;
  /** As MSR writes it (RFC 3339); undefined where it does not. */
  readonly scheduledAt: string | undefined;
}

/** `ending`: it was asked to stop and has not stopped yet. `unknown`: a word that this version does not know. */
export type JobStage = 'waiting' | 'running' | 'ending' | 'done' | 'failed' | 'unknown';

const STAGES: Readonly<Record<string, JobStage>> = {
  waiting: 'waiting',
  running: 'running',
  cancel_request: 'ending',
  done: 'done',
  error: 'failed',
  cancel: 'failed',
  deleted: 'failed',
  worker_dead: 'failed',
  worker_shutdown: 'failed',
  worker_resurrection: 'failed',
};

export function stageOf({ status }: Pick<MsrJob, 'status'>): JobStage {
  return Object.hasOwn(STAGES, status) ? (STAGES[status] ?? 'unknown') : 'unknown';
}

/** May it still do something? A state that is not known may. */
export function mayStillAct(job: Pick<MsrJob, 'status'>): boolean {
  return !['done', 'failed'].includes(stageOf(job));
}

const JOB = z
  .object({
    id: z.string().min(1),
    action: z.string(),
    status: z.string(),
    workerID: z.string().nullish(),
    retryFromID: z.string().nullish(),
    retriesLeft: z.number().nullish(),
    scheduledAt: z.string().nullish(),
  })
  .transform(
    (job): MsrJob => ({
      id: job.id,
      action: job.action,
      status: job.status,
      workerId: job.workerID ?? '',
      retryFromId: job.retryFromID ?? '',
      retriesLeft: job.retriesLeft ?? 0,
      scheduledAt: job.scheduledAt ?? undefined,
    }),
  );

const JOBS = '/api/v0/jobs';
const PAGE_JOBS = 100;
/** A log comes whole; those of a garbage collection name every blob. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;

export interface JobFilter {
  readonly action?: string;
  /** True: only those that a worker has. */
  readonly isRunning?: boolean;
}

/**
 * Jobs, newest first, page by page. While new ones come in, the pages move: a job is given once all the same.
 * @throws MsrError of kind `malformed` for a server that answers every page alike.
 */
export async function* listJobs(
  msr: MsrConnection,
  signal: AbortSignal,
  filter: JobFilter = {},
  pageJobs = PAGE_JOBS,
): AsyncGenerator<MsrJob> {
  const seen = new Set<string>();
  for (let start = 0; ; start += pageJobs) {
    const answer = await msr.send(signal, {
      method: 'GET',
      operation: 'list the jobs',
      path: JOBS,
      query: {
        action: filter.action ?? 'any',
        worker: 'any',
        running: filter.isRunning === undefined ? 'any' : String(filter.isRunning),
        start,
        limit: pageJobs,
      },
    });
    const jobs = answer.read(z.object({ jobs: z.array(JOB).nullable() })).jobs ?? [];
    const fresh = jobs.filter(({ id }) => !seen.has(id));
    for (const job of fresh) {
      seen.add(job.id);
      yield job;
    }
    if (jobs.length < pageJobs) return;
    if (fresh.length === 0) throw sameAgain(msr);
  }
}

function sameAgain(msr: MsrConnection): MsrError {
  const details = { kind: 'malformed', server: msr.name, operation: 'list the jobs' } as const;
  return new MsrError('the next page holds nothing but jobs of the one before', {
    ...details,
    isTransient: false,
    mayHaveActed: false,
  });
}

/** So many of the newest are looked at, as their order is not documented. */
const SWITCHES = 10;

/** Id of the newest job that switched the registry to or from read-only; empty: MSR knows of none. */
export async function newestSwitch(msr: MsrConnection, signal: AbortSignal): Promise<string> {
  const whenOf = ({ scheduledAt }: MsrJob): number => Date.parse(scheduledAt ?? '') || 0;
  let newest: MsrJob | undefined;
  let looked = 0;
  for await (const job of listJobs(msr, signal, { action: 'ro_registry' }, SWITCHES)) {
    if (newest === undefined || whenOf(job) > whenOf(newest)) newest = job;
    looked += 1;
    if (looked === SWITCHES) break;
  }
  return newest?.id ?? '';
}

/** @returns the job as MSR has taken it (202); nobody runs it yet. */
export async function createJob(msr: MsrConnection, signal: AbortSignal, action: string): Promise<MsrJob> {
  const answer = await msr.send(signal, {
    method: 'POST',
    operation: `start the job "${action}"`,
    path: JOBS,
    json: { action },
  });
  return answer.read(JOB);
}

export async function readJob(msr: MsrConnection, signal: AbortSignal, id: string): Promise<MsrJob> {
  const path = `${JOBS}/${encodeURIComponent(id)}`;
  return (await msr.send(signal, { method: 'GET', operation: `read the job ${id}`, path })).read(JOB);
}

/** Lines as MSR has kept them; the field is called `data`, before DTR 2.5 `Data`. */
const LOG = z
  .array(
    z.union([
      z.object({ data: z.string() }).transform(({ data }) => data),
      z.object({ Data: z.string() }).transform(({ Data }) => Data),
    ]),
  )
  .nullable();

/** Without secrets that are known here. */
export async function readJobLog(
  msr: MsrConnection,
  signal: AbortSignal,
  id: string,
): Promise<readonly string[]> {
  const answer = await msr.send(signal, {
    method: 'GET',
    operation: `read the log of the job ${id}`,
    path: `${JOBS}/${encodeURIComponent(id)}/logs`,
    bytesMax: LOG_BYTES_MAX,
  });
  // A driver may have said what it was given.
  return (answer.read(LOG) ?? []).map((line) => msr.withoutSecrets(line));
}

/** Asks for its end, which comes later: see `followJob`. */
export async function cancelJob(msr: MsrConnection, signal: AbortSignal, id: string): Promise<void> {
  const path = `${JOBS}/${encodeURIComponent(id)}/cancel`;
  await msr.send(signal, { method: 'POST', operation: `cancel the job ${id}`, path });
}
