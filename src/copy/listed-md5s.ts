/**
 * Are the MD5s that listings state those of the contents? An ETag may have the form of one without being one (SSE-KMS), so
 * where two differ both objects would have to be read to know. Where others were seen to agree they are likely true, and
 * an object whose MD5s differ is copied at once: should it be equal after all, that was a write too many and nothing
 * worse. Storages may hold both sorts, so now and then one is looked into all the same.
 */
const LOOKED_INTO_EVERY = 8;

export class ListedMd5s {
  #agreed = 0;
  #asked = 0;
  #isOpaque = false;

  /** Is an object different whose MD5s differ? The first one is looked into, and each eighth after it. */
  trusts(): boolean {
    if (this.#agreed === 0 || this.#isOpaque) return false;
    this.#asked += 1;
    return this.#asked % LOOKED_INTO_EVERY !== 1;
  }

  /** The target's is that of the source's content. */
  agreed(): void {
    this.#agreed += 1;
  }

  /** They differed, and the contents were equal. */
  misled(): void {
    this.#isOpaque = true;
  }
}
