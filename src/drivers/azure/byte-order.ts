/**
 * Azure says that it lists in alphabetical order, and not by which bytes. By UTF-8 or by UTF-16 differ only keys with
 * characters beyond U+FFFF: those come before U+E000 to U+FFFF in the one and behind them in the other. Here both become
 * the order of UTF-8: such keys are held back until a key is behind them in either order.
 */
import { compareUtf8 } from '../../core/byte-order.ts';

/** More are given out as they are: whoever checks the order sees it, and sorts. */
const HELD_MAX = 100_000;
const BEYOND = /[\ud800-\udfff]/;

export class ByteOrder<T> {
  readonly #keyOf: (item: T) => string;
  #held: T[] = [];

  constructor(keyOf: (item: T) => string) {
    this.#keyOf = keyOf;
  }

  /** Those of the items so far whose place is known. @param isLast no items follow. */
  take(items: readonly T[], isLast: boolean): readonly T[] {
    if (this.#held.length === 0 && !items.some((item) => BEYOND.test(this.#keyOf(item)))) return items;
    const ready: T[] = [];
    for (const item of items) {
      if (BEYOND.test(this.#keyOf(item))) {
        this.#held.push(item);
        continue;
      }
      if (this.#held.length > 0) ready.push(...this.#before(item));
      ready.push(item);
    }
    if (isLast || this.#held.length > HELD_MAX) {
      ready.push(...this.#sorted());
      this.#held = [];
    }
    return ready;
  }

  /**
   * A key without such characters that is behind a held one stands, in either order, between it and all that follows:
   * nothing that follows can belong before the held one.
   */
  #before(item: T): readonly T[] {
    const key = this.#keyOf(item);
    const sorted = this.#sorted();
    const end = sorted.findIndex((held) => compareUtf8(this.#keyOf(held), key) > 0);
    this.#held = end < 0 ? [] : sorted.slice(end);
    return end < 0 ? sorted : sorted.slice(0, end);
  }

  #sorted(): T[] {
    return this.#held.toSorted((left, right) => compareUtf8(this.#keyOf(left), this.#keyOf(right)));
  }
}

/** Is this key, and all that a listing has behind it in either order, behind the other one? */
export function isSurelyBehind(key: string, other: string): boolean {
  return key > other && compareUtf8(key, other) > 0 && !BEYOND.test(key);
}
