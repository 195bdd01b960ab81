/** How each step of a migration can be made to fail. */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import type { MigrateWorld } from './migrate-world.ts';

type Mend = () => Promise<void> | void;

/** @returns what takes it away again. */
type Break = (world: MigrateWorld) => Promise<Mend> | Mend;

const ALWAYS = 1_000_000;
const NOT_NOW = { errors: [{ code: 'NOT_NOW', message: 'it is not to be' }] };

function refuses(on: string | RegExp, times = ALWAYS, status = 400): Break {
  return ({ msr }) => {
    msr.faults.add({ on, times, does: { kind: 'answer', status, json: NOT_NOW } });
    return () => msr.faults.clear();
  };
}

function command(name: string, when: 'before' | 'after'): Break {
  return ({ msr }) => {
    msr.docker.misbehave(name, { kind: 'fail', when, message: 'level=fatal msg="not now"' });
    return () => undefined;
  };
}

const noListing: Break = async ({ s3 }) => {
  const fault = { kind: 'status', status: 403, code: 'AccessDenied' } as const;
  const handle = await s3.misbehave({ fault, operation: 'ListObjectsV2', times: ALWAYS });
  return () => handle.remove();
};

const noPulls = refuses(/^GET \/v2\/.*\/manifests\//, ALWAYS, 404);

const READ_ONLY = 'POST /api/v0/meta/settings';
const SWITCH = 'PUT /api/v0/admin/settings/registry';
const PUT_CRON = 'POST /api/v0/crons';
/** It says that it was done, and was not. */
const notMadeReadOnly: Break = ({ msr }) => {
  msr.faults.add({ on: READ_ONLY, does: { kind: 'no-effect', status: 202 } });
  return () => msr.faults.clear();
};

/** By step: from its first call on. */
export const BREAKS: Readonly<Record<string, Break>> = {
  // The first of two crons is gone by then.
  'crons-away': refuses(/^DELETE \/api\/v0\/crons\/(cron-)?tag_pruning$/),
  'backup-1': command('backup', 'before'),
  live: noListing,
  'read-only': notMadeReadOnly,
  'backup-2': command('backup', 'after'),
  'final-pass': noListing,
  verify: noListing,
  destroy: command('destroy', 'after'),
  restore: command('restore', 'before'),
  reconfigure: command('reconfigure', 'before'),
  'read-only-again': notMadeReadOnly,
  'catch-up': noListing,
  switch: refuses(SWITCH, 1),
  'pull-test': noPulls,
  writable: refuses(READ_ONLY),
  gc: ({ msr }) => {
    msr.state.jobs.script('onlinegc_blobs', ['running', 'error']);
    return () => msr.state.jobs.script('onlinegc_blobs', ['running', 'done']);
  },
  'pull-test-2': noPulls,
  'crons-back': refuses(PUT_CRON),
};

/** By step, where it has to be so before that step begins. */
export const BROKEN_BEFORE: Readonly<Record<string, Break>> = {
  'jobs-drained': ({ msr: { state } }) => {
    state.jobs.script('tag_pruning', ['running']);
    const job = state.jobs.create('tag_pruning');
    return () => void job.coming.push('done');
  },
  window: async ({ file }) => {
    const text = await readFile(file, 'utf8');
    await appendFile(file, 'windowMax: 10s\n');
    return () => writeFile(file, text);
  },
};

/** What the undo of a step calls is refused once. */
export const UNDO_BREAKS: Readonly<Record<string, Break>> = {
  'crons-away': refuses(PUT_CRON, 1),
  'read-only': refuses(READ_ONLY, 1),
  switch: refuses(SWITCH, 1),
};
