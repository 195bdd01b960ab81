/**
 * Are the MD5s that listings state those of the contents? An ETag may have the form of one without being one (SSE-KMS), so
 * where two differ both objects would have to be read to know. Where others were seen to agree they are true, and an
 * object whose MD5s differ is copied at once: should it be equal after all, that was a write too many and nothing worse.
 */
export class ListedMd5s {
  #agreed = 0;
  #isOpaque = false;

  get areTrue(): boolean {
    return this.#agreed > 0 && !this.#isOpaque;
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
