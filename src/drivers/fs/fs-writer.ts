/**
 * Writing: temporary file, bytes, owner and mode, fsync, rename. Until the rename nothing is visible, after it
 * everything is; a write that fails or is aborted removes its temporary file and nothing else.
 */
import type { Body, CallContext, FileAttributes, WriteOptions, WriteResult } from '../driver.ts';
import { writeBody } from './fs-body.ts';
import { type FsContext, fromErrno, hasCode } from './fs-errors.ts';
import type { Folders } from './fs-folders.ts';
import { parentOf } from './fs-keys.ts';
import type { Ownership } from './fs-owner.ts';
import type { FsRoot } from './fs-root.ts';
import type { TempFile, TempFolder } from './fs-temp.ts';

/** What writing needs of an opened target. */
export interface Target {
  readonly root: FsRoot;
  readonly ownership: Ownership;
  readonly folders: Folders;
  readonly temps: TempFolder;
}

export async function writeObject(
  target: Target,
  ctx: CallContext,
  key: string,
  body: Body,
  options: WriteOptions,
): Promise<WriteResult> {
  const { root } = target;
  root.pathOf('write', key);
  const context = { ...root.context('write', key), key };
  ctx.signal.throwIfAborted();
  try {
    const temp = await target.temps.create('write');
    return await removingOnFailure(target, temp, async () => {
      const { signal } = ctx;
      await writeBody(body, { calls: root.calls, fd: temp.fd, position: 0, context, signal });
      return finish(target, ctx, { context, temp, attributes: options.attributes });
    });
  } catch (error) {
    throw fromErrno(context, error);
  }
}

export interface Finished {
  readonly context: FsContext & { readonly key: string };
  readonly temp: TempFile;
  readonly attributes: FileAttributes | undefined;
}

/** Makes a complete temporary file durable and gives it its name. */
export async function finish(target: Target, ctx: CallContext, finished: Finished): Promise<WriteResult> {
  const { root } = target;
  const { context, temp, attributes } = finished;
  await target.ownership.dressFile(temp.fd, attributes);
  await root.calls.fsync(temp.fd);
  // The last moment to turn back: after the rename the object is there, whatever the signal says.
  ctx.signal.throwIfAborted();
  await target.folders.place(context, temp.path, attributes);
  // Asked last: the rename itself changes ctime.
  const version = await versionOfPlaced(target, temp);
  return version === undefined ? {} : { version };
}

/** Undefined where another writer has replaced the file since: FUSE file systems know an open file by its path. */
async function versionOfPlaced({ root }: Target, { fd }: TempFile): Promise<string | undefined> {
  try {
    return root.versionOf(await root.calls.fstat(fd));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Closes the file in any case and takes it away if the work fails. */
async function removingOnFailure<T>(target: Target, temp: TempFile, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // What went wrong first is what the caller must hear; a file that stays is swept up after a day.
    await target.temps.remove(temp.path).catch(() => undefined);
    throw error;
  } finally {
    await target.root.calls.close(temp.fd);
  }
}

/**
 * Removes a key and the folders that are empty then; a key that is not there is success, and its folders go as well: a
 * removal that was killed in the middle may have left them, and a registry takes the folder of a tag for the tag.
 */
export async function removeObject(target: Target, ctx: CallContext, key: string): Promise<void> {
  const path = target.root.pathOf('remove', key);
  const context = target.root.context('remove', key);
  const parent = parentOf(key);
  ctx.signal.throwIfAborted();
  try {
    await target.folders.demandInside(context, parent);
    if (await isUnlinked(target, path)) target.folders.noteChange(target.root.join(parent));
    else await target.root.demandSameRoot('remove');
    await target.folders.removeEmpty(parent);
  } catch (error) {
    throw fromErrno(context, error);
  }
}

async function isUnlinked(target: Target, path: string): Promise<boolean> {
  try {
    await target.root.calls.unlink(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return false;
    throw error;
  }
}
