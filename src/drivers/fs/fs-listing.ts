/**
 * Listing a folder tree as an object store would list it: flat, by UTF-8 bytes of the whole key, with prefix, after
 * and delimiter.
 *
 * - A folder sorts as `name/`, so that siblings sorted this way make a sorted whole.
 * - A symbolic link to a file inside the root is listed with that file's size; one to a folder inside the root is
 *   followed. Every other link (leading outside, nowhere, in a circle, or over more than eight links) is listed as an
 *   object with the link's own size, and reading it is an error that says why: nothing is left out in silence.
 *   Devices, pipes and sockets are listed in the same way with size 0.
 * - A file or folder that vanishes meanwhile is left out. One that cannot be looked at ends the listing with an error,
 *   unless the query's `onUnlistable` says to go on without it.
 * - With a delimiter, folders without any file below them are prefixes, too.
 */
import { isUtf8 } from 'node:buffer';
import type { BigIntStats, Dirent } from 'node:fs';
import { compareUtf8 } from '../../core/byte-order.ts';
import { StorageError } from '../../core/errors.ts';
import type { CallContext, ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import { orAborted } from '../or-aborted.ts';
import type { Maybe } from './fs-calls.ts';
import { fromErrno, hasCode, refusal } from './fs-errors.ts';
import { folderOfPrefix, TEMP_FOLDER, whyInvalidFolder } from './fs-keys.ts';
import { followLink, type Place } from './fs-links.ts';
import type { FsRoot } from './fs-root.ts';
import { OrderedWalk, type Visit } from './ordered-walk.ts';

export interface ListLimits {
  readonly pageObjectsMax: number;
  /** Calls under way at once where the file system is slow. */
  readonly callsMax: number;
}

/** 32 calls of 1 ms each walk 32,000 files a second, more than one thread copies. */
export const LIST_LIMITS: ListLimits = { pageObjectsMax: 1_000, callsMax: 32 };
const READ_ATTEMPTS = 20;
const WAITING_NODES_MAX = 1_024;
/** The sockets of this thread wait while calls are made directly, so the listing lets go of it in between. */
const SLICE_MS = 4;

interface Child {
  readonly kind: 'folder' | 'file' | 'group' | 'object';
  /** Folders and groups end in `/`. */
  readonly key: string;
  /** The last name of the key, with the `/`: what siblings are sorted by. */
  readonly order: string;
  readonly place: Place;
  /** Of kind `object`, whose size is known already. */
  readonly object?: ObjectInfo;
}

type Found = { readonly prefix: string } | { readonly object: ObjectInfo };

export async function* listObjects(
  root: FsRoot,
  ctx: CallContext,
  query: ListQuery,
  limits: ListLimits,
): AsyncGenerator<ListPage> {
  ctx.signal.throwIfAborted();
  const listing = new Listing(root, ctx, query);
  const start = await orAborted(listing.start(), ctx.signal);
  if (start === undefined) return;
  const walk = new OrderedWalk<Child, Found>([start], (child) => listing.visit(child), {
    visitsMax: () => (root.calls.isFast ? 1 : limits.callsMax),
    waitingMax: WAITING_NODES_MAX,
  });
  try {
    yield* pagesOf(walk, ctx.signal, limits.pageObjectsMax);
  } finally {
    walk.stop();
  }
}

async function* pagesOf(
  walk: OrderedWalk<Child, Found>,
  signal: AbortSignal,
  pageObjectsMax: number,
): AsyncGenerator<ListPage> {
  let objects: ObjectInfo[] = [];
  let prefixes: string[] = [];
  let resumedMs = performance.now();
  for (;;) {
    const next = walk.next();
    const found = next instanceof Promise ? await orAborted(next, signal) : next;
    if (found === undefined) break;
    if ('object' in found) objects.push(found.object);
    else prefixes.push(found.prefix);
    if (objects.length + prefixes.length >= pageObjectsMax) {
      yield { objects, prefixes };
      objects = [];
      prefixes = [];
    }
    if (performance.now() - resumedMs > SLICE_MS) {
      await new Promise((resolve) => setImmediate(resolve));
      resumedMs = performance.now();
    }
    signal.throwIfAborted();
  }
  if (objects.length + prefixes.length > 0) yield { objects, prefixes };
}

class Listing {
  readonly #root: FsRoot;
  readonly #ctx: CallContext;
  readonly #query: ListQuery;
  /** Where the prefix lies; only the names directly in it need be compared with the prefix. */
  readonly #startFolder: string;

  constructor(root: FsRoot, ctx: CallContext, query: ListQuery) {
    this.#root = root;
    this.#ctx = ctx;
    this.#query = query;
    this.#startFolder = folderOfPrefix(query.prefix);
  }

  /** The folder in which the prefix lies; undefined when there is none, and so no key either. */
  async start(): Promise<Child | undefined> {
    const key = this.#startFolder;
    const context = this.#root.context('list', this.#query.prefix);
    const why = whyInvalidFolder(key);
    if (why !== undefined) {
      throw refusal(context, { kind: 'invalid-name', sentence: `no object can have this prefix: ${why}` });
    }
    try {
      const real = await this.#root.realPathInside(context, this.#root.join(key.slice(0, -1)));
      if (real === undefined) return await this.#vanished();
      return { kind: 'folder', key, order: '', place: { key, real, links: 0, above: undefined } };
    } catch (error) {
      return this.#orWithout(key, fromErrno(context, error));
    }
  }

  visit(child: Child): Maybe<Visit<Child, Found>> {
    if (child.object !== undefined) return { item: { object: child.object } };
    if (child.kind === 'folder') return this.#visitFolder(child);
    return child.kind === 'file' ? this.#visitFile(child.key) : this.#visitGroup(child.key);
  }

  #visitFile(key: string): Maybe<Visit<Child, Found>> {
    try {
      const stats = this.#root.calls.lstat(this.#root.join(key));
      if (!(stats instanceof Promise)) return this.#fileFound(key, stats);
      return stats.then(
        (later) => this.#fileFound(key, later),
        (error) => this.#orWithout(key, fromErrno(this.#root.context('list', key), error)),
      );
    } catch (error) {
      return this.#orWithout(key, fromErrno(this.#root.context('list', key), error));
    }
  }

  /** Throws the error unless the caller can do without what cannot be listed. */
  #orWithout(name: string, error: unknown): undefined {
    const isObjects = error instanceof StorageError && error.details.scope === 'object' && name !== '';
    if (isObjects && this.#query.onUnlistable?.(name, error)) return undefined;
    throw error;
  }

  #fileFound(key: string, stats: BigIntStats | undefined): Maybe<Visit<Child, Found>> {
    if (stats === undefined) return this.#vanished();
    return { item: { object: { key, sizeBytes: Number(stats.size) } } };
  }

  /** A group that `after` cuts through has a prefix only if a key of it lies behind. */
  #visitGroup(key: string): Maybe<Visit<Child, Found>> {
    const { after } = this.#query;
    if (after === undefined || !after.startsWith(key)) return { item: { prefix: key } };
    const { delimiter: _, ...query } = { ...this.#query, prefix: key };
    const behind = listObjects(this.#root, this.#ctx, query, { ...LIST_LIMITS, pageObjectsMax: 1 });
    return behind.next().then(async (first) => {
      await behind.return(undefined);
      return first.done ? undefined : { item: { prefix: key } };
    });
  }

  #visitFolder(folder: Child): Maybe<Visit<Child, Found>> {
    try {
      const entries = this.#root.calls.readFolder(this.#pathOf(folder));
      if (!(entries instanceof Promise) && entries.every(isPlain)) {
        return { children: this.#childrenOf(folder, entries, []) };
      }
      return this.#visitSlowly(folder, entries).catch((error) => this.#whyUnreadable(folder, error));
    } catch (error) {
      return this.#whyUnreadable(folder, error);
    }
  }

  /** The same with all that has to be waited for: slow folders, links, and names that may not be UTF-8. */
  async #visitSlowly(folder: Child, pending: Maybe<Dirent[]>): Promise<Visit<Child, Found>> {
    const entries = await pending;
    if (entries.some((entry) => entry.name.includes(REPLACEMENT))) await this.#demandUtf8(folder);
    const followed: Child[] = [];
    for (const entry of entries) {
      if (entry.isSymbolicLink()) await this.#follow(folder, entry.name, followed);
    }
    return { children: this.#childrenOf(folder, entries, followed) };
  }

  async #follow(folder: Child, name: string, children: Child[]): Promise<void> {
    const key = folder.key + name;
    if (!this.#wantsFolder(folder, `${key}/`) && !this.#wantsFile(folder, key)) return;
    const found = await followLink(this.#root, folder.place, folder.key, name);
    if (found === undefined) return;
    if ('place' in found) this.#addFolder(folder, found.place, name, children);
    else if (this.#wantsFile(folder, key)) {
      children.push({ kind: 'object', key, order: name, place: folder.place, object: found.object });
    }
  }

  #childrenOf(folder: Child, entries: readonly Dirent[], children: Child[]): readonly Child[] {
    const { place } = folder;
    for (const entry of entries) {
      const order = entry.name;
      const key = folder.key + order;
      if (entry.isDirectory()) this.#addFolder(folder, place, order, children);
      else if (entry.isSymbolicLink() || !this.#wantsFile(folder, key)) continue;
      else if (entry.isFile()) children.push({ kind: 'file', key, order, place });
      else children.push({ kind: 'object', key, order, place, object: { key, sizeBytes: 0 } });
    }
    return children.length < 2 ? children : children.sort(bySiblingOrder);
  }

  #addFolder(parent: Child, place: Place, name: string, children: Child[]): void {
    const order = `${name}/`;
    const key = parent.key + order;
    if (!this.#wantsFolder(parent, key)) return;
    const kind = this.#query.delimiter === undefined ? 'folder' : 'group';
    children.push({ kind, key, order, place });
  }

  #wantsFile(parent: Child, key: string): boolean {
    const { prefix, after, upTo } = this.#query;
    if (parent.key === this.#startFolder && !key.startsWith(prefix)) return false;
    if (upTo !== undefined && compareUtf8(key, upTo) > 0) return false;
    return after === undefined || compareUtf8(key, after) > 0;
  }

  /** Can the folder hold a key that is asked for? Pruned ones are not even opened. */
  #wantsFolder(parent: Child, key: string): boolean {
    const { prefix, after, upTo, prune } = this.#query;
    if (parent.key === this.#startFolder && !key.startsWith(prefix)) return false;
    if (key === `${TEMP_FOLDER}/`) return false;
    // All that lies in it sorts behind its own name.
    if (upTo !== undefined && compareUtf8(key, upTo) >= 0) return false;
    if (after !== undefined && compareUtf8(key, after) <= 0 && !after.startsWith(key)) return false;
    return prune === undefined || !prune(key);
  }

  async #whyUnreadable(folder: Child, error: unknown): Promise<Visit<Child, Found>> {
    const context = this.#root.context('list', folder.key);
    if (!hasCode(error, 'ENOENT', 'ENOTDIR')) return this.#orWithout(folder.key, fromErrno(context, error));
    // A folder that another process removes while we list is no error; a root that is gone is one.
    if (!isOfEntry(error)) return this.#vanished();
    return this.#visitAgain(folder);
  }

  /**
   * Where a file system does not tell types, Node asks for each entry, and one that vanishes fails the whole folder:
   * that is not the folder's vanishing, and the other entries must not be lost.
   */
  async #visitAgain(folder: Child): Promise<Visit<Child, Found>> {
    let last: unknown;
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt += 1) {
      try {
        return await this.#visitSlowly(folder, this.#root.calls.readFolder(this.#pathOf(folder)));
      } catch (error) {
        if (!isOfEntry(error)) return this.#whyUnreadable(folder, error);
        last = error;
      }
    }
    const reason = refusal(this.#root.context('list', folder.key), {
      kind: 'unavailable',
      isTransient: true,
      sentence: 'its entries vanish as fast as they are read',
      hint: 'Run again when less is removed from it',
      cause: last,
    });
    return this.#orWithout(folder.key, reason);
  }

  #pathOf(folder: Child): string {
    return this.#root.join(folder.key.slice(0, -1));
  }

  async #vanished(): Promise<undefined> {
    await this.#root.demandSameRoot('list');
    return undefined;
  }

  async #demandUtf8(folder: Child): Promise<void> {
    const names = await this.#root.calls.readRawNames(this.#pathOf(folder));
    const odd = names.find((name) => !isUtf8(name));
    if (odd === undefined) return;
    throw refusal(this.#root.context('list', folder.key), {
      kind: 'invalid-name',
      sentence: `the folder holds a name that is not UTF-8: "${escaped(odd)}"`,
      hint: 'Rename the file; no registry makes such names, and no other backend could hold it',
    });
  }
}

/** `caf\xe9` for what cannot be shown as text. */
function escaped(name: Buffer): string {
  return Array.from(name, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('');
}

/** What Node puts in place of bytes that are not UTF-8; it may also be a real part of a name. */
const REPLACEMENT = '\ufffd';

/** Does the error speak of an entry of the folder, not of the folder? */
function isOfEntry(error: unknown): boolean {
  return (
    hasCode(error, 'ENOENT', 'ENOTDIR') &&
    error instanceof Error &&
    'syscall' in error &&
    error.syscall === 'lstat'
  );
}

function isPlain(entry: Dirent): boolean {
  return !entry.isSymbolicLink() && !entry.name.includes(REPLACEMENT);
}

function bySiblingOrder(left: Child, right: Child): number {
  return compareUtf8(left.order, right.order);
}
