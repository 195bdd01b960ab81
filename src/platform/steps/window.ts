/** Before the registry is made read-only: for how long, and is that agreed to? */
import { BlobferryError } from '../../core/errors.ts';
import type { WindowPrediction } from '../engine-port.ts';
import type { Checked, Effect, Step, StepContext } from '../saga/step.ts';
import type { EngineSite } from './engine-steps.ts';
import { keptPasses, keptUnsettled, LIVE } from './live-passes.ts';

const NAMED = 5;

export interface WindowOptions {
  /** A longer prediction opens no window; undefined: any does. */
  readonly msMax: number | undefined;
  /** What else happens inside. */
  readonly elsewhereMs: number;
  /** Of storages whose credentials end and are not renewed by themselves; absent: none do. */
  readonly credentials?: readonly CredentialsEnd[];
  /** Shows the prediction and asks; a flag may answer. */
  readonly ask: (text: string) => Promise<boolean>;
}

export interface CredentialsEnd {
  /** Display name of the storage. */
  readonly name: string;
  readonly expireMs: number;
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
      const prediction = predicted(ctx);
      const why = whyTooLong(prediction, options.msMax);
      if (why !== undefined) {
        const hint = 'Run more live passes, at a quieter time, or write a longer windowMax';
        return { is: 'blocked', why, hint };
      }
      const ending = whyEnding(options, prediction);
      if (ending === undefined) return { is: 'todo' };
      const hint = 'Take credentials that last longer, and run the same migration again';
      return { is: 'blocked', why: ending, hint };
    },
    do: async ({ memory, ...ctx }) => {
      const lasts =
        predicted({ ...ctx, memory })?.text ??
        'How long it will be read-only is not known: there was no live pass';
      const text = `${lasts}${unsettledText(keptUnsettled(ctx.memoryOf(LIVE)))}`;
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

/** What is still so in the window is damage, and ends it in vain. */
function unsettledText(paths: readonly string[]): string {
  if (paths.length === 0) return '';
  const what = paths.length === 1 ? '1 object was' : `${paths.length} objects were`;
  const named = paths.slice(0, NAMED).join(', ');
  return `. ${what} not settled in the last live pass: ${named}${paths.length > NAMED ? ' and more' : ''}. What is in the making settles by itself; what is damaged ends the final pass, unless --accept-damage lets it be`;
}

/** What the window does last is not known where nothing was measured: the steps around it, at the least. */
function whyEnding(
  { credentials = [], elsewhereMs }: WindowOptions,
  window: WindowPrediction | undefined,
): string | undefined {
  const endMs = Date.now() + (window?.totalMs ?? elsewhereMs);
  const ending = credentials.filter(({ expireMs }) => expireMs < endMs);
  if (ending.length === 0) return undefined;
  const iso = (ms: number): string => new Date(ms).toISOString();
  const named = ending.map(({ name, expireMs }) => `those for ${name} at ${iso(expireMs)}`).join(', ');
  return `Credentials end before the window would, at about ${iso(endMs)}: ${named}`;
}

function whyTooLong(window: WindowPrediction | undefined, msMax: number | undefined): string | undefined {
  if (msMax === undefined) return undefined;
  if (!window) return 'windowMax is given, and without a live pass nothing says how long the window will be';
  if (window.totalMs <= msMax) return undefined;
  const minutes = (ms: number): string => `${Math.ceil(ms / 60_000)} min`;
  return `The window is predicted to be ${minutes(window.totalMs)}, and windowMax is ${minutes(msMax)}: ${window.text}`;
}
