/**
 * A registry without an API that says what it does (plain distribution): the same passes, and a person does the rest. What
 * that person says is all that there is to believe, so a window lasts only while this very program runs.
 */
import { randomUUID } from 'node:crypto';
import { BlobferryError } from '../../core/errors.ts';
import type { Awaiter } from '../print-commands.ts';
import type { Epoch } from '../read-only-epoch.ts';
import type { Json } from '../saga/saga-log.ts';
import type { Effect, Step } from '../saga/step.ts';
import type { EngineSite } from '../steps/engine-steps.ts';
import { finalPass, verifyStep } from '../steps/final-pass.ts';
import { livePasses } from '../steps/live-passes.ts';
import { type WindowOptions, windowStep } from '../steps/window.ts';

export interface NoneOptions {
  readonly preflight: Step;
  readonly passes: 'auto' | number;
  readonly window: WindowOptions;
  readonly deleteMax: number;
  /** Default: none. */
  readonly damageMax?: number | undefined;
  /** Display name of the new storage. */
  readonly target: string;
  readonly awaiter: Awaiter;
}

const READ_ONLY = 'read-only';
/** Distribution has no handlers for writing while it is read-only, and answers 405 (registry/handlers/blobupload.go). */
const TRY_PUSH = `  curl -s -o /dev/null -w '%{http_code}\\n' -X POST "$REGISTRY/v2/blobferry/trial/blobs/uploads/"`;
/** Of this process: nobody watched in between where it is another one. */
const PROCESS = randomUUID();

export function noneSteps(
  engine: Omit<EngineSite, 'digests' | 'window'>,
  options: NoneOptions,
): readonly Step[] {
  const site: EngineSite = { ...engine, window: READ_ONLY, digests: () => undefined };
  return [
    options.preflight,
    livePasses(site, options.passes),
    windowStep(site, options.window),
    readOnlyByHand(options.awaiter),
    finalPass(site, options.deleteMax, options.damageMax),
    verifyStep(site, options.damageMax),
    byHand(options.awaiter, {
      id: 'switch',
      title: 'Point the registry at its new storage, still read-only',
      lines: [
        `In the configuration of the registry, write the section storage of the new storage: ${options.target}`,
        'Leave storage.maintenance.readonly.enabled: true as it is, restart every instance, and pull an image',
      ],
      changes: 'The registry uses its new storage, once you have set it up so',
    }),
    byHand(options.awaiter, {
      id: 'writable',
      title: 'End read-only: the registry takes writes on its new storage',
      lines: [
        'Set storage.maintenance.readonly.enabled: false in the configuration of the registry',
        'Restart every instance, and see that a push is let in: 202, or 401; garbage collection may run again',
        TRY_PUSH,
      ],
      changes: 'Pushes go to the new storage alone, once you have let them in',
    }),
  ];
}

function readOnlyByHand(awaiter: Awaiter): Step {
  const on = [
    'Let no garbage collection begin, and wait for one that runs',
    'Set storage.maintenance.readonly.enabled: true in the configuration of the registry, and restart every instance',
    'Then see that a push is refused: 405, or 401 where a login is asked for first (REGISTRY: its address, https://…)',
    TRY_PUSH,
  ];
  const off = ['Set storage.maintenance.readonly.enabled: false again, and restart every instance'];
  return {
    id: READ_ONLY,
    title: 'Make the registry read-only',
    changes: 'Pushes and deletes are refused, once you have set it up so',
    kind: 'reversible',
    check: async () => ({ is: 'todo' }),
    do: async ({ memory, signal }) => {
      await demandDone(awaiter, on, signal);
      const nowMs = Date.now();
      const epoch: Epoch = {
        beganMs: nowMs,
        seenMs: nowMs,
        looks: 1,
        replicas: { registry: { is: 'read-only', mark: PROCESS } },
      };
      memory.keep('epoch', epoch as unknown as Json);
    },
    effect: async ({ memory }) => {
      const isHeld = epochOf(memory.get('epoch'))?.replicas['registry']?.mark === PROCESS;
      return isHeld
        ? { is: 'shown', evidence: 'as you have said' }
        : { is: 'missing', why: 'nobody has said that it is read-only' };
    },
    held: async ({ memory }) => {
      const isSame = epochOf(memory.get('epoch'))?.replicas['registry']?.mark === PROCESS;
      if (isSame) return { is: 'held' };
      return { is: 'unknown', why: 'blobferry was away, and nothing shows that it held meanwhile' };
    },
    undo: async ({ signal, memory }) => {
      await demandDone(awaiter, off, signal);
      memory.keep('isOff', true);
    },
    undone: async ({ memory }) =>
      memory.get('isOff') === true
        ? { is: 'shown', evidence: 'as you have said' }
        : { is: 'missing', why: 'nobody has said that it takes writes again' },
    ways: () => ({ forward: on, back: off }),
  };
}

interface ByHand {
  readonly id: string;
  readonly title: string;
  readonly changes: string;
  readonly lines: readonly string[];
}

function byHand(awaiter: Awaiter, { id, title, changes, lines }: ByHand): Step {
  return {
    id,
    title,
    changes,
    kind: 'forward',
    check: async () => ({ is: 'todo' }),
    do: async ({ memory, signal }) => {
      await demandDone(awaiter, lines, signal);
      memory.keep('isDone', true);
    },
    effect: async ({ memory }): Promise<Effect> =>
      memory.get('isDone') === true
        ? { is: 'shown', evidence: 'as you have said' }
        : { is: 'missing', why: 'nobody has said that it is done' },
    ways: () => ({
      forward: lines,
      back: ['The old storage is untouched: the configuration as it was brings it back'],
    }),
  };
}

async function demandDone(awaiter: Awaiter, lines: readonly string[], signal: AbortSignal): Promise<void> {
  if (await awaiter(lines, signal)) return;
  throw new BlobferryError('It was not done, says whoever was asked', {
    hint: 'Run the same migration again when it is',
  });
}

function epochOf(kept: Json | undefined): Epoch | undefined {
  return kept as unknown as Epoch | undefined;
}
