/**
 * `--delete-extra`: whether what only the target has is removed, and what came of it. It happens once, at the end of a
 * frozen pass in which everything else went well, and all or nothing of it is tried.
 */
import { ConfigError, toErrorRecord } from '../core/errors.ts';
import type { CopyListener } from '../core/events.ts';
import type { CopyException, CopyOptions, CopySummary } from '../core/job.ts';
import type { CallContext } from '../drivers/driver.ts';
import { Extras } from './extras.ts';
import { type RemovalParts, removeExtras } from './remove-extras.ts';
import type { DeletionSummary, Gathered } from './summary.ts';

interface DeletionParts extends Omit<RemovalParts, 'noteRemoving' | 'onException'> {
  readonly gathered: Gathered;
  readonly journal: { removing: readonly string[] };
  readonly noteExceptions: (exceptions: readonly CopyException[]) => void;
  readonly onEvent: CopyListener;
}

/** @throws ConfigError for `--delete-extra` without `--frozen`. */
export function refuseLiveDeletion(isFrozen: boolean): void {
  if (isFrozen) return;
  throw new ConfigError(
    '--delete-extra needs --frozen: a source that changes cannot say what it no longer has',
    { hint: 'Make the source read-only, then give --frozen as well' },
  );
}

/** @throws ConfigError, before anything moves, where nothing may be deleted. */
export function refuseDeletion(
  { deletesExtra, isFrozen }: Pick<CopyOptions, 'deletesExtra' | 'isFrozen'>,
  ownsTarget: boolean,
  target: string,
): void {
  if (!deletesExtra) return;
  refuseLiveDeletion(isFrozen);
  if (ownsTarget) return;
  throw new ConfigError(
    `--delete-extra is refused: the target ${target} was not empty when this job began, so what only it has may be of use to somebody`,
    {
      hint: 'Run without --delete-extra and remove by hand what is not wanted, or copy into an empty root; if another journal saw this target empty, name its folder with --journal',
    },
  );
}

type State = NonNullable<CopySummary['deletion']>['state'];

export class ExtraDeletion {
  readonly found: Extras;
  readonly #isWanted: boolean;
  readonly #max: number;
  #deleted = 0;
  /** Removals of an earlier run that could not be finished in this one either. */
  #unfinished = 0;

  constructor({ deletesExtra, deleteMax }: Pick<CopyOptions, 'deletesExtra' | 'deleteMax'>) {
    this.#isWanted = deletesExtra;
    this.#max = deleteMax;
    this.found = new Extras(deleteMax);
  }

  /** After the last shard. Never rejects: what goes wrong is in what it gives, and in `gathered`. */
  async run(ctx: CallContext, parts: DeletionParts): Promise<DeletionSummary> {
    const { found } = this;
    const state = this.#isWanted ? await this.#settle(ctx, parts) : undefined;
    return {
      objectsDeleted: this.#deleted,
      objectsExtra: found.count + this.#unfinished,
      objectsExtraKept: found.kept,
      extra: found.shown,
      ...(state === undefined ? {} : { deletion: { state, max: this.#max } }),
    };
  }

  async #settle(ctx: CallContext, parts: DeletionParts): Promise<State> {
    if (!parts.gathered.isClean) return 'unclean';
    if (this.found.count > this.#max) return 'too-many';
    const exceptions: CopyException[] = [];
    try {
      await this.#remove(ctx, parts, (exception) => exceptions.push(exception));
      return 'done';
    } catch (error) {
      if (ctx.signal.aborted) parts.gathered.cancelled();
      else parts.gathered.stop(toErrorRecord(error));
      return 'ended';
    } finally {
      for (const exception of exceptions) parts.gathered.addException(exception);
      parts.noteExceptions(exceptions);
    }
  }

  async #remove(
    ctx: CallContext,
    parts: DeletionParts,
    onException: (exception: CopyException) => void,
  ): Promise<void> {
    const { journal, onEvent } = parts;
    const what = { extras: this.found.paths, unfinished: journal.removing };
    if (what.extras.length > 0) onEvent({ event: 'deleting', objects: what.extras.length });
    const noteRemoving = (paths: readonly string[]): void => {
      journal.removing = paths;
    };
    this.#unfinished = await removeExtras(ctx, { ...parts, noteRemoving, onException }, what, () => {
      this.#deleted += 1;
    });
  }
}
