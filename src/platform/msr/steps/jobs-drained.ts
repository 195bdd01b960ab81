/** Waits until no job is left that writes to the registry or deletes from it: taking crons away ends none that they made. */

import { BlobferryError } from '../../../core/errors.ts';
import { pause } from '../../../transport/pause.ts';
import type { Effect, Step } from '../../saga/step.ts';
import { followJob } from '../follow-job.ts';
import type { Patience } from '../look-at-replicas.ts';
import type { MsrConnection } from '../msr-connection.ts';
import { changesRegistry } from '../msr-crons.ts';
import { isMsrError } from '../msr-error.ts';
import { listJobs, type MsrJob, mayStillAct } from '../msr-jobs.ts';
import type { MsrSite } from '../msr-site.ts';

export function jobsDrained({ msr, pace }: Pick<MsrSite, 'msr' | 'pace'>): Step {
  // How long all of them together may take.
  const options = { msMax: pace.drainMsMax, pollMs: pace.pollMs };
  return {
    id: 'jobs-drained',
    title: 'Wait for running garbage collection, tag pruning and mirroring to end',
    changes: '',
    kind: 'read',
    check: async ({ signal }) => ({ is: (await activeJobs(msr, signal)).length === 0 ? 'done' : 'todo' }),
    do: async ({ signal }) => {
      const untilMs = performance.now() + options.msMax;
      // While one is waited for, another may be made.
      for (;;) {
        const [job] = await activeJobs(msr, signal);
        // The look at the effect says what is left.
        if (!job || performance.now() > untilMs) return;
        await waitFor(msr, signal, job, { ...options, msMax: untilMs - performance.now() });
      }
    },
    effect: async ({ signal }): Promise<Effect> => {
      const [job] = await activeJobs(msr, signal);
      if (!job) return { is: 'shown', evidence: 'no job writes to the registry or deletes from it' };
      return {
        is: 'missing',
        why: `The job "${job.action}" (${job.id}) is "${job.status}"`,
        hint: hintFor(msr, job),
      };
    },
  };
}

async function activeJobs(msr: MsrConnection, signal: AbortSignal): Promise<readonly MsrJob[]> {
  const active: MsrJob[] = [];
  for await (const job of listJobs(msr, signal)) {
    if (changesRegistry(job.action) && mayStillAct(job)) active.push(job);
  }
  return active;
}

async function waitFor(
  msr: MsrConnection,
  signal: AbortSignal,
  job: MsrJob,
  { msMax, pollMs }: Patience,
): Promise<void> {
  try {
    // How it ends does not matter, only that it does.
    await followJob(msr, signal, job.id, { msMax, pollMs, looksForRetry: 1 });
  } catch (error) {
    // MSR cuts its history of jobs short: whether this one is gone from the list as well is seen there.
    if (isMsrError(error, 'not-found')) return await pause(pollMs, signal);
    if (!isMsrError(error, 'timeout', 'malformed')) throw error;
    throw new BlobferryError(`The job "${job.action}" (${job.id}) does not end: ${error.reason}`, {
      hint: hintFor(msr, job),
      cause: error,
    });
  }
}

function hintFor({ name }: MsrConnection, { id }: MsrJob): string {
  return `Wait for it, or cancel it: POST ${name}/api/v0/jobs/${id}/cancel; then run the same migration again`;
}
