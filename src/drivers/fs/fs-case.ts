/**
 * File systems that take `A` and `a` for one name (exFAT, SMB shares, folders made with casefold). A registry's tags may
 * differ in case only, and the second one must not replace the first in silence.
 */
import { basename, dirname, join } from 'node:path';
import { type FsContext, refusal } from './fs-errors.ts';
import type { FsRoot } from './fs-root.ts';

export class CaseRule {
  readonly #root: FsRoot;
  readonly #onNotice: ((sentence: string) => void) | undefined;
  #folds: Promise<boolean> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(root: FsRoot, onNotice: ((sentence: string) => void) | undefined) {
    this.#root = root;
    this.#onNotice = onNotice;
  }

  /** Asked with a temporary file that is there, whose name nobody else can have chosen; the answer is kept. */
  folds(tempPath: string): Promise<boolean> {
    this.#folds ??= this.#look(tempPath).catch((error: unknown) => {
      this.#folds = undefined;
      throw error;
    });
    return this.#folds;
  }

  /** One after the other: between looking for another spelling and taking the name nobody else may take it. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Throws if what has this name is spelled in another way. The name must be there. */
  async demandSpelling(context: FsContext, path: string): Promise<void> {
    const name = basename(path);
    const entries = await this.#root.calls.readFolder(dirname(path));
    if (entries.some((entry) => entry.name === name)) return;
    const other = entries.find((entry) => entry.name.toLowerCase() === name.toLowerCase());
    if (other === undefined) return;
    throw refusal(context, {
      kind: 'invalid-name',
      sentence: `"${other.name}" has the place of "${name}": this file system does not tell upper from lower case`,
      hint: 'Copy to a file system that does, or to an object store; or rename one of the two at the source',
    });
  }

  async #look(tempPath: string): Promise<boolean> {
    const inOtherCase = join(dirname(tempPath), basename(tempPath).toUpperCase());
    // Inode numbers would say nothing: some FUSE file systems give each spelling its own.
    if ((await this.#root.calls.lstat(inOtherCase)) === undefined) return false;
    this.#onNotice?.(
      `${this.#root.name} does not tell upper from lower case: of names that differ in nothing else, such as the tags "V1" and "v1", the second one fails`,
    );
    return true;
  }
}
