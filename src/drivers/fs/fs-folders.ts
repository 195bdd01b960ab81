/**
 * Folders on the way to a key: made when a finished file is put in place, owned like the file, and remembered until
 * their names are on the disk. A folder is used only after it was seen to lie inside the root.
 */
import { dirname } from 'node:path';
import type { FileAttributes } from '../driver.ts';
import type { CaseRule } from './fs-case.ts';
import { type FsContext, hasCode, refusal } from './fs-errors.ts';
import { parentOf } from './fs-keys.ts';
import type { Ownership } from './fs-owner.ts';
import type { FsRoot } from './fs-root.ts';

/** Bounds memory, and the wait of the flush at the end. */
const REMEMBERED_MAX = 4_096;
/** A remover may take an emptied folder away just before our rename into it. */
const PLACE_ATTEMPTS = 20;
const FLUSHED_TOGETHER = 16;

export class Folders {
  readonly #root: FsRoot;
  readonly #ownership: Ownership;
  readonly #caseRule: CaseRule;
  #foldsCase = false;
  /** Folder keys seen to be real folders inside the root. */
  readonly #known = new Set<string>();
  /** Paths of folders whose entries changed since they were last made durable. */
  #changed = new Set<string>();
  #flushing: Promise<void> = Promise.resolve();

  constructor(root: FsRoot, ownership: Ownership, caseRule: CaseRule) {
    this.#root = root;
    this.#ownership = ownership;
    this.#caseRule = caseRule;
  }

  /** Gives a finished file its name. Whatever had the name before is replaced in one step. */
  async place(
    context: FsContext & { readonly key: string },
    tempPath: string,
    attributes: FileAttributes | undefined,
  ): Promise<void> {
    this.#foldsCase = await this.#caseRule.folds(tempPath);
    if (!this.#foldsCase) return this.#place(context, tempPath, attributes);
    await this.#caseRule.inTurn(() => this.#place(context, tempPath, attributes));
  }

  async #place(
    context: FsContext & { readonly key: string },
    tempPath: string,
    attributes: FileAttributes | undefined,
  ): Promise<void> {
    const parent = parentOf(context.key);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#ensure(context, parent, attributes);
        await this.#demandSpelling(context, context.key);
        await this.#root.calls.rename(tempPath, this.#root.join(context.key));
        break;
      } catch (error) {
        this.#known.clear();
        if (hasCode(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST')) throw folderInTheWay(context, error);
        if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
        await this.#root.demandSameRoot(context.operation);
        if (attempt >= PLACE_ATTEMPTS) throw foldersKeepVanishing(context, error);
        if ((await this.#root.calls.lstat(tempPath)) === undefined) throw temporaryFileGone(context, error);
      }
    }
    this.noteChange(this.#root.join(parent));
    if (this.#changed.size > REMEMBERED_MAX) await this.flush();
  }

  /** Throws early what `place` would throw after the last byte: a folder or a file in the way. */
  async demandRoomFor(context: FsContext & { readonly key: string }): Promise<void> {
    const there = await this.#root.calls.lstat(this.#root.join(context.key));
    if (there?.isDirectory()) throw folderInTheWay(context);
    for (let folder = parentOf(context.key); folder !== ''; folder = parentOf(folder)) {
      const stats = await this.#root.calls.lstat(this.#root.join(folder));
      if (stats === undefined) continue;
      await this.#demandFolder(context, folder);
      return;
    }
  }

  /** Throws unless the folder, however it is reached, lies inside the root. */
  async demandInside(context: FsContext, folder: string): Promise<void> {
    if (folder === '' || this.#known.has(folder)) return;
    await this.#root.realPathInside(context, this.#root.join(folder));
  }

  /** Removes folders that the removal of a key left empty, from the innermost outwards, never the root. */
  async removeEmpty(innermost: string): Promise<void> {
    for (let folder = innermost; folder !== ''; folder = parentOf(folder)) {
      try {
        await this.#root.calls.removeFolder(this.#root.join(folder));
      } catch (error) {
        // Not empty, a link, a mount point, gone already, or not ours to remove: the key is gone in any case.
        if (hasCode(error, 'ENOENT')) continue;
        if (hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EBUSY', 'EACCES', 'EPERM')) return;
        throw error;
      }
      this.#known.delete(folder);
      this.#changed.delete(this.#root.join(folder));
      this.noteChange(this.#root.join(parentOf(folder)));
    }
  }

  noteChange(path: string): void {
    this.#changed.add(path);
  }

  /** How many folders wait for `flush`. */
  get changedCount(): number {
    return this.#changed.size;
  }

  /** Flushes run one after the other: one that finds nothing to do must not overtake one that is still at work. */
  flush(): Promise<void> {
    const turn = this.#flushing.then(() => this.#flushChanged());
    this.#flushing = turn.catch(() => undefined);
    return turn;
  }

  async #flushChanged(): Promise<void> {
    const paths = [...this.#changed];
    this.#changed = new Set();
    const queue = paths.values();
    const flushQueue = async () => {
      for (const path of queue) await this.#fsyncFolder(path);
    };
    const results = await Promise.allSettled(Array.from({ length: FLUSHED_TOGETHER }, flushQueue));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined) return;
    for (const path of paths) this.#changed.add(path);
    throw failed.reason;
  }

  async #fsyncFolder(path: string): Promise<void> {
    try {
      const fd = await this.#root.calls.open(path, 'folder');
      try {
        await this.#root.calls.fsync(fd);
      } finally {
        await this.#root.calls.close(fd);
      }
    } catch (error) {
      // Gone since: the folder above it was changed, too, and is in the list. EINVAL, ENOTSUP: this file system
      // (some FUSE ones, CIFS) has no way to ask for it.
      if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP')) throw error;
    }
  }

  async #ensure(
    context: FsContext & { readonly key: string },
    folder: string,
    attributes: FileAttributes | undefined,
  ): Promise<void> {
    if (folder === '' || this.#known.has(folder)) return;
    // The parent first: making a folder through a link that leads outside would already leave the root.
    await this.#ensure(context, parentOf(folder), attributes);
    const path = this.#root.join(folder);
    try {
      await this.#root.calls.makeFolder(path, 0o777);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      if (!(await this.#demandFolder(context, folder))) throw vanished(folder);
      await this.#demandSpelling(context, folder);
      // Who made it, another thread or a run that was killed, may not have made its name durable.
      this.noteChange(dirname(path));
      this.#know(folder);
      return;
    }
    await this.#ownership.dressFolder(path, attributes);
    this.noteChange(path);
    this.noteChange(dirname(path));
    this.#know(folder);
  }

  /** Where case is not told apart, what is there may be another key's. */
  async #demandSpelling(context: FsContext, key: string): Promise<void> {
    if (!this.#foldsCase) return;
    const path = this.#root.join(key);
    if ((await this.#root.calls.lstat(path)) !== undefined)
      await this.#caseRule.demandSpelling(context, path);
  }

  /** Throws if something else stands in the folder's place; false if the folder vanished just now. */
  async #demandFolder(context: FsContext, folder: string): Promise<boolean> {
    const path = this.#root.join(folder);
    const stats = await this.#root.calls.stat(path);
    if (stats?.isDirectory()) {
      await this.#root.realPathInside(context, path);
      return true;
    }
    // Between two looks a remover may take the folder away and another writer make it anew: only something that is
    // there and is no folder (a file, or a link that leads nowhere) is in the way.
    const itself = stats ?? (await this.#root.calls.lstat(path));
    if (itself === undefined || itself.isDirectory()) return false;
    throw refusal(context, {
      kind: 'invalid-name',
      sentence: `the object "${folder}" is in the way: a file system cannot hold it and keys below it`,
      hint: 'Copy to an object store, or remove or rename one of the two',
    });
  }

  #know(folder: string): void {
    if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
    this.#known.add(folder);
  }
}

function folderInTheWay(context: FsContext & { readonly key: string }, cause?: unknown): Error {
  return refusal(context, {
    kind: 'invalid-name',
    sentence: `the folder "${context.key}/" is in the way: a file system cannot hold a key and keys below it`,
    hint: 'Copy to an object store, or remove or rename one of the two',
    cause,
  });
}

/** As the kernel would say it, so that `place` begins again. */
function vanished(folder: string): Error {
  return Object.assign(new Error(`Folder "${folder}" has just vanished`), { code: 'ENOENT' });
}

function foldersKeepVanishing(context: FsContext, cause: unknown): Error {
  return refusal(context, {
    kind: 'unavailable',
    isTransient: true,
    sentence: 'its folders are removed by another program as fast as they are made',
    hint: 'Let nothing remove empty folders while a copy runs',
    cause,
  });
}

function temporaryFileGone(context: FsContext, cause: unknown): Error {
  return refusal(context, {
    kind: 'unexpected',
    isTransient: true,
    sentence: 'its temporary file was removed by another program',
    hint: 'Let nothing tidy up ".blobferry-tmp" while a copy runs',
    cause,
  });
}
