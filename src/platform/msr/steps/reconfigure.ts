/** Points MSR at its new volume or NFS folder with `reconfigure --storage-migrated`, tags kept. */
import { containerName, shellCommandOnce, tidied } from '../../container.ts';
import type { Effect, Step, StepContext } from '../../saga/step.ts';
import { helpCommand, type LocalStorage, MIGRATED_FLAG, reconfigureSpec } from '../dtr-commands.ts';
import { awaited, lookAtReplicas, switchPatience } from '../look-at-replicas.ts';
import { isMounted, mountOf, mountText } from '../mounts.ts';
import { readSettings } from '../msr-settings.ts';
import type { MsrSite } from '../msr-site.ts';
import { cronsByHand, savedCrons } from './saved-crons.ts';

type ReconfigureSite = Pick<MsrSite, 'msr' | 'containers' | 'dtr' | 'pace' | 'byHand'>;

export function reconfigureStep(site: ReconfigureSite, target: LocalStorage): Step {
  const { msr, containers, dtr, pace } = site;
  return {
    id: 'reconfigure',
    title: 'Reconfigure MSR to its new storage',
    changes: 'MSR mounts the new storage; replicas restart, and stay read-only',
    kind: 'forward',
    check: async ({ signal, memory }) => {
      if (await isMounted(msr, signal, target)) return { is: 'done' };
      // An image may have to be pulled for it, or somebody asked: read-only is looked at once more behind that.
      if (memory.get('knows') === undefined) {
        const { image } = dtr;
        memory.keep(
          'knows',
          await containers.knowsFlag(image, helpCommand('reconfigure'), MIGRATED_FLAG, signal),
        );
      }
      return { is: 'todo', isUntouched: true };
    },
    do: async (ctx) => {
      const { run, signal, memory } = ctx;
      const mount = mountOf(await readSettings(msr, signal));
      if (mount) memory.keepFirst('old-mount', { ...mount });
      const knows = memory.get('knows') === true;
      const name = containerName(run, 'reconfigure');
      const spec = reconfigureSpec(dtr, { name, msMax: pace.containerMsMax }, target, knows);
      await containers.run(spec, signal);
      await containers.remove(spec.name, signal);
    },
    effect: async ({ signal, isGlance, run }): Promise<Effect> => {
      // Whether its replicas come back as they were is not documented: the step behind this one sees to it.
      let state = '';
      const wrong = await awaited(signal, switchPatience(pace, { isGlance }), async () => {
        if (!(await isMounted(msr, signal, target))) return `MSR is not on ${mountText(target)}`;
        const { evidence } = await lookAtReplicas(msr, signal);
        state = evidence.is;
        return evidence.is === 'unknown' ? evidence.reasons.join('; ') : undefined;
      });
      if (wrong !== undefined) return { is: 'missing', why: wrong };
      const left = await tidied(containers, [containerName(run, 'reconfigure')], signal);
      return { is: 'shown', evidence: `MSR is on ${mountText(target)}, ${state}${left}` };
    },
    ways: (ctx) => ({
      forward: [commandTo(site, ctx, 'forward', target)],
      back: reconfigureBack(site, ctx),
    }),
  };
}

export function reconfigureBack(site: ReconfigureSite, ctx: StepContext): readonly string[] {
  const old = ctx.memoryOf('reconfigure').get('old-mount') as unknown as LocalStorage | undefined;
  const storage = old
    ? commandTo(site, ctx, 'back', old)
    : 'Set the old storage under System > Storage in MSR, with its metadata kept';
  const crons = cronsByHand(site.byHand, savedCrons(ctx.memoryOf('crons-away')));
  return [storage, site.byHand.readOnly(false), ...crons];
}

function commandTo({ dtr, pace }: ReconfigureSite, ctx: StepContext, way: string, to: LocalStorage): string {
  const name = containerName(ctx.run, `${way}-reconfigure`);
  const knows = ctx.memoryOf('reconfigure').get('knows') === true;
  return shellCommandOnce(reconfigureSpec(dtr, { name, msMax: pace.containerMsMax }, to, knows));
}
