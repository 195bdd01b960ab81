/**
 * Cuts the key space into disjoint ranges along names that exist: a few delimiter listings find the folders, and the
 * borders between them become the borders of shards. Never one listing per blob: a blob's own folder is not opened.
 */

import type { KeyRange, Phase, Shard } from '../copy/shard.ts';
import { compareUtf8 } from '../core/byte-order.ts';
import type { CallContext, StorageDriver } from '../drivers/driver.ts';
import type { Layout } from '../layout/layout.ts';

/** Shards per thread: few enough that their ends cost nothing, enough that no thread idles long at the end. */
const SHARDS_PER_THREAD = 8;
/** Bounds for planning itself: listings made, and names held in memory. */
const LISTINGS_MAX = 64;
const CUTS_MAX = 20_000;
/** A shard is sent to a thread as a message: its inner borders take up to 10 kB. */
const BORDERS_MAX = 63;

export interface PlanInput {
  readonly driver: StorageDriver;
  readonly keyPrefix: string;
  readonly layout: Layout;
  readonly threads: number;
}

export async function planShards(
  ctx: CallContext,
  input: PlanInput,
  phase: Phase,
): Promise<readonly Shard[]> {
  const { layout } = input;
  const wanted = SHARDS_PER_THREAD * input.threads;
  const pieces: Omit<Shard, 'id' | 'phase'>[] = [];
  const add = (range: KeyRange, cuts: readonly string[] | undefined): void => {
    // Where the server has another order, nothing that is listed behind a border can be relied on.
    if (cuts === undefined) {
      pieces.push({ range, isUnsorted: true });
      return;
    }
    for (const piece of cutRange(range, cuts, wanted)) {
      const borders = innerBorders(piece, cuts, layout);
      pieces.push({ range: piece, ...(borders.length === 0 ? {} : { borders }) });
    }
  };
  if (phase === 'blobs') {
    for (const prefix of layout.blobPrefixes) add({ prefix }, await findCuts(ctx, input, prefix, wanted));
  } else {
    const cuts = await findCuts(ctx, input, '', wanted, layout.blobPrefixes);
    for (const gap of outside(layout.blobPrefixes)) add(gap, cuts);
  }
  return pieces.map((piece, index) => ({ id: `${phase}-${index + 1}`, phase, ...piece }));
}

/**
 * Borders below a prefix, in byte order: a border is a folder's name with its slash. Opens level after level until
 * there are as many as wanted, leaving out what the layout leaves out and whatever phase one does.
 * @returns undefined where the folders are not listed by the bytes of their names.
 */
async function findCuts(
  ctx: CallContext,
  input: PlanInput,
  root: string,
  wanted: number,
  closed: readonly string[] = [],
): Promise<readonly string[] | undefined> {
  let level = [root];
  let found: readonly string[] = [];
  let listings = 0;
  while (level.length > 0 && listings + level.length <= LISTINGS_MAX) {
    const names: string[] = [];
    for (const prefix of level) {
      listings += 1;
      const folders = await foldersOf(ctx, input, prefix);
      if (folders === undefined) return undefined;
      names.push(...folders);
      if (names.length >= CUTS_MAX) break;
    }
    if (names.length > 0) found = merge(found, names);
    if (names.length >= wanted) break;
    level = names.filter((name) => !closed.includes(name) && isWorthOpening(name, input.layout));
  }
  return found;
}

/** @returns undefined where they come in another order: some servers list `a/` before `a-b/`, as folders of a tree. */
async function foldersOf(
  ctx: CallContext,
  input: PlanInput,
  prefix: string,
): Promise<readonly string[] | undefined> {
  const names = new Set<string>();
  let last = '';
  const pages = input.driver.list(ctx, {
    prefix: input.keyPrefix + prefix,
    delimiter: '/',
    // Where a folder cannot be listed there is no border; the shard that comes to it says so.
    onUnlistable: () => true,
  });
  for await (const page of pages) {
    for (const key of page.prefixes) {
      const path = key.slice(input.keyPrefix.length);
      // A border inside a repository's own folders would part its tags from what they need.
      const name = path.slice(prefix.length);
      if (name.startsWith('_') || input.layout.leavesOut(path, undefined)) continue;
      // A listing that broke off may begin anew, with names that came before.
      if (compareUtf8(path, last) < 0 && !names.has(path)) return undefined;
      names.add(path);
      last = path;
    }
    if (names.size >= CUTS_MAX) break;
  }
  return [...names];
}

/** A blob's folder holds one file; what lies below the two hex digits is never opened. */
function isWorthOpening(path: string, layout: Layout): boolean {
  const blobs = layout.blobPrefixes.find((prefix) => path.startsWith(prefix));
  if (blobs === undefined) return true;
  return path.slice(blobs.length).split('/').length <= 2;
}

function merge(left: readonly string[], right: readonly string[]): readonly string[] {
  return [...new Set([...left, ...right])].sort(compareUtf8);
}

/** Picks evenly spaced borders inside the range. */
function cutRange(range: KeyRange, cuts: readonly string[], wanted: number): readonly KeyRange[] {
  const inside = cuts.filter((cut) => isInside(cut, range));
  const step = Math.max(1, Math.ceil((inside.length + 1) / wanted));
  const borders = inside.filter((_, index) => (index + 1) % step === 0);
  const ranges: KeyRange[] = [];
  let after = range.after;
  for (const border of [...borders, range.upTo]) {
    ranges.push({
      prefix: range.prefix,
      ...(after === undefined ? {} : { after }),
      ...(border === undefined ? {} : { upTo: border }),
    });
    after = border;
  }
  return ranges;
}

/** A folder of blobs that is named by the first two digits of what lies in it. */
const HEX_FOLDER = /\/([0-9a-f]{2})\/$/;
const DIGITS = '0123456789abcdef';

/** The folders inside a shard's range, thinned out; where they are few and hold blobs, also their names' next digits. */
function innerBorders(range: KeyRange, cuts: readonly string[], layout: Layout): readonly string[] {
  const inside = cuts.filter((cut) => isInside(cut, range));
  // The first folder's own border is where the range begins.
  const folders = range.after === undefined ? inside : [range.after, ...inside];
  let digits = DIGITS.length;
  while (digits > 1 && folders.length * digits > BORDERS_MAX + 1) digits /= 2;
  const step = DIGITS.length / digits;
  const finer = folders.flatMap((folder) => {
    const hex = layout.blobPrefixes.some((one) => folder.startsWith(one)) && HEX_FOLDER.exec(folder)?.[1];
    if (!hex) return [folder];
    const behind = [...DIGITS].filter((_, index) => index > 0 && index % step === 0);
    return [folder, ...behind.map((digit) => folder + hex + digit)];
  });
  const borders = finer.filter((border) => isInside(border, range));
  const every = Math.ceil((borders.length + 1) / (BORDERS_MAX + 1));
  return borders.filter((_, index) => (index + 1) % every === 0);
}

function isInside(path: string, range: KeyRange): boolean {
  if (!path.startsWith(range.prefix) || path === range.prefix) return false;
  if (range.after !== undefined && compareUtf8(path, range.after) <= 0) return false;
  return range.upTo === undefined || compareUtf8(path, range.upTo) < 0;
}

/**
 * What phase "names" covers: everything around the prefixes of phase one. `~` sorts behind every character that a
 * digest or an id is made of; should a stranger name sort behind it, both listings meet it and phase two passes it by.
 */
function outside(prefixes: readonly string[]): readonly KeyRange[] {
  const sorted = [...prefixes].sort(compareUtf8);
  const ranges: KeyRange[] = [];
  let after: string | undefined;
  for (const prefix of sorted) {
    ranges.push({ prefix: '', ...(after === undefined ? {} : { after }), upTo: prefix });
    after = `${prefix}~`;
  }
  ranges.push({ prefix: '', ...(after === undefined ? {} : { after }) });
  return ranges;
}
