/**
 * Whose a written file is. The source's owner and mode come first, then the operator's, then the root folder's owner
 * and what the registry's own driver would leave: 0666 and 0777 less the umask.
 */
import type { FileAttributes } from '../driver.ts';
import type { FileSystemSpec } from '../spec.ts';
import type { FileCalls } from './fs-calls.ts';
import { hasCode } from './fs-errors.ts';

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

interface Wanted extends Owner {
  /** Absent: what the umask leaves. */
  readonly mode?: number;
}

const PERMISSION_BITS = 0o777;

export class Ownership {
  readonly #calls: FileCalls;
  readonly #spec: FileSystemSpec;
  readonly #rootOwner: Owner;
  readonly #process: { readonly uid: number | undefined; readonly gid: number | undefined };
  #mayChangeOwner = isRoot();

  constructor(calls: FileCalls, spec: FileSystemSpec, rootOwner: Owner) {
    this.#calls = calls;
    this.#spec = spec;
    this.#rootOwner = rootOwner;
    this.#process = { uid: process.geteuid?.(), gid: process.getegid?.() };
  }

  async dressFile(fd: number, attributes: FileAttributes | undefined): Promise<void> {
    await this.#dress(fd, this.#wanted(attributes));
  }

  /** A folder made for a file: the same owner, and whoever may read the file may also enter the folder. */
  async dressFolder(path: string, attributes: FileAttributes | undefined): Promise<void> {
    const file = this.#wanted(attributes);
    const wanted = file.mode === undefined ? file : { ...file, mode: folderModeFor(file.mode) };
    if (this.#comesByItself(wanted)) return;
    const fd = await this.#calls.open(path, 'folder');
    try {
      await this.#dress(fd, wanted);
    } finally {
      await this.#calls.close(fd);
    }
  }

  #wanted(attributes: FileAttributes | undefined): Wanted {
    if (attributes !== undefined) {
      return { uid: attributes.uid, gid: attributes.gid, mode: attributes.mode & PERMISSION_BITS };
    }
    const owner = this.#spec.owner ?? this.#rootOwner;
    return this.#spec.mode === undefined ? owner : { ...owner, mode: this.#spec.mode & PERMISSION_BITS };
  }

  #comesByItself(wanted: Wanted): boolean {
    if (wanted.mode !== undefined) return false;
    return !this.#mayChangeOwner || (wanted.uid === this.#process.uid && wanted.gid === this.#process.gid);
  }

  async #dress(fd: number, wanted: Wanted): Promise<void> {
    if (this.#comesByItself(wanted)) return;
    const is = await this.#calls.fstat(fd);
    const isOwned = Number(is.uid) === wanted.uid && Number(is.gid) === wanted.gid;
    // The owner first: changing it takes set-id bits away, and a stranger's file cannot be given a mode.
    if (!isOwned && this.#mayChangeOwner) await this.#changeOwner(fd, wanted);
    if (wanted.mode === undefined || (Number(is.mode) & 0o7777) === wanted.mode) return;
    await this.#calls.changeMode(fd, wanted.mode);
  }

  /** A root that the server squashes may not; the bytes are right all the same, so it is not asked again. */
  async #changeOwner(fd: number, owner: Owner): Promise<void> {
    try {
      await this.#calls.changeOwner(fd, owner.uid, owner.gid);
    } catch (error) {
      if (!hasCode(error, 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error;
      this.#mayChangeOwner = false;
    }
  }
}

export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** 0644 gives 0755; the owner may always list and write, or the next file could not be put there. */
export function folderModeFor(fileMode: number): number {
  return (fileMode & PERMISSION_BITS) | ((fileMode & 0o444) >> 2) | 0o700;
}
