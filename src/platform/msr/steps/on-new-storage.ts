/**
 * Steps that are for a registry on its new storage, and harm or lie on another one: somebody may have gone back by hand
 * since it was switched, by the very commands that were printed.
 */
import type { Effect, Step } from '../../saga/step.ts';
import { isMounted, mountText } from '../mounts.ts';
import type { MsrConnection } from '../msr-connection.ts';
import { readRegistrySettings } from '../msr-registry-settings.ts';
import type { NewStorage } from '../msr-site.ts';

const HINT =
  'If the old storage was brought back to stay, move the folder "steps" out of the journal, and the next run begins anew; else take the way forward';

/** The same step, which is neither begun nor believed while the registry is elsewhere. */
export function onNewStorage(step: Step, msr: MsrConnection, target: NewStorage): Step {
  return {
    ...step,
    check: async (ctx) => {
      const why = await whyElsewhere(msr, ctx.signal, target);
      return why === undefined ? await step.check(ctx) : { is: 'blocked', why, hint: HINT };
    },
    effect: async (ctx): Promise<Effect> => {
      const effect = await step.effect(ctx);
      if (effect.is !== 'shown') return effect;
      const why = await whyElsewhere(msr, ctx.signal, target);
      return why === undefined ? effect : { is: 'missing', why, hint: HINT };
    },
  };
}

async function whyElsewhere(
  msr: MsrConnection,
  signal: AbortSignal,
  target: NewStorage,
): Promise<string | undefined> {
  if (target.by === 'mount') {
    if (await isMounted(msr, signal, target.mount)) return undefined;
    return `MSR is not on its new storage, ${mountText(target.mount)}`;
  }
  const settings = await readRegistrySettings(msr, signal);
  return settings.isAt(target.section) ? undefined : 'The registry is not on its new storage any more';
}
