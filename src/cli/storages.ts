/** From what was typed after `--from` and `--to` to storages that are safe to use together. */
import { hash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import type { LayoutChoice } from '../core/job.ts';
import type { StorageSpec } from '../drivers/spec.ts';
import { storageIdentity, storageName } from '../drivers/spec-name.ts';
import { keyRuleOf } from '../layout/key-rule.ts';
import { withFoundCredentials } from './composition.ts';
import type { CommandContext } from './context.ts';
import { environmentKeys } from './storage/environment-keys.ts';
import { withNetwork } from './storage/network.ts';
import { readStorage } from './storage/read-storage.ts';

export interface Storages {
  readonly source: StorageSpec;
  readonly target: StorageSpec;
}

export async function readStorages(
  given: { readonly from: string; readonly to: string },
  context: CommandContext,
): Promise<Storages> {
  const source = await readOneStorage(given.from, 'source', context);
  const target = await readOneStorage(given.to, 'target', context);
  return { source, target };
}

export async function readOneStorage(
  argument: string,
  role: 'source' | 'target',
  { output, env }: CommandContext,
): Promise<StorageSpec> {
  const { spec, notes } = await readStorage(argument, env, { role });
  for (const note of notes) output.say(`note: ${note}`);
  if (spec.kind === 'fs' || spec.kind === 'memory') return spec;
  const reached = withNetwork(spec, env);
  for (const note of reached.notes) output.say(`note: ${note}`);
  if (reached.spec.kind !== 's3') return reached.spec;
  const credentials = reached.spec.credentials ?? environmentKeys(reached.spec, env);
  return withFoundCredentials({ ...reached.spec, ...(credentials ? { credentials } : {}) });
}

export interface Ownership {
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly mode?: number;
}

/** `--owner` and `--mode` go into the target's settings; elsewhere than on a file system they mean nothing. */
export function withOwnership(target: StorageSpec, { owner, mode }: Ownership): StorageSpec {
  if (owner === undefined && mode === undefined) return target;
  if (target.kind !== 'fs') {
    const option = owner === undefined ? '--mode' : '--owner';
    throw new ConfigError(`${option} is for a target on a file system; ${storageName(target)} is none`);
  }
  return { ...target, ...(owner === undefined ? {} : { owner }), ...(mode === undefined ? {} : { mode }) };
}

/**
 * The journal of a job that was given none: the same folder for the same two storages, wherever blobferry is started,
 * so that a second run finds what the first one wrote. `auto` is a registry or an error, so it is one job with it.
 */
export function defaultJournalFolder(
  { source, target }: Storages,
  layout: LayoutChoice,
  env: CommandContext['env'],
): string {
  const state = env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state');
  const kind = layout === 'raw' ? 'raw' : 'registry';
  // Two registries of one container, under two rules, have one name.
  const rules = [source, target].flatMap((storage) => {
    const rule = keyRuleOf(storage);
    return rule === undefined || rule === 'distribution' ? [] : [rule];
  });
  const job = [storageIdentity(source), storageIdentity(target), kind, ...rules].join('\n');
  return join(state, 'blobferry', hash('sha256', job).slice(0, 16));
}
