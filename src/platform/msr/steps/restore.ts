/** Restores MSR from the backup of the read-only registry: on its new storage, or on the old one, to be switched next. */
import {
  ContainerError,
  type ContainerSpec,
  containerName,
  containerNames,
  shellCommandOnce,
  tidied,
} from '../../container.ts';
import type { Json } from '../../saga/saga-log.ts';
import type { Checked, Effect, Step, StepContext, Ways } from '../../saga/step.ts';
import { destroySpec, type LocalStorage, restoreSpec } from '../dtr-commands.ts';
import { awaited, lookAtReplicas, switchPatience, takesWrites } from '../look-at-replicas.ts';
import { isMounted, mountOf, mountText } from '../mounts.ts';
import { clusterProblems, readClusterStatus } from '../msr-cluster.ts';
import { isMsrError } from '../msr-error.ts';
import { type MsrSettings, requestReadOnly } from '../msr-settings.ts';
import type { MsrSite } from '../msr-site.ts';
import { takenBackup } from './backup.ts';
import { cronsByHand, savedCrons } from './saved-crons.ts';

export interface RestoreSite extends Pick<MsrSite, 'msr' | 'containers' | 'dtr' | 'byHand' | 'pace'> {
  /** Of MKE, on which the replica is made. */
  readonly node: string;
  readonly externalUrl?: string | undefined;
  /** Where the images are to be; undefined: where they were, as the settings name the new storage afterwards. */
  readonly target: LocalStorage | undefined;
}

const RESTORE = 'restore';
const WAS_WRITABLE = 'wasWritable';

/** Was the registry seen to take writes before it was shown to be restored? */
export function wasWritableBefore({ memoryOf }: Pick<StepContext, 'memoryOf'>): boolean {
  return memoryOf(RESTORE).get(WAS_WRITABLE) === true;
}

export function restoreStep(site: RestoreSite): Step {
  const { containers, pace } = site;
  return {
    id: RESTORE,
    title: 'Restore MSR from the second backup',
    changes:
      'MSR comes back on one replica, with the metadata of the backup; the others have to be joined again',
    kind: 'forward',
    check: async (ctx): Promise<Checked> => {
      if (ctx.memory.get('ended') === true) return { is: 'done' };
      const past = await containers.past(specNow(site, ctx), ctx.signal);
      const lost = past === 'ended-well' ? undefined : await whyNotLost(site, ctx);
      // Made read-only by hand, or looked at again, it shows nothing of that any more.
      if (lost) ctx.memory.keep(WAS_WRITABLE, true);
      return lost ?? { is: 'todo' };
    },
    do: async (ctx) => {
      const { signal, memory } = ctx;
      const spec = specNow(site, ctx);
      const past = await containers.past(spec, signal);
      const wasBegun = memory.get('begun') === true;
      // Of a command that somebody runs by hand only MSR itself says what came of it.
      const isThere = past === 'none' && wasBegun && (await problemsNow(site, ctx)) === undefined;
      if (past === 'failed' || (past === 'none' && wasBegun && !isThere)) await clear(site, ctx);
      memory.keep('begun', true);
      if (past !== 'ended-well' && !isThere) await runRestore(site, ctx, spec);
      memory.keep('ended', true);
      await containers.remove(spec.name, signal);
    },
    effect: async (ctx): Promise<Effect> => {
      if (ctx.memory.get('ended') !== true) return { is: 'missing', why: 'MSR is not restored' };
      const wrong = await awaited(ctx.signal, switchPatience(pace, ctx), () => problemsOf(site, ctx));
      if (wrong !== undefined) return { is: 'missing', why: wrong };
      const storage = site.target ?? oldStorage(ctx);
      const isPlaced = storage !== 'as-in-backup';
      const well = `replica ${site.dtr.replicaId} is well`;
      if (isPlaced && !(await isMounted(site.msr, ctx.signal, storage))) {
        return { is: 'missing', why: `${well}, and not on ${mountText(storage)}` };
      }
      const cleared = containerNames(ctx.run, 'restore-clear', Number(ctx.memory.get('cleared') ?? 0));
      const left = await tidied(containers, [containerName(ctx.run, RESTORE), ...cleared], ctx.signal);
      return { is: 'shown', evidence: `${well}${isPlaced ? `, on ${mountText(storage)}` : ''}${left}` };
    },
    ways: (ctx) => restoreWays(site, ctx),
  };
}

/**
 * A registry that takes writes is one that somebody brought back, by the commands that were printed: what was pushed to it
 * is not in the second backup, and would be gone with it. @returns undefined where none does.
 */
export async function whyNotLost(
  { msr, byHand }: Pick<RestoreSite, 'msr' | 'byHand'>,
  { signal }: StepContext,
): Promise<Extract<Checked, { readonly is: 'blocked' }> | undefined> {
  try {
    const { evidence } = await lookAtReplicas(msr, signal);
    if (evidence.is !== 'writable') return undefined;
  } catch (error) {
    if (!isMsrError(error)) throw error;
    // Whoever refuses is there; everything else is what one hears where no registry is.
    if (!isMsrError(error, 'unauthorized', 'forbidden')) return undefined;
    return {
      is: 'blocked',
      why: `${msr.name} runs, and whether it takes writes cannot be seen: ${error.reason}`,
      hint: 'Give the credentials of an administrator whom it lets in, and run again',
    };
  }
  return {
    is: 'blocked',
    why: `${msr.name} runs and takes writes: what was pushed to it is not in the second backup, and would be lost`,
    hint: `If it was brought back to stay, move the folder "steps" out of the journal, and the next run begins anew. If nothing was pushed to it, make it read-only and run again: ${byHand.readOnly(true)}`,
  };
}

/** What a restore that failed may have left is not to take writes: the next one would lose them. */
async function runRestore(site: RestoreSite, ctx: StepContext, spec: ContainerSpec): Promise<void> {
  try {
    await site.containers.run(spec, ctx.signal);
  } catch (error) {
    ctx.signal.throwIfAborted();
    const mayHaveActed = !(error instanceof ContainerError) || error.kind === 'failed';
    if (mayHaveActed && (await takesWrites(site.msr, ctx.signal))) {
      ctx.memory.keep(WAS_WRITABLE, true);
      // Why the restore failed is the news; whether this came to anything is looked at by the next run.
      await requestReadOnly(site.msr, ctx.signal, true).catch(() => undefined);
    }
    throw error;
  }
}

function specNow(site: RestoreSite, ctx: StepContext): ContainerSpec {
  return specOf(site, ctx, containerName(ctx.run, 'restore'), site.target ?? oldStorage(ctx));
}

/** What is mounted before anything is destroyed: a restore to the old storage names it. */
export function keepOldMount({ memory }: StepContext, settings: MsrSettings): void {
  const mount = mountOf(settings);
  if (mount) memory.keepFirst('old-mount', mount as unknown as Json);
}

/** Forward to the new storage, and back to the old one, which nothing has touched. */
export function restoreWays(site: RestoreSite, ctx: StepContext): Ways {
  const taken = takenBackup(ctx.memoryOf('backup-2'));
  if (!taken) return { forward: [], back: [] };
  const lines = (way: string, storage: LocalStorage | 'as-in-backup'): readonly string[] => [
    ...allReplicas(site, ctx).map((id) => {
      const name = containerName(ctx.run, `${way}-destroy-${id}`);
      // Most of them are gone already, which is fine.
      return `${shellCommandOnce(destroySpec(site.dtr, { name, msMax: site.pace.containerMsMax }, id))} || true`;
    }),
    shellCommandOnce(specOf(site, ctx, containerName(ctx.run, `${way}-restore`), storage)),
  ];
  return {
    forward: [
      ...lines('forward', site.target ?? oldStorage(ctx)),
      // It may come back writable, and one that takes writes is not gone on with.
      site.byHand.readOnly(true),
      'Then run the same migration again',
    ],
    back: [
      ...lines('back', oldStorage(ctx)),
      site.byHand.readOnly(false),
      ...cronsByHand(site.byHand, savedCrons(ctx.memoryOf('crons-away'))),
    ],
  };
}

function allReplicas({ dtr }: RestoreSite, ctx: StepContext): readonly string[] {
  const kept = ctx.memoryOf('destroy').get('replicas') as readonly string[] | undefined;
  return kept ?? [dtr.replicaId];
}

function oldStorage({ memoryOf }: StepContext): LocalStorage | 'as-in-backup' {
  const kept = memoryOf('destroy').get('old-mount') as unknown as LocalStorage | undefined;
  return kept ?? 'as-in-backup';
}

function specOf(
  { dtr, node, externalUrl, pace }: RestoreSite,
  ctx: StepContext,
  name: string,
  storage: LocalStorage | 'as-in-backup',
) {
  const file = takenBackup(ctx.memoryOf('backup-2'))?.file ?? '';
  const url = externalUrl === undefined ? {} : { url: externalUrl };
  return restoreSpec(dtr, { name, msMax: pace.containerMsMax }, { file, node, storage, ...url });
}

/** A restore that failed half-way leaves a replica that the next one would refuse to stand beside. */
async function clear({ containers, dtr, pace }: RestoreSite, ctx: StepContext): Promise<void> {
  const { run, signal, memory } = ctx;
  const times = Number(memory.get('cleared') ?? 0) + 1;
  memory.keep('cleared', times);
  const spec = destroySpec(dtr, {
    name: containerName(run, 'restore-clear', times),
    msMax: pace.containerMsMax,
  });
  try {
    await containers.run(spec, signal);
  } catch (error) {
    signal.throwIfAborted();
    // Where it left nothing there is nothing to destroy: the restore says what is in its way.
    if (!(error instanceof ContainerError) || error.kind !== 'failed') throw error;
  }
  await containers.remove(spec.name, signal);
}

async function problemsNow(site: RestoreSite, ctx: StepContext): Promise<string | undefined> {
  try {
    return await problemsOf(site, ctx);
  } catch (error) {
    if (isMsrError(error)) return error.message;
    throw error;
  }
}

async function problemsOf({ msr, dtr }: RestoreSite, { signal }: StepContext): Promise<string | undefined> {
  const problems = clusterProblems(await readClusterStatus(msr, signal), [dtr.replicaId]);
  return problems.length === 0 ? undefined : problems.join('; ');
}
