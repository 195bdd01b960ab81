/** Folders and files that one side could not list: what the other side has of them can be called neither equal nor not. */
import type { StorageError } from './errors.ts';

export class Unlisted {
  readonly #errors = new Map<string, StorageError>();

  /** False for one that is known already: a listing that broke off meets it again. */
  add(path: string, error: StorageError): boolean {
    if (this.#errors.has(path)) return false;
    this.#errors.set(path, error);
    return true;
  }

  /** Why this path could not be seen in the listing, if it could not: itself or a folder that it lies in. */
  hiding(path: string): StorageError | undefined {
    if (this.#errors.size === 0) return undefined;
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const error = this.#errors.get(path.slice(0, slash + 1));
      if (error) return error;
    }
    return this.#errors.get(path);
  }
}
