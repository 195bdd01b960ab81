/**
 * The two procedures of MSR 2.9 for a new storage backend, as steps in their order and in no other.
 *
 *     restore       ... verify | destroy, restore, [read-only again, catch up, switch,] pull, writable, GC, pull, crons
 *     reconfigure   ... verify | reconfigure, read-only again, pull, writable, crons       new storage that is mounted
 *                   ... verify, switch, pull | writable, crons             new storage in a cloud
 *
 * Behind the bar nothing is undone any more. Before it: crons away, jobs drained, backup 1, live passes, the window,
 * read-only, backup 2, final pass.
 */
import type { Step, StepContext } from '../saga/step.ts';
import type { EngineSite } from '../steps/engine-steps.ts';
import { finalPass, verifyStep } from '../steps/final-pass.ts';
import { livePasses } from '../steps/live-passes.ts';
import { type WindowOptions, windowStep } from '../steps/window.ts';
import type { MsrSite, NewStorage } from './msr-site.ts';
import type { GetAccess } from './pull/http-get.ts';
import { backupStep, takenBackup } from './steps/backup.ts';
import { cronsAway } from './steps/crons-away.ts';
import { cronsBack } from './steps/crons-back.ts';
import { destroyStep } from './steps/destroy.ts';
import { garbageCollection } from './steps/garbage-collection.ts';
import { jobsDrained } from './steps/jobs-drained.ts';
import { onNewStorage } from './steps/on-new-storage.ts';
import { pullTest } from './steps/pull-test.ts';
import { readOnlyStep } from './steps/read-only.ts';
import { catchUp, readOnlyAgain } from './steps/read-only-again.ts';
import { reconfigureBack, reconfigureStep } from './steps/reconfigure.ts';
import { restoreStep, restoreWays } from './steps/restore.ts';
import { READ_ONLY } from './steps/step-ids.ts';
import { oldStorageByHand, switchStep } from './steps/switch-storage.ts';
import { writable } from './steps/writable.ts';

export interface ProcedureOptions {
  readonly procedure: 'restore' | 'reconfigure';
  readonly target: NewStorage;
  /** Of MKE, and how MSR is reached: what a restore wants. */
  readonly node: string;
  readonly externalUrl?: string | undefined;
  readonly passes: 'auto' | number;
  readonly window: WindowOptions;
  readonly deleteMax: number;
  /** Default: none. */
  readonly damageMax?: number | undefined;
  /** Without the first backup: blobs are not compared with what they must hash to. */
  readonly isWithoutDigests: boolean;
  readonly pull: { readonly tags: number; readonly access: GetAccess };
  /** Step that reads, and stands before all others. */
  readonly preflight: Step;
}

export function msrSteps(
  site: MsrSite,
  engine: Omit<EngineSite, 'digests' | 'window'>,
  options: ProcedureOptions,
): readonly Step[] {
  const engineSite = msrEngineSite(engine, options.isWithoutDigests);
  const cut = cutOver(site, engineSite, options);
  const there = (step: Step): Step => onNewStorage(step, site.msr, options.target);
  return [
    options.preflight,
    cronsAway(site),
    jobsDrained(site),
    ...(options.isWithoutDigests ? [] : [backupStep(site, 'backup-1')]),
    livePasses(engineSite, options.passes),
    windowStep(engineSite, options.window),
    readOnlyStep(site, options.pull.access),
    backupStep(site, 'backup-2'),
    finalPass(engineSite, options.deleteMax, options.damageMax),
    verifyStep(engineSite, options.damageMax),
    ...cut.steps,
    there(pullTest(site, { id: 'pull-test', ...options.pull })),
    there(writable(site, cut.back)),
    ...(options.procedure === 'restore'
      ? [there(garbageCollection(site)), there(pullTest(site, { id: 'pull-test-2', ...options.pull }))]
      : []),
    cronsBack(site),
  ];
}

/** The second backup is of this very epoch; before there is one, the first says what it can. */
function msrEngineSite(engine: Omit<EngineSite, 'digests' | 'window'>, isWithout: boolean): EngineSite {
  return {
    ...engine,
    window: READ_ONLY,
    keepsBlobs: true,
    digests: ({ memoryOf }) => {
      if (isWithout) return undefined;
      return (takenBackup(memoryOf('backup-2')) ?? takenBackup(memoryOf('backup-1')))?.index;
    },
  };
}

interface CutOver {
  readonly steps: readonly Step[];
  /** Commands that bring the old storage back. */
  readonly back: (ctx: StepContext) => readonly string[];
}

function cutOver(site: MsrSite, engine: EngineSite, options: ProcedureOptions): CutOver {
  const { target, procedure, node, externalUrl } = options;
  const bySettings = (ctx: StepContext): readonly string[] => oldStorageByHand(site, ctx);
  if (procedure === 'reconfigure') {
    if (target.by === 'settings') {
      return { steps: [switchStep(site, target.section, 'reversible')], back: bySettings };
    }
    const back = (ctx: StepContext): readonly string[] => reconfigureBack(site, ctx);
    return { steps: [reconfigureStep(site, target.mount), readOnlyAgain(site, back)], back };
  }
  const mount = target.by === 'mount' ? target.mount : undefined;
  const restoreSite = { ...site, node, externalUrl, target: mount };
  const restoredBack = (ctx: StepContext): readonly string[] => restoreWays(restoreSite, ctx).back;
  const restored = [destroyStep(restoreSite), restoreStep(restoreSite), readOnlyAgain(site, restoredBack)];
  if (target.by === 'mount') {
    return { steps: restored, back: restoredBack };
  }
  const steps = [...restored, catchUp(engine), switchStep(site, target.section, 'forward')];
  return { steps, back: bySettings };
}
