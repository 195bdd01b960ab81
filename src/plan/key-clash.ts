/**
 * Finds, in keys that ascend by UTF-8 bytes, an object whose key is the folder of another one: `a` beside `a/b`. An
 * object store holds both, a tree of folders cannot.
 *
 * Between `a` and `a/b` only keys that begin with `a` can come (`a-c`), so the keys that may still turn out to be
 * folders are each the beginning of the next one: a stack that is never deeper than a key is long.
 */
export interface OpenKey<T> {
  readonly key: string;
  readonly value: T;
}

export class KeyClashes<T> {
  readonly #open: OpenKey<T>[] = [];

  /** The object that stands where this one's folder would be; undefined where there is none. Keys must ascend. */
  holderOf(key: string): OpenKey<T> | undefined {
    let top = this.#open.at(-1);
    while (top !== undefined && !mayHold(top.key, key)) {
      this.#open.pop();
      top = this.#open.at(-1);
    }
    // Of several, the innermost is the one to name.
    return this.#open.findLast((open) => key.charAt(open.key.length) === '/');
  }

  /** Remembers the key that was asked about last. */
  open(key: string, value: T): void {
    this.#open.push({ key, value });
  }

  /** Objects that keys behind this border may still clash with. */
  openBehind(border: string): readonly OpenKey<T>[] {
    return this.#open.filter((open) => mayHold(open.key, border));
  }
}

/** Can a key that is not before `key` begin with `open` and a slash? */
function mayHold(open: string, key: string): boolean {
  return key.startsWith(open) && key.charAt(open.length) <= '/';
}
