/** Uploads that an earlier run of this job left open, each handed out once. */
import type { Upload } from '../drivers/driver.ts';

export class OpenUploads {
  readonly #byKey = new Map<string, readonly Upload[]>();

  constructor(uploads: readonly Upload[] = []) {
    for (const upload of uploads)
      this.#byKey.set(upload.key, [...(this.#byKey.get(upload.key) ?? []), upload]);
  }

  has(key: string): boolean {
    return this.#byKey.size > 0 && this.#byKey.has(key);
  }

  /** Those of this key. Whoever takes them completes or aborts them; an object that is begun again finds none. */
  take(key: string): readonly Upload[] {
    const uploads = this.#byKey.get(key) ?? [];
    this.#byKey.delete(key);
    return uploads;
  }
}
