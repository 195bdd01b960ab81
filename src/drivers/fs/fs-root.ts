/** The root folder of a backend: where keys lie, and the proof that a path does not lead out of it. */
import {
  accessSync,
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Operation } from '../../core/counters.ts';
import type { FileSystemSpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { FileCalls } from './fs-calls.ts';
import { codeOf, type FsContext, fromErrno, hasCode, refusal } from './fs-errors.ts';
import { whyInvalidKey } from './fs-keys.ts';
import { folderModeFor, isRoot } from './fs-owner.ts';
import type { Distance } from './fs-pace.ts';

export type Role = 'source' | 'target';

/** `f_type` of statfs(2), from linux/magic.h and the file systems' own sources: those whose calls cross a network. */
const REMOTE_TYPES: ReadonlySet<number> = new Set([
  0x6969, // NFS
  0x517b, // SMB
  0xff534d42, // CIFS
  0xfe534d42, // SMB2
  0x01021997, // 9p
  0x65735546, // FUSE: may be anything, most often a network
  0x00c36400, // Ceph
  0x0bd00bd0, // Lustre
  0x47504653, // GPFS
  0x19830326, // BeeGFS
  0x7461636f, // OCFS2
  0x01161970, // GFS2
  0x5346414f, // AFS
  0x73757245, // Coda
  0x786f4256, // vboxsf
  0xbacbacbc, // vmhgfs
]);

/** FUSE file systems may give a file another inode number each time the kernel forgets it (fuse(4), `use_ino`). */
const FUSE_TYPE = 0x65735546;

export class FsRoot {
  /** Display name, such as `file:///srv/registry`. */
  readonly name: string;
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly calls: FileCalls;
  readonly uid: number;
  readonly gid: number;
  readonly #prefix: string;
  readonly #inode: bigint;
  readonly #hasStableInodes: boolean;
  /** Linux shows the path of an open file under /proc: one call, and no race with a link put in place afterwards. */
  readonly #hasProc: boolean;

  constructor(name: string, path: string, calls?: FileCalls) {
    // Types are 32 bits wide; some kernels show the upper half as negative numbers.
    const type = statfsSync(path).type >>> 0;
    const stats = statSync(path, { bigint: true });
    this.name = name;
    this.path = path;
    this.calls = calls ?? new FileCalls(distanceOf(type));
    this.uid = Number(stats.uid);
    this.gid = Number(stats.gid);
    this.#prefix = path === '/' ? '/' : `${path}/`;
    this.#inode = stats.ino;
    this.#hasStableInodes = type !== FUSE_TYPE;
    this.#hasProc = procShows(path);
  }

  /** The path of a key; throws `invalid-name` for whatever is not the name of a file below the root. */
  pathOf(operation: Operation, key: string): string {
    const why = whyInvalidKey(key);
    if (why !== undefined) {
      throw refusal(this.context(operation, key), {
        kind: 'invalid-name',
        sentence: `a file system cannot hold this key: ${why}`,
        hint: 'Such a key fits an object store only; leave the object out or rename it at the source',
      });
    }
    return this.join(key);
  }

  /** The path of a key or folder that has been checked; empty is the root. */
  join(key: string): string {
    return key === '' ? this.path : this.#prefix + key;
  }

  holds(realPath: string): boolean {
    return realPath === this.path || realPath.startsWith(this.#prefix);
  }

  context(operation: Operation, key?: string): FsContext {
    return { backend: this.name, operation, ...(key === undefined ? {} : { key }) };
  }

  /** Opaque, and equal only for the same bytes: ctime changes with every write, even if mtime is set back. */
  versionOf(stats: BigIntStats): string {
    const inode = this.#hasStableInodes ? stats.ino : 0n;
    return `${inode}-${stats.size}-${stats.mtimeNs}-${stats.ctimeNs}`;
  }

  /** Throws unless the open file lies inside the root, however many links led to it. */
  async demandInside(context: FsContext, fd: number, path: string): Promise<void> {
    // /proc is in memory: the call is a quick one wherever the file itself lies.
    const real = this.#hasProc ? readlinkSync(`/proc/self/fd/${fd}`) : await this.calls.realpath(path);
    if (real === undefined || !this.holds(real)) throw leadsOutside(context);
  }

  /** The real path of a folder or file of the root; undefined when nothing is there; throws if it lies outside. */
  async realPathInside(context: FsContext, path: string): Promise<string | undefined> {
    const real = await this.calls.realpath(path);
    if (real !== undefined && !this.holds(real)) throw leadsOutside(context);
    return real;
  }

  /**
   * Asked whenever something is missing: an unmounted or removed root makes every key look missing, and a copy of
   * nothing would look complete. Only the inode is compared; an automounter may well give the device another number.
   */
  async demandSameRoot(operation: Operation): Promise<void> {
    const stats = await this.calls.stat(this.path);
    if (stats !== undefined && stats.ino === this.#inode) return;
    throw refusal(this.context(operation), {
      kind: 'not-found',
      scope: 'backend',
      sentence:
        stats === undefined
          ? 'the root folder is gone'
          : 'another folder has taken the place of the root folder',
      hint: 'Check that the file system is still mounted, mount it again and run again',
    });
  }
}

function leadsOutside(context: FsContext): Error {
  return refusal(context, {
    kind: 'denied',
    sentence: 'a symbolic link leads out of the root folder',
    hint: 'Replace the link by what it points to, or use a bind mount instead of a link',
  });
}

function distanceOf(type: number): Distance {
  return REMOTE_TYPES.has(type) ? 'remote' : 'local';
}

function procShows(path: string): boolean {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === path;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false;
  } finally {
    closeSync(fd);
  }
}

/** Finds the root folder, or, for a target whose parent exists, makes it; `created` names it then. */
export function openRoot(
  spec: FileSystemSpec,
  role: Role,
  calls?: FileCalls,
): { readonly root: FsRoot; readonly created: boolean } {
  const path = resolve(spec.rootDirectory);
  const name = storageName({ kind: 'fs', rootDirectory: path });
  const context: FsContext = { backend: name, operation: role === 'target' ? 'write' : 'list' };
  try {
    const created = role === 'target' && makeIfMissing(spec, path);
    if (!statSync(path).isDirectory()) throw refusal(context, NOT_A_FOLDER);
    const rights = constants.R_OK | constants.X_OK | (role === 'target' ? constants.W_OK : 0);
    accessSync(path, rights);
    return { root: new FsRoot(name, realpathSync.native(path), calls), created };
  } catch (error) {
    throw asRootError(context, role, path, error);
  }
}

const NOT_A_FOLDER = {
  kind: 'not-found',
  scope: 'backend',
  sentence: 'the root directory is not a folder',
  hint: 'Give the folder that holds "docker/" as root directory',
} as const;

function makeIfMissing(spec: FileSystemSpec, path: string): boolean {
  try {
    mkdirSync(path, 0o777);
  } catch (error) {
    // EROFS and EACCES are answered for a folder that exists, too; whether it can be written is asked later.
    if (hasCode(error, 'EEXIST') || statSync(path, { throwIfNoEntry: false })) return false;
    throw error;
  }
  if (spec.mode !== undefined) chmodSync(path, folderModeFor(spec.mode));
  if (spec.owner !== undefined && isRoot()) chownSync(path, spec.owner.uid, spec.owner.gid);
  return true;
}

function asRootError(context: FsContext, role: Role, path: string, error: unknown): unknown {
  if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP')) return fromErrno(context, error);
  if (hasCode(error, 'EACCES', 'EPERM')) {
    return refusal(context, {
      kind: 'denied',
      scope: 'backend',
      sentence: `no permission to ${role === 'target' ? 'write in' : 'read'} the root folder`,
      hint: 'Run blobferry as the owner of the folder or as root; on NFS the export may need no_root_squash',
      ...origin(error),
    });
  }
  const parentHint = `Make it first, or mount what belongs there; "${dirname(path)}" does not exist either`;
  return refusal(context, {
    kind: 'not-found',
    scope: 'backend',
    sentence: 'the root folder does not exist',
    hint: role === 'target' ? parentHint : 'Check the path, and that the file system is mounted',
    ...origin(error),
  });
}

function origin(error: unknown): { readonly code?: string; readonly cause: unknown } {
  const code = codeOf(error);
  return { cause: error, ...(code === undefined ? {} : { code }) };
}
