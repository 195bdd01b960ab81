/** Before the registry is made read-only: for how long, and is that agreed to? */
import { BlobferryError } from '../../core/errors.ts';
import type { WindowPrediction } from '../engine-port.ts';
import type { Checked, Effect, Step, StepContext } from '../saga/step.ts';
import type { EngineSite } from './engine-steps.ts';
import { keptPasses, LIVE } from './live-passes.ts';

export interface WindowOptions {
  /** A longer prediction opens no window; undefined: any does. */
  readonly msMax: number | undefined;
  /** What else happens inside. */
  readonly elsewhereMs: number;
  /** Shows the prediction and asks; a flag may answer. */
  readonly ask: (text: string) => Promise<boolean>;
}

export function windowStep(site: EngineSite, options: WindowOptions): Step {
  const predicted = ({ memoryOf }: StepContext): WindowPrediction | undefined => {
    const passes = keptPasses(memoryOf(LIVE));
    const { elsewhereMs } = options;
    return passes.length === 0 ? undefined : site.engine.predictWindow({ passes, elsewhereMs });
  };
  return {
    id: 'window',
    title: 'Say how long the registry will be read-only',
    changes: '',
    kind: 'read',
    check: async (ctx): Promise<Checked> => {
      if (ctx.memory.get('text') !== undefined) return { is: 'done' };
      const why = whyTooLong(predicted(ctx), options.msMax);
      if (why === undefined) return { is: 'todo' };
      return {
        is: 'blocked',
        why,
        hint: 'Run more live passes, at a quieter time, or write a longer windowMax',
      };
    },
    do: async ({ memory, ...ctx }) => {
      const text =
        predicted({ ...ctx, memory })?.text ??
        'How long it will be read-only is not known: there was no live pass';
      if (!(await options.ask(text))) {
        throw new BlobferryError(`The window was not opened, as nobody agreed to it: ${text}`, {
          hint: 'Run again when it may be: what was copied is found equal',
        });
      }
      memory.keep('text', text);
    },
    effect: async ({ memory }): Promise<Effect> => {
      const text = memory.get('text');
      return typeof text === 'string'
        ? { is: 'shown', evidence: text }
        : { is: 'missing', why: 'nobody agreed' };
    },
  };
}

function whyTooLong(window: WindowPrediction | undefined, msMax: number | undefined): string | undefined {
  if (msMax === undefined) return undefined;
  if (!window) return 'windowMax is given, and without a live pass nothing says how long the window will be';
  if (window.totalMs <= msMax) return undefined;
  const minutes = (ms: number): string => `${Math.ceil(ms / 60_000)} min`;
  return `The window is predicted to be ${minutes(window.totalMs)}, and windowMax is ${minutes(msMax)}: ${window.text}`;
}
