/** Folders as a backend: local disks, and whatever the kernel mounts (NFS, CIFS, Ceph, FUSE). */
import type {
  Body,
  CallContext,
  DriverFacts,
  FlushScope,
  ListPage,
  ListQuery,
  MultipartFacet,
  ObjectInfo,
  ReadOptions,
  ReadResult,
  StorageDriver,
  WriteOptions,
  WriteResult,
} from '../driver.ts';
import type { FileSystemSpec } from '../spec.ts';
import type { FileCalls } from './fs-calls.ts';
import { CaseRule } from './fs-case.ts';
import { fromErrno, refusal } from './fs-errors.ts';
import { Folders } from './fs-folders.ts';
import { LIST_LIMITS, type ListLimits, listObjects } from './fs-listing.ts';
import { FsMultipart } from './fs-multipart.ts';
import { Ownership } from './fs-owner.ts';
import { readObject, statObject } from './fs-reader.ts';
import { type FsRoot, openRoot, type Role } from './fs-root.ts';
import { TempFolder } from './fs-temp.ts';
import { removeObject, type Target, writeObject } from './fs-writer.ts';

export interface FsDriverOptions {
  /** A source is never written to, not even if asked. A target's root is made if its parent folder exists. */
  readonly role: Role;
  /** As in `DriverSpec`. */
  readonly runId?: string | undefined;
  readonly runsEnded?: readonly string[] | undefined;
  /** Default: pages of 1,000, and up to 32 calls at once where the file system is slow. */
  readonly listLimits?: ListLimits;
  /** Default: as the kind of file system asks for. */
  readonly calls?: FileCalls;
  /** Told once, with the first write, what the user should know of this file system. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
}

/** Rejects with a `StorageError` of scope `backend` when the root is missing, not a folder, or not accessible. */
export async function openFsDriver(spec: FileSystemSpec, options: FsDriverOptions): Promise<StorageDriver> {
  const { root, created } = openRoot(spec, options.role, options.calls);
  const listLimits = options.listLimits ?? LIST_LIMITS;
  if (options.role === 'source') return new FsDriver(root, undefined, listLimits);
  const ownership = new Ownership(root.calls, spec, root);
  const folders = new Folders(root, ownership, new CaseRule(root, options.onNotice));
  const temps = new TempFolder(root, options.runId);
  try {
    temps.check();
    temps.removeStale(Date.now());
    temps.removeOf(options.runsEnded ?? []);
    // At once: the threads that will flush what they write find the root there already.
    if (created) folders.noteChange(parentFolderOf(root.path));
    await folders.flush();
  } catch (error) {
    throw fromErrno(root.context('write'), error);
  }
  return new FsDriver(root, { root, ownership, folders, temps }, listLimits);
}

function parentFolderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

class FsDriver implements StorageDriver {
  readonly kind = 'fs';
  readonly name: string;
  readonly facts: DriverFacts = {
    listOrder: 'bytes',
    md5MayBeOpaque: false,
    writeBytesMax: Number.MAX_SAFE_INTEGER,
    keepsAttributes: true,
    hasFolders: true,
  };
  readonly multipart?: MultipartFacet;
  readonly #root: FsRoot;
  readonly #target: Target | undefined;
  readonly #listLimits: ListLimits;

  constructor(root: FsRoot, target: Target | undefined, listLimits: ListLimits) {
    this.name = root.name;
    this.#root = root;
    this.#target = target;
    this.#listLimits = listLimits;
    if (target !== undefined) this.multipart = new FsMultipart(target);
  }

  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    return listObjects(this.#root, ctx, query, this.#listLimits);
  }

  stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    return statObject(this.#root, ctx, key);
  }

  read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    return readObject(this.#root, ctx, key, into, options);
  }

  async write(ctx: CallContext, key: string, body: Body, options: WriteOptions): Promise<WriteResult> {
    return writeObject(this.#demandTarget('write', key), ctx, key, body, options);
  }

  async remove(ctx: CallContext, key: string): Promise<void> {
    return removeObject(this.#demandTarget('remove', key), ctx, key);
  }

  async flush(ctx: CallContext, scope: FlushScope = 'own'): Promise<void> {
    ctx.signal.throwIfAborted();
    try {
      await this.#target?.folders.flush();
    } catch (error) {
      throw fromErrno(this.#root.context('flush'), error);
    }
    if (scope === 'all') await this.#flushAll(ctx);
  }

  async #flushAll({ signal }: CallContext): Promise<void> {
    try {
      await this.#root.calls.syncAll(this.#root.path, signal);
    } catch (error) {
      signal.throwIfAborted();
      const { code, stderr = '' } = error as { readonly code?: unknown; readonly stderr?: string };
      // BusyBox knows the option since 1.34 only.
      const isMissing = code === 'ENOENT' || /(invalid|unrecognized) option/.test(stderr);
      const why = code === 'ENOENT' ? 'there is no such command' : stderr.trim() || `it ended with ${code}`;
      throw refusal(this.#root.context('flush'), {
        kind: isMissing ? 'unsupported' : 'unexpected',
        scope: 'backend',
        sentence: `the command "sync -f" did not work: ${why}`,
        hint: isMissing
          ? 'Run "sync" on this machine'
          : 'What was written may be lost: look at the disk, then run again',
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    try {
      await this.#target?.temps.close();
    } catch (error) {
      throw fromErrno(this.#root.context('remove'), error);
    }
  }

  #demandTarget(operation: 'write' | 'remove', key: string): Target {
    if (this.#target !== undefined) return this.#target;
    throw refusal(this.#root.context(operation, key), {
      kind: 'denied',
      sentence: 'this storage was opened as a source, and a source is never written to',
    });
  }
}
