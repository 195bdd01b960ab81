/**
 * Memory for the bytes in flight: one region, allocated once and cut into blocks (a buddy allocator: the smallest ones
 * times powers of two), so that the process never holds more than its budget, whatever the sizes of the objects are.
 *
 * Requests are granted strictly in the order they were made. An object asks for its parts in order and needs nothing
 * further to finish a part it was granted, so the oldest granted part can always go on: no deadlock, whatever the
 * number of slabs (shown by a property test with room for two).
 */

const BLOCK_BYTES = 4096;
/** Blocks begin at multiples of a processor's cache line. */
const ALIGNMENT_BYTES = 64;

/**
 * The smallest block of a pool in which parts of this size fill theirs: with blocks of whole powers of two, a part of
 * 7.5 MiB would take 8 MiB, and only one of them would fit where two should.
 */
export function blockBytesFor(partBytes: number): number {
  const halvings = Math.max(0, Math.ceil(Math.log2(partBytes / BLOCK_BYTES)));
  if (halvings === 0) return BLOCK_BYTES;
  return Math.ceil(partBytes / 2 ** halvings / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

export interface Slab {
  /** Exactly as many bytes as asked for; what they hold before is undefined. */
  readonly bytes: Uint8Array;
  release(): void;
}

interface Waiter {
  readonly sizeBytes: number;
  readonly resolve: (slab: Slab) => void;
  readonly reject: (reason: unknown) => void;
  isGone: boolean;
}

export class SlabPool {
  readonly budgetBytes: number;
  readonly #region: ArrayBuffer;
  readonly #blockBytes: number;
  /** Free blocks by order: offsets. Block size = that of the smallest times 2 ** order. */
  readonly #free: Set<number>[];
  readonly #waiters: Waiter[] = [];
  readonly #onUse: (deltaBytes: number) => void;
  #usedBytes = 0;

  /**
   * @param budgetBytes rounded down to a multiple of the smallest block.
   * @throws RangeError for less than that: every request would wait for ever.
   */
  constructor(
    budgetBytes: number,
    onUse: (deltaBytes: number) => void = () => undefined,
    blockBytes = BLOCK_BYTES,
  ) {
    if (!(budgetBytes >= blockBytes)) {
      throw new RangeError(`A budget of ${budgetBytes} bytes holds no slab of ${blockBytes}`);
    }
    this.#blockBytes = blockBytes;
    this.budgetBytes = Math.floor(budgetBytes / blockBytes) * blockBytes;
    this.#onUse = onUse;
    this.#region = new ArrayBuffer(this.budgetBytes);
    const orders = Math.floor(Math.log2(this.budgetBytes / this.#blockBytes)) + 1;
    this.#free = Array.from({ length: orders }, () => new Set<number>());
    this.#seed();
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The largest size that can ever be granted. */
  get slabBytesMax(): number {
    return this.#blockBytes * 2 ** (this.#free.length - 1);
  }

  /** What `acquire` would give at once; undefined where it would wait or reject. */
  acquireNow(sizeBytes: number, signal: AbortSignal): Slab | undefined {
    if (this.#waiters.length > 0 || sizeBytes > this.slabBytesMax || signal.aborted) return undefined;
    return this.#tryTake(sizeBytes);
  }

  /** Waits for its turn. @throws RangeError for more than `slabBytesMax`; rejects with the signal's reason. */
  acquire(sizeBytes: number, signal: AbortSignal): Promise<Slab> {
    if (sizeBytes > this.slabBytesMax) {
      return Promise.reject(
        new RangeError(`A slab of ${sizeBytes} bytes is over the limit of ${this.slabBytesMax}`),
      );
    }
    if (signal.aborted) return Promise.reject(signal.reason);
    const slab = this.acquireNow(sizeBytes, signal);
    if (slab) return Promise.resolve(slab);
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        waiter.isGone = true;
        reject(signal.reason);
        this.#grant();
      };
      const waiter: Waiter = {
        sizeBytes,
        resolve: (slab) => {
          signal.removeEventListener('abort', onAbort);
          resolve(slab);
        },
        reject,
        isGone: false,
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** Cuts the region into the largest aligned blocks; only the first one of the top order may be followed by smaller ones. */
  #seed(): void {
    let offset = 0;
    for (let order = this.#free.length - 1; order >= 0; order -= 1) {
      const size = this.#blockBytes * 2 ** order;
      while (offset + size <= this.budgetBytes) {
        this.#free[order]?.add(offset);
        offset += size;
      }
    }
  }

  #tryTake(sizeBytes: number): Slab | undefined {
    const order = Math.max(0, Math.ceil(Math.log2(Math.max(1, sizeBytes) / this.#blockBytes)));
    const offset = this.#allocate(order);
    if (offset === undefined) return undefined;
    const blockBytes = this.#blockBytes * 2 ** order;
    this.#usedBytes += blockBytes;
    this.#onUse(blockBytes);
    let isReleased = false;
    return {
      bytes: new Uint8Array(this.#region, offset, sizeBytes),
      release: () => {
        if (isReleased) throw new Error('A slab was released twice');
        isReleased = true;
        this.#usedBytes -= blockBytes;
        this.#onUse(-blockBytes);
        this.#deallocate(offset, order);
        this.#grant();
      },
    };
  }

  #allocate(order: number): number | undefined {
    for (let from = order; from < this.#free.length; from += 1) {
      const blocks = this.#free[from];
      const offset = blocks?.values().next().value;
      if (blocks === undefined || offset === undefined) continue;
      blocks.delete(offset);
      // Split down to the wanted order; the upper halves stay free.
      for (let half = from - 1; half >= order; half -= 1)
        this.#free[half]?.add(offset + this.#blockBytes * 2 ** half);
      return offset;
    }
    return undefined;
  }

  #deallocate(offset: number, order: number): void {
    let start = offset;
    let at = order;
    while (at < this.#free.length - 1) {
      const size = this.#blockBytes * 2 ** at;
      const buddy = Math.floor(start / size) % 2 === 0 ? start + size : start - size;
      if (!this.#free[at]?.delete(buddy)) break;
      start = Math.min(start, buddy);
      at += 1;
    }
    this.#free[at]?.add(start);
  }

  #grant(): void {
    for (;;) {
      const waiter = this.#waiters[0];
      if (!waiter) return;
      if (!waiter.isGone) {
        const slab = this.#tryTake(waiter.sizeBytes);
        if (!slab) return;
        waiter.resolve(slab);
      }
      this.#waiters.shift();
    }
  }
}
