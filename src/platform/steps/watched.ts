/** Work that is worth nothing once what it rests on broke: looked at again and again, and ended at once then. */
import { BlobferryError } from '../../core/errors.ts';
import { pause } from '../../transport/pause.ts';
import type { StepContext } from '../saga/step.ts';

/** What the work rests on did not hold, so it was ended. */
export class BrokenEpoch extends BlobferryError {}

/**
 * @param work ends with the signal it is given; the second one aborts only when what it rests on broke.
 * @throws BrokenEpoch where what it rests on broke meanwhile; whatever the work throws.
 */
export async function watched<T>(
  ctx: Pick<StepContext, 'signal' | 'heldOf'>,
  restsOn: string | undefined,
  pollMs: number,
  work: (signal: AbortSignal, broke: AbortSignal) => Promise<T>,
): Promise<T> {
  if (restsOn === undefined) return await work(ctx.signal, new AbortController().signal);
  const broken = new AbortController();
  const ended = new AbortController();
  const watching = watch(ctx, restsOn, pollMs, AbortSignal.any([ctx.signal, ended.signal]), broken);
  try {
    return await work(AbortSignal.any([ctx.signal, broken.signal]), broken.signal);
  } catch (error) {
    ctx.signal.throwIfAborted();
    broken.signal.throwIfAborted();
    throw error;
  } finally {
    ended.abort();
    await watching;
  }
}

async function watch(
  { heldOf }: Pick<StepContext, 'heldOf'>,
  restsOn: string,
  pollMs: number,
  until: AbortSignal,
  broken: AbortController,
): Promise<void> {
  while (!until.aborted) {
    try {
      await pause(pollMs, until);
      const held = await heldOf(restsOn);
      if (held.is === 'held') continue;
      broken.abort(new BrokenEpoch(`It was ended, as what it rests on does not hold: ${held.why}`));
    } catch {
      // The run was stopped, or the work is done.
    }
    return;
  }
}
