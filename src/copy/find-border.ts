/**
 * Finds where what is left of a range can be cut in two. A few pages tell all of it where it is short; else single
 * listings behind guessed keys find about the middle of the keys. Whatever is guessed, a border is only given if there
 * are keys on both sides of it and none of them parts a repository's own folders, as its tags wait for the rest of it.
 */
import { compareUtf8 } from '../core/byte-order.ts';
import type { CallContext, ObjectInfo, StorageDriver } from '../drivers/driver.ts';
import type { Layout } from '../layout/layout.ts';
import { KeySpace } from './key-space.ts';
import type { KeyRange } from './shard.ts';

/** What is left is known to its end if that comes within so many pages. */
const PAGES_KNOWN = 4;
/** The last key is looked for until what is unknown is an eighth of what is left. */
const PRECISION = 8;
const GUESSES_MAX = 16;
/** What an object costs besides its bytes, in bytes. */
const OBJECT_BYTES = 64 * 1024;
/** What is listed without its size is a large object, as layers are. */
const UNSURE_BYTES = 4 * 1024 ** 2;
/** Less is not worth another two listings and a flush: 256 small objects. */
const WORTH_BYTES = 16 * 1024 ** 2;

export interface BorderSearch {
  readonly driver: StorageDriver;
  readonly keyPrefix: string;
  readonly range: KeyRange;
  readonly layout: Layout;
  /** Only what lies behind this path can be given away; absent: all of the range. */
  readonly behind: string | undefined;
  /** A rest that is known and smaller stays whole; default: worth 256 small objects. */
  readonly worthBytes?: number | undefined;
}

interface Known {
  readonly objects: readonly { readonly path: string; readonly bytes: number }[];
  readonly isAll: boolean;
}

/** @returns the last path that is not given away; undefined where a cut is not worth it or none is found. */
export async function findBorder(ctx: CallContext, search: BorderSearch): Promise<string | undefined> {
  const known = await firstPages(ctx, search);
  const first = known.objects[0];
  const last = known.objects.at(-1);
  if (first === undefined || last === undefined) return undefined;
  if (known.isAll) {
    const total = known.objects.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total < (search.worthBytes ?? WORTH_BYTES)) return undefined;
    return middleOf(search.layout, known.objects, total);
  }
  return (await guessMiddle(ctx, search, first.path)) ?? besideGroups(ctx, search, first.path, last.path);
}

async function firstPages(ctx: CallContext, search: BorderSearch): Promise<Known> {
  const objects: Known['objects'][number][] = [];
  let pages = 0;
  for await (const page of list(ctx, search, search.behind)) {
    if (pages === PAGES_KNOWN) return { objects, isAll: false };
    for (const object of page) {
      const path = object.key.slice(search.keyPrefix.length);
      if (isBehind(search, path)) return { objects, isAll: true };
      const bytes = object.isSizeUnsure ? UNSURE_BYTES : object.sizeBytes;
      objects.push({ path, bytes: bytes + OBJECT_BYTES });
    }
    pages += 1;
  }
  return { objects, isAll: true };
}

/** Where two halves weigh about the same. */
function middleOf(layout: Layout, objects: Known['objects'], total: number): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  let sum = 0;
  for (const [at, { path, bytes }] of objects.entries()) {
    const next = objects[at + 1];
    if (next === undefined) break;
    sum += bytes;
    const off = Math.abs(2 * sum - total);
    // Behind the middle it only gets worse.
    if (off > least) break;
    const group = groupOf(layout, path);
    if (group !== undefined && next.path.startsWith(group)) continue;
    best = path;
    least = off;
  }
  return best;
}

/** About the middle between the first path and the last one, which is searched for. */
async function guessMiddle(
  ctx: CallContext,
  search: BorderSearch,
  first: string,
): Promise<string | undefined> {
  const space = await commonSpace(ctx, search, first);
  const begin = space.numberOf(first);
  let low = begin;
  let high = search.range.upTo?.startsWith(space.common) ? space.numberOf(search.range.upTo) : space.end;
  for (let guess = 0; guess < GUESSES_MAX && high - low > (high - begin) / PRECISION; guess += 1) {
    const middle = Math.floor((low + high) / 2);
    const found = await firstBehind(ctx, search, space.pathOf(middle));
    if (found === undefined) high = middle;
    else low = Math.max(middle, Math.min(high, space.numberOf(found)));
  }
  return besideGroups(ctx, search, first, space.pathOf(Math.floor((begin + low) / 2)));
}

/** What all paths that are left begin with. */
async function commonSpace(ctx: CallContext, search: BorderSearch, first: string): Promise<KeySpace> {
  let shared = search.range.prefix.length;
  let parted = first.length + 1;
  while (parted - shared > 1) {
    const length = Math.floor((shared + parted) / 2);
    const space = new KeySpace(first.slice(0, length));
    if ((await firstBehind(ctx, search, space.pathOf(space.end))) === undefined) shared = length;
    else parted = length;
  }
  return new KeySpace(first.slice(0, shared));
}

/** @returns the border, or one beside it, if it lies behind `first` and something lies behind it. */
async function besideGroups(
  ctx: CallContext,
  search: BorderSearch,
  first: string,
  border: string,
): Promise<string | undefined> {
  if (compareUtf8(border, first) < 0) return undefined;
  const next = await firstBehind(ctx, search, border);
  if (next === undefined) return undefined;
  const group = groupOf(search.layout, next);
  if (group === undefined || compareUtf8(border, group) < 0) return border;
  if (compareUtf8(group, first) > 0) return group;
  const behind = behindGroup(group);
  return (await firstBehind(ctx, search, behind)) === undefined ? undefined : behind;
}

/** What a repository's own folders begin with, if the path lies in one. */
function groupOf(layout: Layout, path: string): string | undefined {
  const { repository } = layout.classify(path);
  if (repository === undefined) return undefined;
  const own = `/${repository}/_`;
  return path.slice(0, path.indexOf(own) + own.length);
}

/** The character that comes next after `_`: all of the group lies before it. */
function behindGroup(group: string): string {
  return `${group.slice(0, -1)}\``;
}

async function firstBehind(
  ctx: CallContext,
  search: BorderSearch,
  path: string,
): Promise<string | undefined> {
  for await (const page of list(ctx, search, path)) {
    const found = page[0]?.key.slice(search.keyPrefix.length);
    if (found !== undefined) return isBehind(search, found) ? undefined : found;
  }
  return undefined;
}

async function* list(
  ctx: CallContext,
  { driver, keyPrefix, range }: BorderSearch,
  after: string | undefined,
): AsyncGenerator<readonly ObjectInfo[]> {
  const pages = driver.list(ctx, {
    prefix: keyPrefix + range.prefix,
    // A guess may end in half a character, which no backend can be asked for; what stands for it sorts before both halves.
    ...(after === undefined ? {} : { after: keyPrefix + after.toWellFormed() }),
    ...(range.upTo === undefined ? {} : { upTo: keyPrefix + range.upTo }),
    // Where a folder cannot be listed the shard itself says so.
    onUnlistable: () => true,
  });
  for await (const { objects } of pages) yield objects;
}

function isBehind({ range }: BorderSearch, path: string): boolean {
  return range.upTo !== undefined && compareUtf8(path, range.upTo) > 0;
}
