/** Runs the garbage collection that the procedure ends with: it removes blobs that the restored metadata does not name. */
import { join } from 'node:path';
import { BlobferryError } from '../../../core/errors.ts';
import { writePrivately } from '../../private-file.ts';
import type { Checked, Effect, Step, StepContext } from '../../saga/step.ts';
import { followJob } from '../follow-job.ts';
import { createJob, listJobs, type MsrJob, readJobLog, stageOf } from '../msr-jobs.ts';
import type { MsrSite } from '../msr-site.ts';
import { cronsByHand, savedCrons } from './saved-crons.ts';

const ACTION = 'onlinegc_blobs';

export function garbageCollection(site: Pick<MsrSite, 'msr' | 'pace' | 'byHand' | 'report'>): Step {
  const { msr, pace, byHand } = site;
  return {
    id: 'gc',
    title: 'Collect garbage on the new storage',
    changes: 'Removes blobs from the new storage that nothing in the restored metadata names',
    kind: 'forward',
    check: async ({ memory }): Promise<Checked> => ({
      is: memory.get('done') === undefined ? 'todo' : 'done',
    }),
    do: async (ctx) => {
      const job = (await ownJob(site, ctx)) ?? (await newJob(site, ctx));
      const end = await followJob(msr, ctx.signal, job.id, {
        msMax: pace.collectionMsMax,
        pollMs: pace.pollMs,
      });
      const log = await keptLog(site, ctx, end);
      if (stageOf(end) !== 'done') {
        // A new one may be begun by the next run: neither this one nor those of which it was a retry count then.
        ctx.memory.keep('before', await jobsNow(site, ctx));
        throw new BlobferryError(`The garbage collection ended as "${end.status}": ${log.last}`, {
          hint: `${log.where}; the registry works, and the collection may be run again`,
        });
      }
      ctx.memory.keep('done', `the job ${end.id} is done, and ${log.where}`);
    },
    effect: async ({ memory }): Promise<Effect> => {
      const done = memory.get('done');
      return typeof done === 'string'
        ? { is: 'shown', evidence: done }
        : { is: 'missing', why: 'the garbage collection has not come to its end' };
    },
    ways: ({ memoryOf }) => ({
      forward: [
        byHand.call('POST', '/api/v0/jobs', { json: { action: ACTION } }),
        ...cronsByHand(byHand, savedCrons(memoryOf('crons-away'))),
      ],
      back: [],
    }),
  };
}

/** What it said, in a file; the end of a collection is the same without it, which may be too large. */
async function keptLog(
  { msr, report }: Pick<MsrSite, 'msr' | 'report'>,
  { signal }: StepContext,
  { id }: MsrJob,
): Promise<{ readonly last: string; readonly where: string }> {
  try {
    const lines = await readJobLog(msr, signal, id);
    const file = join(report, `${ACTION}-${id.replace(/[^\w-]/g, '')}.log`);
    await writePrivately(file, `${lines.join('\n')}\n`);
    return {
      last: lines.at(-1) ?? 'without a word',
      where: `its log of ${lines.length} lines is in ${file}`,
    };
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    return { last: 'without a word', where: `its log cannot be had: ${why}` };
  }
}

/** One that was begun before, by a program that is no more: it did not exist before this step. */
async function ownJob({ msr }: Pick<MsrSite, 'msr'>, ctx: StepContext): Promise<MsrJob | undefined> {
  const before = ctx.memory.get('before');
  if (!Array.isArray(before)) return undefined;
  for await (const job of listJobs(msr, ctx.signal, { action: ACTION })) {
    if (!before.includes(job.id)) return job;
  }
  return undefined;
}

async function newJob(site: Pick<MsrSite, 'msr'>, ctx: StepContext): Promise<MsrJob> {
  ctx.memory.keep('before', await jobsNow(site, ctx));
  return await createJob(site.msr, ctx.signal, ACTION);
}

async function jobsNow({ msr }: Pick<MsrSite, 'msr'>, { signal }: StepContext): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of listJobs(msr, signal, { action: ACTION })) ids.push(id);
  return ids;
}
