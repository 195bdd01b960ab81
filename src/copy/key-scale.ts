/**
 * Places of keys on a scale whose marks are borders that cut a range into pieces of about one size: a key's place is the
 * number of borders before it and, as a guess, how much of the piece between two of them lies before it. So it can be
 * said how far a page got, and about where the next few pages will end.
 */
import { compareUtf8 } from '../core/byte-order.ts';
import { KeySpace } from './key-space.ts';

export interface ScaleEnds {
  /** Where the range begins; absent: at its prefix. */
  readonly after?: string | undefined;
  readonly upTo?: string | undefined;
  readonly prefix: string;
}

export class KeyScale {
  /** Ascending, inside the range. */
  readonly #borders: readonly string[];
  readonly #start: string;
  readonly #end: string | undefined;

  /** @param borders ascending; what lies outside of the range is of no use. */
  constructor(borders: readonly string[], { after, upTo, prefix }: ScaleEnds) {
    this.#start = after ?? prefix;
    this.#end = upTo;
    this.#borders = borders.filter(
      (border) =>
        compareUtf8(border, this.#start) > 0 && (upTo === undefined || compareUtf8(border, upTo) < 0),
    );
  }

  placeOf(key: string): number {
    const index = countUpTo(this.#borders, key);
    const [low, high] = this.#pieceAt(index);
    if (high === undefined || compareUtf8(key, low) <= 0) return index;
    const space = new KeySpace(commonStart(low, high));
    const [from, to] = [space.numberOf(low), space.numberOf(high)];
    if (!key.startsWith(space.common) || to <= from) return index;
    return index + Math.min(0.999, Math.max(0, (space.numberOf(key) - from) / (to - from)));
  }

  /** A key at about this place and behind `key`: a border where there is one; undefined where there is none to be found. */
  keyAt(place: number, key: string): string | undefined {
    const index = countUpTo(this.#borders, key);
    if (place >= index + 1) return this.#borders[Math.floor(place) - 1];
    const [low, high] = this.#pieceAt(index);
    if (high === undefined) return undefined;
    const space = new KeySpace(commonStart(low, high));
    const [from, to] = [space.numberOf(low), space.numberOf(high)];
    const guess = space.pathOf(Math.round(from + (place - index) * (to - from)));
    return compareUtf8(guess, key) > 0 && compareUtf8(guess, high) < 0 ? guess : this.#borders[index];
  }

  #pieceAt(index: number): readonly [string, string | undefined] {
    return [this.#borders[index - 1] ?? this.#start, this.#borders[index] ?? this.#end];
  }
}

function commonStart(left: string, right: string): string {
  let length = 0;
  while (length < left.length && left[length] === right[length]) length += 1;
  return left.slice(0, length);
}

/** How many of these ascending keys lie at or before this one. */
export function countUpTo(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareUtf8(keys[middle] ?? '', key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
