/**
 * What of a folder tree would be there after a power cut, by the letter of fsync(2) and of no particular file system:
 * bytes once their file was flushed, a name once the folder that holds it was, and only if the folders above are there.
 * Drivers, as those of several threads or runs, may share one record.
 */
import { dirname } from 'node:path';
import { FileCalls } from '../../src/drivers/fs/fs-calls.ts';

interface FileState {
  isDirty: boolean;
}

export class PowerCut {
  /** False until the folder that holds this name was flushed; names from before the record are there. */
  readonly #names = new Map<string, boolean>();
  readonly #files = new Map<string, FileState>();
  /** Paths, in the order of their flushes. */
  readonly flushedFolders: string[] = [];

  calls(): FileCalls {
    return new RecordedCalls(this);
  }

  /** Why the file at this absolute path would be lost or broken; undefined if it would be whole. */
  whyLost(path: string): string | undefined {
    const file = this.#files.get(path);
    if (file === undefined) return 'it was never put there';
    if (file.isDirty) return 'its bytes were not flushed';
    for (let at = path; at !== dirname(at); at = dirname(at)) {
      if (this.#names.get(at) === false) return `the folder that holds the name "${at}" was not flushed`;
    }
    return undefined;
  }

  made(path: string): void {
    this.#names.set(path, false);
  }

  written(path: string): void {
    const file = this.#files.get(path) ?? { isDirty: true };
    file.isDirty = true;
    this.#files.set(path, file);
  }

  renamed(from: string, to: string): void {
    const file = this.#files.get(from);
    this.#files.delete(from);
    if (file) this.#files.set(to, file);
    this.#names.set(to, false);
  }

  /** @returns as `flushing`, for everything there is. */
  flushingAll(): () => void {
    const names = [...this.#names.keys()];
    const files = [...this.#files.values()];
    return () => {
      for (const name of names) this.#names.set(name, true);
      for (const file of files) file.isDirty = false;
    };
  }

  /** @returns what to do when the flush of this file or folder has succeeded: later changes are not in it. */
  flushing(path: string, isFolder: boolean): () => void {
    if (!isFolder) {
      const file = this.#files.get(path);
      return () => {
        if (file) file.isDirty = false;
      };
    }
    const names = [...this.#names.keys()].filter((name) => dirname(name) === path);
    return () => {
      this.flushedFolders.push(path);
      for (const name of names) this.#names.set(name, true);
    };
  }
}

class RecordedCalls extends FileCalls {
  readonly #record: PowerCut;
  readonly #open = new Map<number, { readonly path: string; readonly isFolder: boolean }>();

  constructor(record: PowerCut) {
    super('local');
    this.#record = record;
  }

  override async open(path: string, how: 'read' | 'temp' | 'reopen' | 'folder'): Promise<number> {
    const fd = await super.open(path, how);
    this.#open.set(fd, { path, isFolder: how === 'folder' });
    if (how === 'temp') this.#record.written(path);
    return fd;
  }

  override async write(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    const written = await super.write(fd, bytes, position);
    this.#record.written(this.#of(fd).path);
    return written;
  }

  override async truncate(fd: number, sizeBytes: number): Promise<void> {
    await super.truncate(fd, sizeBytes);
    this.#record.written(this.#of(fd).path);
  }

  override async fsync(fd: number): Promise<void> {
    const { path, isFolder } = this.#of(fd);
    const flushed = this.#record.flushing(path, isFolder);
    await super.fsync(fd);
    flushed();
  }

  override async syncAll(path: string, signal: AbortSignal): Promise<void> {
    const flushed = this.#record.flushingAll();
    await super.syncAll(path, signal);
    flushed();
  }

  override async makeFolder(path: string, mode: number): Promise<void> {
    await super.makeFolder(path, mode);
    this.#record.made(path);
  }

  override async rename(from: string, to: string): Promise<void> {
    await super.rename(from, to);
    this.#record.renamed(from, to);
  }

  #of(fd: number): { readonly path: string; readonly isFolder: boolean } {
    const open = this.#open.get(fd);
    if (!open) throw new Error(`File ${fd} was not opened here`);
    return open;
  }
}
