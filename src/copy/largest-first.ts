/** Things that wait, to be taken by size, of equal ones the first that came, or by age: a binary heap beside a queue. */

export interface Waiting {
  /** Infinity: before everything else. */
  readonly sizeBytes: number;
  /** In the order in which they came. */
  readonly number: number;
  isTaken: boolean;
}

/** So many that were taken are no reason to clear them out. */
const TAKEN_MAX = 64;

export class LargestFirst<T extends Waiting> {
  /** Nothing lies above what goes before it. What was taken is dropped once it comes to the top, as from the queue. */
  #heap: T[] = [];
  #queue: T[] = [];
  #queueAt = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    this.#size += 1;
    this.#queue.push(item);
    const heap = this.#heap;
    let at = heap.length;
    for (let up = (at - 1) >> 1; at > 0; up = (at - 1) >> 1) {
      const parent = heap[up];
      if (parent === undefined || isBefore(parent, item)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = item;
  }

  get largest(): T | undefined {
    while (this.#heap[0]?.isTaken) this.#dropTop();
    return this.#heap[0];
  }

  get oldest(): T | undefined {
    while (this.#queue[this.#queueAt]?.isTaken) this.#queueAt += 1;
    if (this.#queueAt * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#queueAt);
      this.#queueAt = 0;
    }
    return this.#queue[this.#queueAt];
  }

  take(item: T): T {
    item.isTaken = true;
    this.#size -= 1;
    // What is small and was taken by age never comes to the top while larger ones keep coming.
    if (this.#heap.length > 2 * this.#size + TAKEN_MAX) this.#heap = this.#waiting();
    return item;
  }

  /** Largest first. */
  get items(): readonly T[] {
    return this.#waiting();
  }

  /** Sorted, which is a heap as well. */
  #waiting(): T[] {
    return this.#heap.filter(({ isTaken }) => !isTaken).sort((one, two) => (isBefore(one, two) ? -1 : 1));
  }

  #dropTop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      let child = heap[down];
      const other = heap[down + 1];
      if (child && other && isBefore(other, child)) {
        child = other;
        down += 1;
      }
      if (child === undefined || isBefore(last, child)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
  }
}

function isBefore(one: Waiting, two: Waiting): boolean {
  return one.sizeBytes === two.sizeBytes ? one.number < two.number : one.sizeBytes > two.sizeBytes;
}
