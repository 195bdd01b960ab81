/** Reading and looking at objects: what is read is one version of one regular file inside the root. */
import type { BigIntStats } from 'node:fs';
import type { CallContext, ObjectInfo, ReadOptions, ReadResult } from '../driver.ts';
import { type FsContext, fromErrno, hasCode, refusal } from './fs-errors.ts';
import type { FsRoot } from './fs-root.ts';

/** Between two pieces of this size the signal is looked at. */
const PIECE_BYTES_MAX = 8 * 1024 * 1024;

export async function readObject(
  root: FsRoot,
  ctx: CallContext,
  key: string,
  into: Uint8Array,
  options: ReadOptions,
): Promise<ReadResult> {
  const path = root.pathOf('read', key);
  const context = root.context('read', key);
  ctx.signal.throwIfAborted();
  try {
    const fd = await root.calls.open(path, 'read');
    try {
      await root.demandInside(context, fd, path);
      return await readOpen(root, { ctx, context, fd, path, into }, options);
    } finally {
      await root.calls.close(fd);
    }
  } catch (error) {
    throw await whyMissing(root, context, path, error);
  }
}

interface OpenRead {
  readonly ctx: CallContext;
  readonly context: FsContext;
  readonly fd: number;
  readonly path: string;
  readonly into: Uint8Array;
}

async function readOpen(root: FsRoot, open: OpenRead, options: ReadOptions): Promise<ReadResult> {
  const { context, fd } = open;
  const before = await root.calls.fstat(fd);
  await demandRegular(root, context, open.path, before);
  const version = root.versionOf(before);
  if (options.version !== undefined && options.version !== version) throw changed(context);
  const totalBytes = Number(before.size);
  const offset = options.offset ?? 0;

  const wantedBytes = Math.max(0, Math.min(open.into.byteLength, totalBytes - offset));
  const bytesRead = await fill(root, open, offset, wantedBytes);

  const after = await root.calls.fstat(fd);
  if (root.versionOf(after) !== version && !wasOnlyUnlinked(before, after)) throw changed(context);
  if (bytesRead < wantedBytes) throw endedEarly(context, bytesRead, wantedBytes);
  const attributes = { uid: Number(after.uid), gid: Number(after.gid), mode: Number(after.mode) & 0o777 };
  return { bytesRead, totalBytes, version, attributes };
}

/** A rename over the file, or its removal, changes ctime by taking a name away; the open file keeps its bytes. */
function wasOnlyUnlinked(before: BigIntStats, after: BigIntStats): boolean {
  return after.nlink < before.nlink && after.size === before.size && after.mtimeNs === before.mtimeNs;
}

async function fill(root: FsRoot, open: OpenRead, offset: number, wantedBytes: number): Promise<number> {
  let done = 0;
  while (done < wantedBytes) {
    open.ctx.signal.throwIfAborted();
    const piece = open.into.subarray(done, Math.min(wantedBytes, done + PIECE_BYTES_MAX));
    // Never raced with the signal: the pool would go on filling a buffer that its owner has given to another object.
    const bytesRead = await root.calls.read(open.fd, piece, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

export async function statObject(root: FsRoot, ctx: CallContext, key: string): Promise<ObjectInfo> {
  const path = root.pathOf('stat', key);
  const context = root.context('stat', key);
  ctx.signal.throwIfAborted();
  try {
    const real = await root.realPathInside(context, path);
    const stats = real === undefined ? undefined : await root.calls.lstat(real);
    if (stats === undefined) throw Object.assign(new Error('No such file'), { code: 'ENOENT' });
    await demandRegular(root, context, path, stats);
    return { key, sizeBytes: Number(stats.size), version: root.versionOf(stats) };
  } catch (error) {
    throw await whyMissing(root, context, path, error);
  }
}

async function demandRegular(
  root: FsRoot,
  context: FsContext,
  path: string,
  stats: BigIntStats,
): Promise<void> {
  if (stats.isFile()) return;
  if (!stats.isDirectory()) {
    throw refusal(context, {
      kind: 'unsupported',
      sentence: 'it is a device, pipe or socket, not a regular file',
      hint: 'Remove it from the storage; a registry never makes such files',
    });
  }
  // A listing shows a link to a folder as an object only if it refused to follow it, so this is not a missing object.
  const isLink = (await root.calls.lstat(path))?.isSymbolicLink() === true;
  throw isLink
    ? linkToFolder(context)
    : refusal(context, { kind: 'not-found', sentence: 'there is a folder of this name, not an object' });
}

/** Tells an object that is gone from a root that is gone, a link that leads nowhere, and an object just replaced. */
async function whyMissing(root: FsRoot, context: FsContext, path: string, error: unknown): Promise<unknown> {
  if (!hasCode(error, 'ENOENT', 'ENOTDIR')) return fromErrno(context, error);
  try {
    await root.demandSameRoot(context.operation);
    const there = await root.calls.lstat(path);
    if (there?.isSymbolicLink()) return deadLink(context, error);
    if (there !== undefined) return justReplaced(context, error);
  } catch (reason) {
    return fromErrno(context, reason);
  }
  return fromErrno(context, error);
}

/** Where renaming over a file is not one step (seen with FUSE file systems), the name is missing for a moment. */
function justReplaced(context: FsContext, cause: unknown): Error {
  return refusal(context, {
    kind: 'unavailable',
    isTransient: true,
    sentence: 'it was missing and is there again: it was replaced just now',
    hint: 'Run again',
    cause,
  });
}

function changed(context: FsContext): Error {
  return refusal(context, {
    kind: 'precondition',
    sentence: 'the file changed since its version was taken',
    hint: 'Read the object again from its start',
  });
}

function endedEarly(context: FsContext, bytesRead: number, wantedBytes: number): Error {
  return refusal(context, {
    kind: 'corrupt',
    isTransient: true,
    sentence: `the file ended after ${bytesRead} of ${wantedBytes} bytes although its size says otherwise`,
    hint: 'Run again; if it stays, check the file system',
  });
}

function linkToFolder(context: FsContext): Error {
  return refusal(context, {
    kind: 'denied',
    sentence: 'it is a symbolic link to a folder, not an object',
    hint: 'Such a link is not followed when it leads in a circle or over too many other links: remove it, or put the folder itself there',
  });
}

function deadLink(context: FsContext, cause: unknown): Error {
  return refusal(context, {
    kind: 'denied',
    sentence: 'it is a symbolic link that leads nowhere',
    hint: 'Restore what the link points to, or remove the link',
    cause,
  });
}
