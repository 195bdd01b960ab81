/**
 * A map with keys in byte order (binary strings compare so), for millions of keys inserted in any order while others
 * list: a row of short sorted leaves, each split in two when full. An insert moves at most one leaf's tail, and the row
 * of leaves only once in some hundred inserts.
 */

interface Leaf<V> {
  readonly keys: string[];
  readonly values: V[];
}

const LEAF_KEYS_MAX = 512;

export class SortedMap<V> {
  #leaves: Leaf<V>[] = [{ keys: [], values: [] }];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const leaf = this.#leaves[this.#leafFor(key)];
    if (!leaf) return undefined;
    const at = lowerBound(leaf.keys, key);
    return leaf.keys[at] === key ? leaf.values[at] : undefined;
  }

  set(key: string, value: V): void {
    const index = this.#leafFor(key);
    const leaf = this.#leaves[index];
    if (!leaf) return;
    const at = lowerBound(leaf.keys, key);
    if (leaf.keys[at] === key) {
      leaf.values[at] = value;
      return;
    }
    leaf.keys.splice(at, 0, key);
    leaf.values.splice(at, 0, value);
    this.#size += 1;
    if (leaf.keys.length > LEAF_KEYS_MAX) this.#split(index, leaf, at);
  }

  delete(key: string): boolean {
    const index = this.#leafFor(key);
    const leaf = this.#leaves[index];
    if (!leaf) return false;
    const at = lowerBound(leaf.keys, key);
    if (leaf.keys[at] !== key) return false;
    leaf.keys.splice(at, 1);
    leaf.values.splice(at, 1);
    this.#size -= 1;
    if (leaf.keys.length === 0 && this.#leaves.length > 1) this.#leaves.splice(index, 1);
    return true;
  }

  /** Entries from the first key that is not below `from`; the map must not change while they are taken. */
  *entriesFrom(from: string): Generator<readonly [string, V], void, string | undefined> {
    let index = this.#leafFor(from);
    let at = lowerBound(this.#leaves[index]?.keys ?? [], from);
    for (let leaf = this.#leaves[index]; leaf !== undefined; leaf = this.#leaves[index]) {
      if (at >= leaf.keys.length) {
        index += 1;
        at = 0;
        continue;
      }
      // The caller may name a later key to go on from, which is how a listing jumps over a common prefix.
      const jump = yield [leaf.keys[at] as string, leaf.values[at] as V];
      if (jump === undefined) {
        at += 1;
      } else {
        index = this.#leafFor(jump);
        at = lowerBound(this.#leaves[index]?.keys ?? [], jump);
      }
    }
  }

  /** Appending in order leaves full leaves behind instead of half-empty ones. */
  #split(index: number, leaf: Leaf<V>, insertedAt: number): void {
    const isAppend = index === this.#leaves.length - 1 && insertedAt === leaf.keys.length - 1;
    const cut = isAppend ? leaf.keys.length - 1 : leaf.keys.length >> 1;
    this.#leaves.splice(index + 1, 0, { keys: leaf.keys.splice(cut), values: leaf.values.splice(cut) });
  }

  /** The last leaf whose first key is not above `key`. */
  #leafFor(key: string): number {
    let low = 0;
    let high = this.#leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#leaves[middle]?.keys[0] ?? '') <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
