/** `crons`: what MSR does by the clock. One for each action; a schedule has six fields, seconds first, in UTC. */
import { z } from 'zod';
import type { MsrConnection } from './msr-connection.ts';
import { MsrError } from './msr-error.ts';

/** As MSR gives it: kept whole, so that it can be put back as it was. */
export interface MsrCron {
  readonly id: string;
  readonly action: string;
  readonly schedule: string;
  readonly retries: number;
  readonly capacityMap: Readonly<Record<string, number>> | null;
  readonly parameters: Readonly<Record<string, string>> | null;
  /** Durations such as `30s`; empty: none. */
  readonly deadline: string;
  readonly stopTimeout: string;
}

const CRON = z
  .object({
    id: z.string().min(1),
    action: z.string().min(1),
    schedule: z.string(),
    retries: z.number().nullish(),
    capacityMap: z.record(z.string(), z.number()).nullish(),
    parameters: z.record(z.string(), z.string()).nullish(),
    deadline: z.string().nullish(),
    stopTimeout: z.string().nullish(),
  })
  .transform(
    (cron): MsrCron => ({
      id: cron.id,
      action: cron.action,
      schedule: cron.schedule,
      retries: cron.retries ?? 0,
      capacityMap: cron.capacityMap ?? null,
      parameters: cron.parameters ?? null,
      deadline: cron.deadline ?? '',
      stopTimeout: cron.stopTimeout ?? '',
    }),
  );

const CRONS = '/api/v0/crons';

/** Removes blobs or what names them: by the old way, and by the newer one that needs no read-only. */
export function isGarbageCollection(action: string): boolean {
  return action === 'gc' || (action.startsWith('onlinegc') && action !== 'onlinegc_joblogs');
}

/** Actions besides garbage collection that write to the registry or delete from it. */
const OTHER_WRITERS = ['tag_pruning', 'poll_mirror', 'push_mirror_tag'];

/** Must it be away while storage is copied? */
export function changesRegistry(action: string): boolean {
  return isGarbageCollection(action) || OTHER_WRITERS.includes(action);
}

export async function listCrons(msr: MsrConnection, signal: AbortSignal): Promise<readonly MsrCron[]> {
  const answer = await msr.send(signal, { method: 'GET', operation: 'list the crons', path: CRONS });
  return answer.read(z.object({ crons: z.array(CRON).nullable() })).crons ?? [];
}

/** Undefined where there is none for this action. */
export async function readCron(
  msr: MsrConnection,
  signal: AbortSignal,
  action: string,
): Promise<MsrCron | undefined> {
  const answer = await msr.send(signal, {
    method: 'GET',
    operation: `read the cron "${action}"`,
    path: `${CRONS}/${encodeURIComponent(action)}`,
    accepts: [404],
  });
  return answer.status === 404 ? undefined : answer.read(CRON);
}

/** Makes the cron, or replaces the one of its action, and asks whether it is as it should be. Its id may be another one. */
export async function putCron(
  msr: MsrConnection,
  signal: AbortSignal,
  cron: Omit<MsrCron, 'id'>,
): Promise<void> {
  const { action, schedule, retries, capacityMap, parameters, deadline, stopTimeout } = cron;
  const operation = `set the cron "${action}"`;
  const json = {
    action,
    schedule,
    retries,
    deadline,
    stopTimeout,
    ...(capacityMap ? { capacityMap } : {}),
    ...(parameters ? { parameters } : {}),
  };
  await msr.send(signal, { method: 'POST', operation, path: CRONS, json });
  const found = await readCron(msr, signal, action);
  if (found?.schedule !== schedule) {
    const now = found ? `its schedule is "${found.schedule}"` : 'it is not there';
    throw noEffect(msr, operation, `MSR accepted it, and yet ${now}`);
  }
}

/**
 * Removes a cron and asks whether it is gone. What the path names is the action for GET; for DELETE it was the id in
 * older releases: so both are tried, and only what MSR then says counts. Jobs that were already made go on.
 */
export async function deleteCron(
  msr: MsrConnection,
  signal: AbortSignal,
  cron: Pick<MsrCron, 'id' | 'action'>,
): Promise<void> {
  const operation = `remove the cron "${cron.action}"`;
  for (const name of new Set([cron.action, cron.id])) {
    const path = `${CRONS}/${encodeURIComponent(name)}`;
    await msr.send(signal, { method: 'DELETE', operation, path, accepts: [400, 404] });
    if (await isGone(msr, signal, cron.action)) return;
  }
  throw noEffect(msr, operation, 'MSR accepted it, and yet it is still there');
}

async function isGone(msr: MsrConnection, signal: AbortSignal, action: string): Promise<boolean> {
  const crons = await listCrons(msr, signal);
  return !crons.some((cron) => cron.action === action) && (await readCron(msr, signal, action)) === undefined;
}

function noEffect(msr: MsrConnection, operation: string, reason: string): MsrError {
  return new MsrError(
    reason,
    { kind: 'unexpected', server: msr.name, operation, isTransient: false, mayHaveActed: true },
    { hint: 'Do it by hand under System > Garbage Collection, and see whether it stays' },
  );
}
