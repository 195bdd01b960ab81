/** What a service of the bench holds: objects as the pieces that came, and the names in the order of listings. */
import { createHash } from 'node:crypto';

export interface StoredObject {
  readonly pieces: readonly Buffer[];
  readonly sizeBytes: number;
  /** Lower-case hex; of bodies that are large and came without one, anything that looks like it. */
  readonly md5: string;
  readonly hasTrueMd5: boolean;
  /** Unsigned; undefined where none came. */
  readonly crc32c: number | undefined;
  /** Opaque, another one for each write. */
  readonly version: string;
  /** Of large objects of Swift: what the names of their parts begin with. */
  readonly manifest?: string;
}

export interface Listed {
  readonly names: readonly string[];
  readonly prefixes: readonly string[];
  /** Where the next page goes on. */
  readonly next: string | undefined;
}

export interface StoreQuery {
  readonly prefix: string;
  /** Only what sorts behind it. */
  readonly after: string | undefined;
  /** Nothing that sorts before it. */
  readonly from?: string | undefined;
  readonly delimiter: string | undefined;
  readonly max: number;
}

export class Container {
  readonly objects = new Map<string, StoredObject>();
  #sorted: readonly string[] | undefined;

  put(key: string, object: StoredObject): void {
    if (!this.objects.has(key)) this.#sorted = undefined;
    this.objects.set(key, object);
  }

  delete(key: string): boolean {
    this.#sorted = undefined;
    return this.objects.delete(key);
  }

  clear(): void {
    this.#sorted = undefined;
    this.objects.clear();
  }

  /** In the order of UTF-8 bytes; names here are ASCII, so that it is that of their characters. */
  get sorted(): readonly string[] {
    this.#sorted ??= [...this.objects.keys()].sort();
    return this.#sorted;
  }

  list({ prefix, after = '', from = '', delimiter, max }: StoreQuery): Listed {
    const { sorted } = this;
    const names: string[] = [];
    const prefixes: string[] = [];
    let last: string | undefined;
    for (let at = firstBehind(sorted, after, from > prefix ? from : prefix); at < sorted.length; at += 1) {
      const name = sorted[at] ?? '';
      if (!name.startsWith(prefix)) break;
      const end = delimiter === undefined ? -1 : name.indexOf(delimiter, prefix.length);
      const group = end < 0 ? undefined : name.slice(0, end + 1);
      if (group !== undefined && (group === prefixes.at(-1) || after.startsWith(group))) continue;
      if (names.length + prefixes.length === max) return { names, prefixes, next: last };
      if (group === undefined) names.push(name);
      else prefixes.push(group);
      last = group === undefined ? name : `${group}\uffff`;
    }
    return { names, prefixes, next: undefined };
  }
}

function firstBehind(sorted: readonly string[], after: string, from: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const name = sorted[middle] ?? '';
    if (name > after && name >= from) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The pieces between two offsets. */
export function* slices(pieces: readonly Buffer[], start: number, end: number): Generator<Buffer> {
  let at = 0;
  for (const piece of pieces) {
    const [from, to] = [Math.max(start - at, 0), Math.min(end - at, piece.length)];
    if (from < to) yield piece.subarray(from, to);
    at += piece.length;
    if (at >= end) return;
  }
}

export function sha256Of(pieces: readonly Buffer[]): string {
  const digest = createHash('sha256');
  for (const piece of pieces) digest.update(piece);
  return digest.digest('hex');
}
