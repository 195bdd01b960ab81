/** Passes over the source while it lives, until what is left for the window is small. */
import { BlobferryError } from '../../core/errors.ts';
import type { PassReport, WindowRequest } from '../engine-port.ts';
import type { Json } from '../saga/saga-log.ts';
import type { Effect, Step, StepContext, StepMemory } from '../saga/step.ts';
import { type EngineSite, engineCall, withDigests } from './engine-steps.ts';

export const LIVE = 'live';

const LACKING = 'lacking';
const BLOBS = 'blobs';
const NAMES = 'names';

/** How much of the source was seen while it lived, at best: what is seen less of later is a source that is not there whole. */
export interface SeenLive {
  /** Fewest blobs that the metadata names and the source lacked; undefined: no pass has looked. */
  readonly lacking: number | undefined;
  /** Most blobs, and most links, tags and others, that the source had; undefined: no pass has counted them. */
  readonly blobs: number | undefined;
  readonly names: number | undefined;
}

export function seenLive(memory: Pick<StepMemory, 'get'>): SeenLive {
  const kept = (name: string): number | undefined => {
    const count = memory.get(name);
    return typeof count === 'number' ? count : undefined;
  };
  return { lacking: kept(LACKING), blobs: kept(BLOBS), names: kept(NAMES) };
}

/** What a pass found in the source: blobs, and all that is none; undefined: it does not say. */
export function countsIn({
  summary,
}: Pick<PassReport, 'summary'>): { readonly blobs: number; readonly names: number } | undefined {
  if (!summary) return undefined;
  const { blob, link, tag, other } = summary.objectsByClass;
  const names = [link, tag, other].reduce((sum, { copied, skipped }) => sum + copied + skipped, 0);
  return { blobs: blob.copied + blob.skipped, names };
}

const UNSETTLED = 'unsettled';

/** Objects that were not what they must be when the last live pass read them, by name; empty: none. */
export function keptUnsettled(memory: Pick<StepMemory, 'get'>): readonly string[] {
  return (memory.get(UNSETTLED) as readonly string[] | undefined) ?? [];
}

/** What is kept of a pass: what a prediction is made of. */
type KeptPass = WindowRequest['passes'][number];

/** With so few changes a further pass would find about as many. */
const SMALL_OBJECTS = 1_000;
const SMALL_SHARE = 0.001;
const PASSES_MAX = 10;

export function keptPasses(memory: Pick<StepMemory, 'get'>): readonly KeptPass[] {
  return (memory.get('passes') as unknown as readonly KeptPass[] | undefined) ?? [];
}

/** @param passes so many, or as many as it takes. */
export function livePasses(site: EngineSite, passes: 'auto' | number): Step {
  return {
    id: LIVE,
    title: passes === 'auto' ? 'Copy while the registry lives, until little is left' : liveTitle(passes),
    changes: 'Writes to the target',
    kind: 'read',
    isOptional: true,
    check: async ({ memory }) => ({ is: memory.get('isEnough') === true ? 'done' : 'todo' }),
    do: async (ctx) => {
      for (;;) {
        const done = keptPasses(ctx.memory);
        const isEnough = typeof passes === 'number' ? done.length >= passes : isSmall(done, ctx.memory);
        if (isEnough) break;
        await onePass(site, ctx, done);
      }
      ctx.memory.keep('isEnough', true);
    },
    effect: async ({ memory }): Promise<Effect> => {
      if (memory.get('isEnough') !== true) return { is: 'missing', why: 'not all live passes are done' };
      return { is: 'shown', evidence: passesText(keptPasses(memory)) };
    },
  };
}

function liveTitle(passes: number): string {
  return `Copy while the registry lives, ${passes} ${passes === 1 ? 'pass' : 'passes'}`;
}

async function onePass(site: EngineSite, ctx: StepContext, done: readonly KeptPass[]): Promise<void> {
  const call = engineCall(site, ctx.signal);
  const digests = withDigests(site, ctx);
  const report = await site.engine.runPass(call, { kind: 'live', ...digests });
  demandGood(report, 'A pass over the living registry');
  // What is read back now need not be read inside the window.
  demandGood(await site.engine.verifyWritten(call, digests), 'Reading back what the pass wrote');
  const { kind, beganMs, endedMs, objectsChanged, bytesChanged, times } = report;
  const kept: KeptPass = { kind, beganMs, endedMs, objectsChanged, bytesChanged, times };
  ctx.memory.keep('passes', [...done, kept] as unknown as Json);
  ctx.memory.keep('listed', report.objectsListed);
  const unsettled = report.exceptions.filter(({ state }) => state === 'unsettled');
  ctx.memory.keep(
    UNSETTLED,
    unsettled.map(({ path }) => path),
  );
  keepSeen(ctx.memory, digests.digests === undefined ? undefined : report.digestsLacking.count, report);
}

function keepSeen(memory: StepMemory, lacking: number | undefined, report: PassReport): void {
  const seen = seenLive(memory);
  if (lacking !== undefined) memory.keep(LACKING, Math.min(lacking, seen.lacking ?? lacking));
  const counts = countsIn(report);
  if (!counts) return;
  memory.keep(BLOBS, Math.max(counts.blobs, seen.blobs ?? 0));
  memory.keep(NAMES, Math.max(counts.names, seen.names ?? 0));
}

/** @throws BlobferryError with the report's own words. */
export function demandGood(report: Pick<PassReport, 'isGood' | 'why' | 'hint'>, what: string): void {
  if (report.isGood) return;
  throw new BlobferryError(`${what}: ${report.why ?? 'it did not come to a good end'}`, {
    hint: report.hint,
  });
}

/** Small, or not getting smaller. The first pass copies everything, and says nothing about what changes. */
function isSmall(passes: readonly KeptPass[], memory: Pick<StepMemory, 'get'>): boolean {
  const [last, before] = passes.toReversed();
  if (!last || !before) return false;
  const listed = Number(memory.get('listed') ?? 0);
  if (last.objectsChanged <= Math.max(SMALL_OBJECTS, listed * SMALL_SHARE)) return true;
  return (
    passes.length >= PASSES_MAX || (passes.length > 2 && last.objectsChanged > before.objectsChanged / 2)
  );
}

function passesText(passes: readonly KeptPass[]): string {
  const last = passes.at(-1);
  if (!last) return 'no live passes were asked for';
  const count = `${passes.length} ${passes.length === 1 ? 'pass' : 'passes'}`;
  return `${count}, the last one with ${last.objectsChanged} changed objects; what they wrote was read back`;
}
