/** A shard that gives some of itself away while it runs, because another thread has nothing to do. */
import type { ListPage } from '../drivers/driver.ts';
import type { CopyContext } from './context.ts';
import type { Cuts, Segment } from './cuts.ts';
import type { ObjectWindow, WindowObject } from './object-window.ts';
import type { GivenAway, KeyRange, PassSettings, Shard, ShardResult } from './shard.ts';
import { ShardRest } from './shard-rest.ts';
import type { Tally } from './tally.ts';

/** A smaller object is not worth the two listings and the flush of a shard of its own. */
const OBJECT_BYTES_MIN = 16 * 1024 ** 2;

interface SharingParts {
  readonly base: CopyContext;
  readonly pass: PassSettings;
  readonly shard: Shard;
  readonly tally: Tally;
  readonly worthBytes: number | undefined;
}

/** One way through the shard. */
interface Way {
  readonly window: ObjectWindow;
  readonly cuts: Cuts;
  readonly isSorting: boolean;
}

export class Sharing {
  readonly #parts: SharingParts;
  readonly #rest: ShardRest;
  /** Objects of other threads. */
  readonly #without: Set<string>;
  readonly #objects: string[] = [];
  #way: Way | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(parts: SharingParts) {
    const { shard, pass } = parts;
    this.#parts = parts;
    this.#rest = new ShardRest(shard, { keepsPages: pass.extrasMax !== undefined });
    this.#without = new Set(shard.without);
  }

  /** The shard as it is by now. */
  get rest(): Shard {
    return { ...this.#parts.shard, range: this.range };
  }

  get range(): KeyRange {
    return this.#rest.range;
  }

  /** Nothing is given away any more. @returns all that was. */
  end(): Pick<ShardResult, 'givenAway'> {
    this.#rest.keepWhole();
    // Not from what was reported: the shard may end in between.
    const { border } = this.#rest;
    if (border === undefined && this.#objects.length === 0) return {};
    return { givenAway: given(border, this.#objects) };
  }

  begin(way: Way): void {
    this.#way = way;
    const { source, target } = this.#parts.base;
    // Whoever lists a part of what is not in order lists all of it.
    const isUnsorted = source.facts.listOrder === 'unsorted' || target.facts.listOrder === 'unsorted';
    if (way.isSorting || isUnsorted) this.#rest.keepWhole();
  }

  ofSource(pages: AsyncIterable<ListPage>, keyPrefix: string): AsyncIterable<ListPage> {
    return this.#rest.ofSource(pages, keyPrefix);
  }

  async *ofTarget(pages: AsyncIterable<ListPage>, keyPrefix: string): AsyncGenerator<ListPage> {
    for await (const page of this.#rest.within(pages, keyPrefix)) {
      this.#parts.base.counters.count('listedTarget', page.objects.length);
      yield page;
    }
  }

  /** Something is told of a path of the source before the join comes to it. */
  tell(path: string): void {
    this.#rest.tell(path);
  }

  /** Is the next object of the join another thread's? */
  passesBy(path: string): boolean {
    const isOthers = this.#rest.hasGiven(path) || (this.#without.size > 0 && this.#without.has(path));
    if (!isOthers) return false;
    this.#parts.tally.listed(-1);
    this.#way?.cuts.listed(-1);
    return true;
  }

  /** Tags wait for objects of the same repository, so none of those goes. */
  takenOver(segment: Segment, repository: string | undefined): Pick<WindowObject, 'onTakenOver'> {
    if (repository !== undefined) return {};
    return {
      onTakenOver: () => {
        this.#parts.tally.listed(-1);
        this.#way?.cuts.forget(segment);
      },
    };
  }

  /** Reports what it gives away: what lies behind a border, else objects that wait to be begun, else nothing. */
  share(): Promise<void> {
    this.#last = this.#last.then(() => this.#share());
    return this.#last;
  }

  async #share(): Promise<void> {
    const { base, pass, shard, worthBytes } = this.#parts;
    const { source, layout } = base;
    const search = { driver: source, layout, keyPrefix: pass.sourcePrefix, worthBytes };
    const upTo = await this.#rest.cut(base, search).catch(() => undefined);
    const objects =
      upTo === undefined ? (this.#way?.window.handOver(worthBytes ?? OBJECT_BYTES_MIN) ?? []) : [];
    for (const path of objects) {
      this.#objects.push(path);
      this.#without.add(path);
    }
    base.report({ type: 'shared', shard: shard.id, given: given(upTo, objects) });
  }
}

function given(upTo: string | undefined, objects: readonly string[]): GivenAway {
  return { ...(upTo === undefined ? {} : { upTo }), objects };
}
