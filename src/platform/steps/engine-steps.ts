/** What the steps that copy and verify share: who runs the engine, where its digests come from, what it said. */
import { BlobferryError } from '../../core/errors.ts';
import type { CallEnd, CallEpoch, DigestFile, EngineCall, EnginePort } from '../engine-port.ts';
import type { Epoch } from '../read-only-epoch.ts';
import type { StepContext } from '../saga/step.ts';
import { BrokenEpoch, watched } from './watched.ts';

export interface EngineSite {
  readonly engine: EnginePort;
  /** Between two looks at what a call rests on. */
  readonly pollMs: number;
  /** Digests for a step, where there are any: the newest backup that it may believe. */
  readonly digests: (ctx: StepContext) => DigestFile | undefined;
  /** Id of the step that makes the source read-only. */
  readonly window: string;
  /** Nothing removes blobs from the source from the first live pass on. */
  readonly keepsBlobs?: true;
  readonly onProgress?: EngineCall['onProgress'];
  readonly onSaid?: EngineCall['onSaid'];
}

export function engineCall(site: Pick<EngineSite, 'onProgress' | 'onSaid'>, signal: AbortSignal): EngineCall {
  const { onProgress, onSaid } = site;
  return { signal, ...(onProgress ? { onProgress } : {}), ...(onSaid ? { onSaid } : {}) };
}

/** Where there are digests. */
export function withDigests(site: EngineSite, ctx: StepContext): { readonly digests?: DigestFile } {
  const digests = site.digests(ctx);
  return digests === undefined ? {} : { digests };
}

/**
 * A call that belongs to the window: looked at meanwhile, and ended when that broke.
 * @throws BrokenEpoch
 */
export async function inEpoch<T extends { readonly end: CallEnd }>(
  site: EngineSite,
  ctx: StepContext,
  call: (call: EngineCall, epoch: CallEpoch) => Promise<T>,
): Promise<T> {
  const id = epochId(site, ctx);
  return await watched(ctx, site.window, site.pollMs, async (_, broke) => {
    const report = await call(engineCall(site, ctx.signal), { id, broke });
    if (report.end === 'epoch-broke') throw brokenFor(broke);
    return report;
  });
}

function brokenFor(broke: AbortSignal): Error {
  return broke.reason instanceof Error ? broke.reason : new BrokenEpoch('What it rests on does not hold');
}

function epochId({ window }: EngineSite, ctx: StepContext): string {
  const epoch = ctx.memoryOf(window).get('epoch') as unknown as Epoch | undefined;
  if (epoch === undefined) throw new BlobferryError('Nothing shows that the source is read-only');
  return `${ctx.run}-${epoch.beganMs}`;
}
