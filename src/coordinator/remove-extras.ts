/**
 * The removals of `--delete-extra`: in an order in which nothing ever lacks what it needs, and never without the source's
 * own word that it has no such object, as a listing may be stale.
 */
import pLimit from 'p-limit';
import { compareUtf8 } from '../core/byte-order.ts';
import { BlobferryError, isStorageError, StorageError, toErrorRecord } from '../core/errors.ts';
import type { CopyException } from '../core/job.ts';
import type { CallContext, StorageDriver } from '../drivers/driver.ts';
import { mayBeDeleted } from '../layout/deletable.ts';
import type { Layout } from '../layout/layout.ts';

/** Removals between two notes in the journal. */
const BATCH = 1_000;

export interface RemovalParts {
  readonly source: StorageDriver;
  readonly target: StorageDriver;
  readonly layout: Layout;
  readonly sourcePrefix: string;
  readonly targetPrefix: string;
  /** Removals at once. */
  readonly concurrency: number;
  /** Keeps the names of what is about to be removed until its removal is complete and durable; empty at the end. */
  readonly noteRemoving: (paths: readonly string[]) => void;
  readonly onException: (exception: CopyException) => void;
}

export interface ToRemove {
  /** @param extras logical paths in the target that no listing of the source had. */
  readonly extras: readonly string[];
  /** What an interrupted run was about to remove: gone already, or half so (an emptied folder), or extra again. */
  readonly unfinished: readonly string[];
}

/**
 * Calls `onRemoved` for each of the extras that is gone. What is left is told to `onException`.
 * Rejects for what ends the whole run: an abort, or an error of a whole backend.
 * @returns how many of the unfinished ones are so still, which are told to `onException` as well.
 */
export async function removeExtras(
  ctx: CallContext,
  parts: RemovalParts,
  { extras, unfinished }: ToRemove,
  onRemoved: () => void,
): Promise<number> {
  const isExtra = new Set(extras);
  const again = new Set(unfinished.filter((path) => !isExtra.has(path) && mayBeDeleted(parts.layout, path)));
  if (isExtra.size + unfinished.length === 0) return 0;
  const removal = new Removal(parts, again, onRemoved);
  for (const stage of inStages([...isExtra, ...again], parts.layout)) await removal.stage(ctx, stage);
  parts.noteRemoving(removal.half.slice(0, BATCH));
  return removal.half.filter((path) => again.has(path)).length;
}

/**
 * Whatever needs something goes before what it needs: in a repository what lies beside a tag, the tags, the other
 * manifests' links, then the layers' and everything else. Inside a stage in reverse byte order.
 */
function inStages(paths: readonly string[], layout: Layout): readonly (readonly string[])[] {
  const stages: string[][] = [[], [], [], []];
  for (const path of paths) stages[stageOf(layout, path)]?.push(path);
  return stages.map((stage) => stage.sort((left, right) => compareUtf8(right, left)));
}

function stageOf(layout: Layout, path: string): 0 | 1 | 2 | 3 {
  const { objectClass, repository } = layout.classify(path);
  if (objectClass === 'tag') return 1;
  if (repository === undefined) return 3;
  if (path.includes('/_manifests/tags/')) return 0;
  return path.includes('/_manifests/') ? 2 : 3;
}

class Removal {
  /** What may be removed in part: a removal that failed can have left an emptied folder behind. */
  readonly half: string[] = [];
  readonly #parts: RemovalParts;
  readonly #unfinished: ReadonlySet<string>;
  readonly #onRemoved: () => void;
  /** Repositories of which something stays: what it needs must stay as well. */
  readonly #holding = new Set<string>();

  constructor(parts: RemovalParts, unfinished: ReadonlySet<string>, onRemoved: () => void) {
    this.#parts = parts;
    this.#unfinished = unfinished;
    this.#onRemoved = onRemoved;
  }

  async stage(ctx: CallContext, stage: readonly string[]): Promise<void> {
    // Objects of one stage need nothing of each other, so what stays in this one holds back only the next ones.
    const held = new Set(this.#holding);
    for (let at = 0; at < stage.length; at += BATCH) {
      const batch = stage.slice(at, at + BATCH);
      // What an earlier run left unfinished stays noted until everything is done.
      this.#parts.noteRemoving([...new Set([...batch, ...this.#unfinished, ...this.half.slice(0, BATCH)])]);
      await this.#batch(ctx, batch, held);
    }
  }

  async #batch(outer: CallContext, paths: readonly string[], held: ReadonlySet<string>): Promise<void> {
    await this.#demandSource(outer);
    const stop = new AbortController();
    const ctx: CallContext = { signal: AbortSignal.any([outer.signal, stop.signal]) };
    const limit = pLimit(this.#parts.concurrency);
    const removals = paths.map((path) =>
      limit(() => this.#settle(ctx, path, held)).catch((error: unknown) => stop.abort(error)),
    );
    // All are awaited before a failure is told, so that nothing is removed behind the run's back.
    await Promise.all(removals);
    ctx.signal.throwIfAborted();
    await this.#parts.target.flush(ctx);
  }

  /** An answer that an object is missing says little when the whole bucket or folder is gone by now. */
  async #demandSource(ctx: CallContext): Promise<void> {
    const { source, sourcePrefix } = this.#parts;
    for await (const { objects } of source.list(ctx, { prefix: sourcePrefix }))
      if (objects.length > 0) return;
    throw new BlobferryError(
      `The source ${source.name} lists no object any more: nothing further was deleted`,
      {
        hint: 'Find out where its objects went before anything is deleted from the target',
      },
    );
  }

  async #settle(ctx: CallContext, path: string, held: ReadonlySet<string>): Promise<void> {
    ctx.signal.throwIfAborted();
    const { repository } = this.#parts.layout.classify(path);
    try {
      if (repository !== undefined && held.has(repository)) throw heldBack(path);
      await this.#remove(ctx, path);
    } catch (error) {
      if (ctx.signal.aborted) throw ctx.signal.reason;
      if (error instanceof StorageError && error.details.scope === 'backend') throw error;
      if (repository !== undefined) this.#holding.add(repository);
      if (this.#unfinished.has(path)) this.half.push(path);
      this.#parts.onException({ state: 'extra', path, error: toErrorRecord(error) });
    }
  }

  async #remove(ctx: CallContext, path: string): Promise<void> {
    const { layout, source, target, targetPrefix } = this.#parts;
    const isUnfinished = this.#unfinished.has(path);
    // Whatever a listing or a journal says.
    if (!mayBeDeleted(layout, path)) throw new Error(`"${path}" is nothing that may be deleted`);
    if (!(await this.#isGone(ctx, path))) {
      // The pass has listed the source since, and has copied it.
      if (isUnfinished) return;
      throw new BlobferryError(
        `"${path}" was not deleted: the listing of ${source.name} left it out, but it is there`,
        { hint: 'The listing is not to be trusted, or something was written to the source: run again' },
      );
    }
    try {
      await target.remove(ctx, targetPrefix + path);
    } catch (error) {
      if (!isUnfinished) this.half.push(path);
      throw error;
    }
    if (!isUnfinished) this.#onRemoved();
  }

  /** Only the source's own word that there is no such object counts; any other answer, or none, throws. */
  async #isGone(ctx: CallContext, path: string): Promise<boolean> {
    const { source, sourcePrefix } = this.#parts;
    try {
      await source.stat(ctx, sourcePrefix + path);
      return false;
    } catch (error) {
      if (isStorageError(error, 'not-found') && error.details.scope === 'object') return true;
      throw error;
    }
  }
}

function heldBack(path: string): Error {
  return new BlobferryError(`"${path}" was not deleted: something of its repository that may need it stays`, {
    hint: 'Mend that first, then run again',
  });
}
