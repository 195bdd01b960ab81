/**
 * The objects of one shard that are being worked on: a p-limit for how many at once, and a bounded look-ahead before
 * it, of which the largest begins first, so that it is not alone at the end. A repository's tags wait until everything
 * of it that came before them is settled, so that no name in the target lacks its bytes.
 */
import pLimit from 'p-limit';
import { LargestFirst, type Waiting } from './largest-first.ts';

/** Why the tags of a repository may not go: something before them failed, or is left to the next pass. */
export type Missing = 'failed' | 'unsettled';

/** Repositories that are remembered although nothing of them is pending. */
const GATES_MAX = 64;
/** One in so many is the one that has waited longest, so that what is small does not wait for ever. */
const OLDEST_EVERY = 4;
/** Memory for what waits, as estimated from the lengths of paths: about 1,000 objects of a registry. */
const LOOK_AHEAD_BYTES = 1024 ** 2;
const ENTRY_BYTES = 512;
/** A path is held as itself and in the keys of both sides. */
const PATH_COPIES = 4;

interface Gate {
  pending: number;
  /** The worst of it. */
  missing: Missing | undefined;
  readonly waiting: Entry[];
}

/** Is told what its repository lacks, tags only; resolves to what the repository lacks because of it. */
export type ObjectTask = (lacking: Missing | undefined) => Promise<Missing | undefined>;

export interface WindowObject {
  readonly path: string;
  readonly sizeBytes: number;
  readonly repository?: string | undefined;
  readonly isTag?: boolean;
  /** Another thread may take it over before it has begun; it is then forgotten here, and this is called. */
  readonly onTakenOver?: () => void;
}

interface Entry extends Waiting {
  readonly memoryBytes: number;
  /** Of the slab budget, for objects of several parts; else 0. */
  readonly slabBytes: number;
  readonly object: WindowObject | undefined;
  readonly gate: Gate | undefined;
  readonly isTag: boolean;
  readonly task: ObjectTask;
}

interface WindowOptions {
  /** Objects that are worked on at once, or what tells how many now. */
  readonly concurrency: number | (() => number);
  /** Objects above this are copied in parts, several at once. */
  readonly partBytes: number;
  readonly slabBudgetBytes: number;
  /** Memory for what waits; default 1 MiB. In any case as many may wait as refill all places a few times. */
  readonly lookAheadBytes?: number | undefined;
  /** Called once, with the first rejection, so that the others can be aborted. */
  readonly onFailure: (error: unknown) => void;
}

export class ObjectWindow {
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #options: WindowOptions;
  readonly #gates = new Map<string, Gate>();
  /** May begin as soon as there is a place; those of several parts by themselves, as few of them are worked on. */
  readonly #ready = { small: new LargestFirst<Entry>(), large: new LargestFirst<Entry>() };
  /** What waits and what is worked on. */
  #open = 0;
  #numbers = 0;
  #memoryBytes = 0;
  #begun = 0;
  /** Slab bytes that the objects of several parts that are worked on can use. */
  #largeBytes = 0;
  /** Places that found nothing they might begin. */
  #placesUnused = 0;
  #failure: { readonly error: unknown } | undefined;
  #onChange: (() => void) | undefined;

  constructor(options: WindowOptions) {
    this.#options = options;
    this.#limit = pLimit(this.#placesNow);
  }

  /** @returns undefined where there is room for one more now, else when there is. @throws the first failure. */
  room(): Promise<void> | undefined {
    if (this.#hasRoom && !this.#failure) return undefined;
    return this.#waitFor(() => this.#hasRoom || this.#failure !== undefined);
  }

  /** Waits for everything, also for what is added meanwhile. @throws the first failure. */
  drain(): Promise<void> {
    return this.#waitFor(() => this.#open === 0);
  }

  add(object: WindowObject, task: ObjectTask): void {
    const { sizeBytes, repository, isTag = false } = object;
    const { partBytes, slabBudgetBytes } = this.#options;
    const gate = repository === undefined ? undefined : this.#gate(repository);
    const entry = this.#opened({
      sizeBytes,
      memoryBytes: ENTRY_BYTES + PATH_COPIES * object.path.length,
      slabBytes: sizeBytes > partBytes ? Math.min(sizeBytes, slabBudgetBytes) : 0,
      object,
      gate,
      isTag,
      task,
    });
    if (gate && isTag && gate.pending > 0) {
      gate.waiting.push(entry);
      return;
    }
    if (gate && !isTag) gate.pending += 1;
    this.#enqueue(entry);
  }

  /** What is no object goes before all that wait. */
  addFirst(task: () => Promise<void>): void {
    const entry = this.#opened({
      sizeBytes: Number.POSITIVE_INFINITY,
      memoryBytes: 0,
      slabBytes: 0,
      object: undefined,
      gate: undefined,
      isTag: false,
      task: async () => void (await task()),
    });
    this.#enqueue(entry);
  }

  /** The repository lacks something that never came here. */
  lacks(repository: string, missing: Missing): void {
    noteMissing(this.#gate(repository), missing);
  }

  /**
   * Gives up every second one of the objects that wait and can be taken over, beginning with the largest.
   * @returns their paths.
   */
  handOver(bytesMin: number): readonly string[] {
    const { small, large } = this.#ready;
    const paths: string[] = [];
    let mine = 0;
    for (const ready of [large, small]) {
      for (const entry of ready.items) {
        const { object, sizeBytes } = entry;
        if (object?.onTakenOver === undefined || sizeBytes < bytesMin) continue;
        mine += 1;
        if (mine % 2 === 0) continue;
        paths.push(object.path);
        this.#leave(ready.take(entry));
        object.onTakenOver();
      }
    }
    return paths;
  }

  get #placesNow(): number {
    const { concurrency } = this.#options;
    return typeof concurrency === 'number' ? concurrency : concurrency();
  }

  get #hasRoom(): boolean {
    // Enough to refill every place while the next page is joined.
    const { lookAheadBytes = LOOK_AHEAD_BYTES } = this.#options;
    return this.#open < 4 * this.#limit.concurrency || this.#memoryBytes < lookAheadBytes;
  }

  async #waitFor(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        const earlier = this.#onChange;
        this.#onChange = () => {
          earlier?.();
          resolve();
        };
      });
    }
    if (this.#failure) throw this.#failure.error;
  }

  #gate(repository: string): Gate {
    let gate = this.#gates.get(repository);
    if (!gate) {
      gate = { pending: 0, missing: undefined, waiting: [] };
      // A listing goes through repositories one after the other: the settled ones before are done with. But it may tell
      // long before that a folder cannot be listed: what lacks something is remembered, and its number is bounded.
      for (const [name, old] of this.#gates) {
        if (this.#gates.size <= GATES_MAX) break;
        if (old.pending === 0 && old.waiting.length === 0 && !old.missing) this.#gates.delete(name);
      }
      this.#gates.set(repository, gate);
    }
    return gate;
  }

  #opened(entry: Omit<Entry, 'number' | 'isTaken'>): Entry {
    this.#open += 1;
    this.#memoryBytes += entry.memoryBytes;
    this.#numbers += 1;
    return { ...entry, number: this.#numbers, isTaken: false };
  }

  /** Asks for a place; which entry gets it is decided when there is one. */
  #enqueue(entry: Entry): void {
    this.#readyFor(entry).push(entry);
    void this.#limit(this.#beginOne);
  }

  #readyFor({ slabBytes }: Entry): LargestFirst<Entry> {
    return slabBytes > 0 ? this.#ready.large : this.#ready.small;
  }

  readonly #beginOne = async (): Promise<void> => {
    const { small, large } = this.#ready;
    this.#begun += 1;
    const entry = this.#begun % OLDEST_EVERY === 0 ? this.#oldest() : this.#largest();
    if (entry) await this.#work(this.#readyFor(entry).take(entry));
    else this.#placesUnused = Math.min(this.#placesUnused + 1, small.size + large.size);
  };

  #largest(): Entry | undefined {
    const { small, large } = this.#ready;
    const first = small.largest;
    if (first?.sizeBytes === Number.POSITIVE_INFINITY) return first;
    return this.#ifItMay(large.largest) ?? first;
  }

  #oldest(): Entry | undefined {
    const { small, large } = this.#ready;
    const first = small.oldest;
    const other = this.#ifItMay(large.oldest);
    return first && other ? (first.number < other.number ? first : other) : (first ?? other);
  }

  /**
   * Of objects of several parts no more begin than can use the slabs twice over: enough that one begins or ends while
   * another moves, and what has not begun can be taken over by another thread.
   */
  #ifItMay(large: Entry | undefined): Entry | undefined {
    if (large === undefined || this.#largeBytes === 0) return large;
    return this.#largeBytes + large.slabBytes <= 2 * this.#options.slabBudgetBytes ? large : undefined;
  }

  async #work(entry: Entry): Promise<void> {
    const { gate, isTag, slabBytes } = entry;
    this.#largeBytes += slabBytes;
    try {
      const missing = await entry.task(isTag ? gate?.missing : undefined);
      if (gate && !isTag) noteMissing(gate, missing);
    } catch (error) {
      this.#fail(error);
    }
    this.#largeBytes -= slabBytes;
    if (slabBytes > 0) this.#usePlaces();
    if (gate && !isTag) this.#openGate(gate);
    this.#leave(entry);
  }

  #openGate(gate: Gate): void {
    gate.pending -= 1;
    if (gate.pending === 0) for (const tag of gate.waiting.splice(0)) this.#enqueue(tag);
  }

  #usePlaces(): void {
    const unused = this.#placesUnused;
    this.#placesUnused = 0;
    for (let place = 0; place < unused; place += 1) void this.#limit(this.#beginOne);
  }

  #leave({ memoryBytes }: Entry): void {
    this.#open -= 1;
    this.#memoryBytes -= memoryBytes;
    const places = this.#placesNow;
    if (places !== this.#limit.concurrency) this.#limit.concurrency = places;
    const tell = this.#onChange;
    this.#onChange = undefined;
    tell?.();
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#failure = { error };
    this.#options.onFailure(error);
  }
}

function noteMissing(gate: Gate, missing: Missing | undefined): void {
  if (gate.missing !== 'failed') gate.missing = missing ?? gate.missing;
}
