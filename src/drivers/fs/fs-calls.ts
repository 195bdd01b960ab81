/**
 * File calls that answer at once where the file system is quick, and through libuv's thread pool where it is slow.
 *
 * On a local disk with a warm cache a call takes 1-4 us; sending it through the thread pool costs ten times that. On a
 * network file system a call takes a millisecond and would hold up every socket of the thread.
 */
import { execFile } from 'node:child_process';
import {
  type BigIntStats,
  close,
  closeSync,
  constants,
  type Dirent,
  fchmod,
  fchmodSync,
  fchown,
  fchownSync,
  fstat,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncate,
  lstat,
  lstatSync,
  mkdir,
  mkdirSync,
  open,
  openSync,
  read,
  readdir,
  readdirSync,
  readSync,
  realpath,
  realpathSync,
  rename,
  renameSync,
  rmdir,
  rmdirSync,
  stat,
  statSync,
  unlink,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { hasCode } from './fs-errors.ts';
import { type Distance, Pace } from './fs-pace.ts';

/** A value now or later; `await` takes both. */
export type Maybe<T> = T | Promise<T>;

/** Bodies above this are moved by the thread pool: 64 KiB take about 10 us to copy from the page cache. */
const INLINE_BYTES_MAX = 64 * 1024;

const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
const TEMP_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const REOPEN_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW;
const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY;
const FLAGS = { read: READ_FLAGS, temp: TEMP_FLAGS, reopen: REOPEN_FLAGS, folder: FOLDER_FLAGS } as const;

const runFile = promisify(execFile);

const pooled = {
  open: promisify(open),
  close: promisify(close),
  fstat: promisify(fstat),
  lstat: promisify(lstat),
  stat: promisify(stat),
  readdir: promisify(readdir),
  realpath: promisify(realpath.native),
  read: promisify(read),
  write: promisify(write),
  fsync: promisify(fsync),
  ftruncate: promisify(ftruncate),
  rename: promisify(rename),
  unlink: promisify(unlink),
  mkdir: promisify(mkdir),
  rmdir: promisify(rmdir),
  fchown: promisify(fchown),
  fchmod: promisify(fchmod),
};

export class FileCalls {
  readonly #pace: Pace;
  /** fsync waits for the disk where other calls find their answer in memory; on tmpfs it does not. */
  readonly #fsyncPace: Pace;

  constructor(distance: Distance) {
    this.#pace = new Pace(distance, 64);
    this.#fsyncPace = new Pace(distance, 8);
  }

  /** Are calls made directly at present? Then looking ahead gains nothing. */
  get isFast(): boolean {
    return this.#pace.isFast;
  }

  open(path: string, how: keyof typeof FLAGS): Maybe<number> {
    const flags = FLAGS[how];
    return this.#choose(
      () => openSync(path, flags, 0o666),
      () => pooled.open(path, flags, 0o666),
    );
  }

  close(fd: number): Maybe<void> {
    return this.#choose(
      () => closeSync(fd),
      () => pooled.close(fd),
    );
  }

  fstat(fd: number): Maybe<BigIntStats> {
    return this.#choose(
      () => fstatSync(fd, { bigint: true }),
      () => pooled.fstat(fd, { bigint: true }),
    );
  }

  /** Undefined when nothing is there. */
  lstat(path: string): Maybe<BigIntStats | undefined> {
    return this.#choose(
      () => absentIsUndefined(() => lstatSync(path, { bigint: true, throwIfNoEntry: false })),
      () => pooled.lstat(path, { bigint: true }).catch(undefinedIfAbsent),
    );
  }

  /** Follows links; undefined when nothing is there. */
  stat(path: string): Maybe<BigIntStats | undefined> {
    return this.#choose(
      () => absentIsUndefined(() => statSync(path, { bigint: true, throwIfNoEntry: false })),
      () => pooled.stat(path, { bigint: true }).catch(undefinedIfAbsent),
    );
  }

  readFolder(path: string): Maybe<Dirent[]> {
    return this.#choose(
      () => readdirSync(path, { withFileTypes: true }),
      () => pooled.readdir(path, { withFileTypes: true }),
    );
  }

  /** The names as they are on disk. */
  readRawNames(path: string): Promise<Buffer[]> {
    return pooled.readdir(path, { encoding: 'buffer' });
  }

  /** Undefined when nothing is there or a link leads nowhere. */
  realpath(path: string): Maybe<string | undefined> {
    return this.#choose(
      () => absentIsUndefined(() => realpathSync.native(path)),
      () => pooled.realpath(path).catch(undefinedIfAbsent),
    );
  }

  /** Bytes read, possibly fewer than asked for; 0 at the end of the file. */
  read(fd: number, into: Uint8Array, position: number): Maybe<number> {
    if (this.isFast && into.byteLength <= INLINE_BYTES_MAX) {
      return this.#pace.direct(() => readSync(fd, into, 0, into.byteLength, position));
    }
    return pooled.read(fd, into, 0, into.byteLength, position).then((result) => result.bytesRead);
  }

  /** Bytes written, possibly fewer than given. */
  write(fd: number, bytes: Uint8Array, position: number): Maybe<number> {
    if (this.isFast && bytes.byteLength <= INLINE_BYTES_MAX) {
      return this.#pace.direct(() => writeSync(fd, bytes, 0, bytes.byteLength, position));
    }
    return pooled.write(fd, bytes, 0, bytes.byteLength, position).then((result) => result.bytesWritten);
  }

  /** Through the pool unless it costs nothing: several at a time share one commit of the disk's journal. */
  fsync(fd: number): Maybe<void> {
    if (this.#fsyncPace.isFast) return this.#fsyncPace.direct(() => fsyncSync(fd));
    this.#fsyncPace.countPooled();
    return pooled.fsync(fd);
  }

  /** Everything that the file system of this folder has not written yet, whoever left it: syncfs(2), by coreutils. */
  async syncAll(path: string, signal: AbortSignal): Promise<void> {
    await runFile('sync', ['-f', path], { signal });
  }

  truncate(fd: number, sizeBytes: number): Promise<void> {
    return pooled.ftruncate(fd, sizeBytes);
  }

  rename(from: string, to: string): Maybe<void> {
    return this.#choose(
      () => renameSync(from, to),
      () => pooled.rename(from, to),
    );
  }

  unlink(path: string): Maybe<void> {
    return this.#choose(
      () => unlinkSync(path),
      () => pooled.unlink(path),
    );
  }

  makeFolder(path: string, mode: number): Maybe<void> {
    return this.#choose(
      () => void mkdirSync(path, mode),
      () => pooled.mkdir(path, mode),
    );
  }

  removeFolder(path: string): Maybe<void> {
    return this.#choose(
      () => rmdirSync(path),
      () => pooled.rmdir(path),
    );
  }

  changeOwner(fd: number, uid: number, gid: number): Maybe<void> {
    return this.#choose(
      () => fchownSync(fd, uid, gid),
      () => pooled.fchown(fd, uid, gid),
    );
  }

  changeMode(fd: number, mode: number): Maybe<void> {
    return this.#choose(
      () => fchmodSync(fd, mode),
      () => pooled.fchmod(fd, mode),
    );
  }

  #choose<T>(direct: () => T, viaPool: () => Promise<T>): Maybe<T> {
    if (this.#pace.isFast) return this.#pace.direct(direct);
    this.#pace.countPooled();
    return viaPool();
  }
}

function absentIsUndefined<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    return undefinedIfAbsent(error);
  }
}

function undefinedIfAbsent(error: unknown): undefined {
  if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
  throw error;
}
