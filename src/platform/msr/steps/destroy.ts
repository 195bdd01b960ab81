/** Destroys the replicas, which a restore wants: the first thing in a migration that cannot be taken back. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { containerName, tidied } from '../../container.ts';
import type { Epoch } from '../../read-only-epoch.ts';
import type { Checked, Effect, Step, StepContext } from '../../saga/step.ts';
import { destroySpec } from '../dtr-commands.ts';
import { clusterProblems, readClusterStatus } from '../msr-cluster.ts';
import { isMsrError } from '../msr-error.ts';
import { newestSwitch } from '../msr-jobs.ts';
import { readSettings } from '../msr-settings.ts';
import { takenBackup } from './backup.ts';
import { keepOldMount, type RestoreSite, restoreWays, whyNotLost } from './restore.ts';
import { READ_ONLY } from './step-ids.ts';

const ANEW =
  'Move the folder "steps" out of the journal, and the next run begins anew: what was copied is found equal. Credentials that it refuses have to be mended first';

export function destroyStep(site: RestoreSite): Step {
  const { msr, containers, dtr, pace } = site;
  return {
    id: 'destroy',
    title: 'Destroy the replicas of MSR',
    changes:
      'MSR is gone until it is restored: its containers and its volumes are removed, the old storage is not',
    kind: 'forward',
    check: async (ctx): Promise<Checked> => {
      const broken = await brokenBackup(ctx);
      if (broken !== undefined) return { is: 'blocked', why: broken };
      const replicas = replicasOf(ctx);
      if (replicas?.every((id) => destroyedOf(ctx).includes(id))) return { is: 'done' };
      if (await isWhole(site, ctx)) return { is: 'todo', isUntouched: true };
      const lost = await whyNotLost(site, ctx);
      // Read-only again, it would be one that was switched.
      if (lost) return { ...lost, hint: ANEW };
      return (await whySwitched(site, ctx)) ?? { is: 'todo' };
    },
    do: async (ctx) => {
      const { memory, run, signal } = ctx;
      const replicas = replicasOf(ctx) ?? (await keepReplicas(site, ctx));
      for (const id of replicas) {
        if (destroyedOf(ctx).includes(id)) continue;
        const spec = destroySpec(
          dtr,
          { name: containerName(run, `destroy-${id}`), msMax: pace.containerMsMax },
          id,
        );
        await containers.run(spec, signal);
        memory.keep('destroyed', [...destroyedOf(ctx), id]);
        await containers.remove(spec.name, signal);
      }
    },
    effect: async (ctx): Promise<Effect> => {
      const left = (replicasOf(ctx) ?? ['all of them']).filter((id) => !destroyedOf(ctx).includes(id));
      if (left.length > 0) return { is: 'missing', why: `Not destroyed yet: ${left.join(', ')}` };
      try {
        await readClusterStatus(msr, ctx.signal);
        return { is: 'missing', why: `${msr.name} still answers, although every replica should be gone` };
      } catch (error) {
        if (!isMsrError(error)) throw error;
        // Whoever refuses is there.
        if (isMsrError(error, 'unauthorized', 'forbidden', 'throttled')) {
          return { is: 'missing', why: `${error.message}: a replica is still there to say so` };
        }
      }
      const names = destroyedOf(ctx).map((id) => containerName(ctx.run, `destroy-${id}`));
      const tidy = await tidied(containers, names, ctx.signal);
      const gone = `replicas ${destroyedOf(ctx).join(', ')} are gone`;
      return { is: 'shown', evidence: `${gone}, ${msr.name} does not answer${tidy}` };
    },
    ways: (ctx) => restoreWays(site, ctx),
  };
}

/**
 * Replicas that are left were read-only when the first one was destroyed. One that was switched since may have taken writes
 * between two runs of the program, although it is read-only again.
 */
async function whySwitched(
  { msr }: RestoreSite,
  { memoryOf, signal }: StepContext,
): Promise<Extract<Checked, { readonly is: 'blocked' }> | undefined> {
  const epoch = memoryOf(READ_ONLY).get('epoch') as unknown as Epoch | undefined;
  if (epoch?.lastSwitch === undefined) return undefined;
  try {
    if ((await newestSwitch(msr, signal)) === epoch.lastSwitch) return undefined;
  } catch (error) {
    if (isMsrError(error)) return undefined;
    throw error;
  }
  return {
    is: 'blocked',
    why: `${msr.name} runs, and was switched since the second backup (there is another job ro_registry): what may have been pushed meanwhile would be lost`,
    hint: ANEW,
  };
}

/** What was read is what is restored. @returns a sentence where it is not. */
async function brokenBackup({ memoryOf, signal }: StepContext): Promise<string | undefined> {
  const taken = takenBackup(memoryOf('backup-2'));
  if (!taken) return 'There is no backup of the read-only registry to be restored';
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(taken.file, { signal })) hash.update(piece as Buffer);
  } catch (error) {
    signal.throwIfAborted();
    return `The backup cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
  return hash.digest('hex') === taken.sha256
    ? undefined
    : `The backup ${taken.file} was changed since it was taken`;
}

/** The one that is restored goes last. */
async function keepReplicas(site: RestoreSite, ctx: StepContext): Promise<readonly string[]> {
  const settings = await readSettings(site.msr, ctx.signal);
  keepOldMount(ctx, settings);
  const others = settings.replicas.filter((id) => id !== site.dtr.replicaId).sort();
  return ctx.memory.keepFirst('replicas', [...others, site.dtr.replicaId]) as readonly string[];
}

function replicasOf({ memory }: StepContext): readonly string[] | undefined {
  return memory.get('replicas') as readonly string[] | undefined;
}

function destroyedOf({ memory }: StepContext): readonly string[] {
  return (memory.get('destroyed') as readonly string[] | undefined) ?? [];
}

/** Nothing has come of it yet. */
async function isWhole({ msr }: RestoreSite, ctx: StepContext): Promise<boolean> {
  if (destroyedOf(ctx).length > 0) return false;
  try {
    const { replicas } = await readSettings(msr, ctx.signal);
    return clusterProblems(await readClusterStatus(msr, ctx.signal), replicas).length === 0;
  } catch (error) {
    if (isMsrError(error)) return false;
    throw error;
  }
}
