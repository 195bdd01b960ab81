/** Reads some of the objects that a copy would read, as a thread of it would: many at once, into slabs, hashed. */
import { createHash } from 'node:crypto';
import { type CopyContext, ObjectChanged } from '../copy/context.ts';
import { readRanges } from '../copy/read-ranges.ts';
import { BlobferryError, isStorageError, StorageError } from '../core/errors.ts';
import type { ObjectInfo } from '../drivers/driver.ts';
import { type GroupMeasure, type SampleResult, SMALL_BYTES_MAX } from './estimate.ts';

/** Objects kept for the sample, of each group. */
const SMALL_KEPT = 2_000;
const LARGE_KEPT = 32;
/** Of that many, the first ones open connections and warm the code, and are not measured. */
const WARMED_UP_FROM = 256;
const WARM_UP = 64;
/** As a copy has in flight in one thread. */
const READS_AT_ONCE = 32;
/** No object begins behind this time, of each group; twice of it ends those that are in flight. */
const GROUP_SECONDS_MAX = 10;
/** The rest of the budget goes to large objects, of which each gives no more than a few parts. */
const SMALL_SHARE = 0.25;
const LARGE_OBJECT_BYTES_MAX = 16 * 1024 ** 2;

interface Candidate {
  readonly path: string;
  readonly object: ObjectInfo;
}

/** A fair choice among objects whose number is not known before the last one has gone by. */
class Reservoir {
  readonly kept: Candidate[] = [];
  readonly #size: number;
  readonly #random: () => number;
  #seen = 0;

  constructor(size: number, random: () => number) {
    this.#size = size;
    this.#random = random;
  }

  offer(candidate: Candidate): void {
    this.#seen += 1;
    if (this.kept.length < this.#size) this.kept.push(candidate);
    else {
      const at = Math.floor(this.#random() * this.#seen);
      if (at < this.#size) this.kept[at] = candidate;
    }
  }
}

export class Sample {
  readonly #small: Reservoir;
  readonly #large: Reservoir;

  /** @param random 0 ≤ value < 1. */
  constructor(random: () => number) {
    this.#small = new Reservoir(SMALL_KEPT, random);
    this.#large = new Reservoir(LARGE_KEPT, random);
  }

  offer(path: string, object: ObjectInfo): void {
    const group = object.sizeBytes <= SMALL_BYTES_MAX ? this.#small : this.#large;
    group.offer({ path, object });
  }

  /** @param bytesMax read in all; 0 reads nothing. Rejects for an abort and for what would end a copy, too. */
  async measure(ctx: CopyContext, bytesMax: number): Promise<SampleResult> {
    const reader = new SampleReader(ctx);
    const smallMax = this.#large.kept.length === 0 ? bytesMax : bytesMax * SMALL_SHARE;
    const small = await reader.read(this.#small.kept, smallMax);
    const large = await reader.read(this.#large.kept, bytesMax - reader.bytesRead);
    const seconds = small.seconds + large.seconds;
    const busyShare = seconds === 0 ? 0 : Math.min(1, reader.cpuSeconds / seconds);
    const { unreadable, vanished } = reader;
    return { small, large, busyShare, unreadable, vanished };
  }
}

class SampleReader {
  readonly unreadable: { readonly path: string; readonly why: string }[] = [];
  vanished = 0;
  /** Of what was measured. */
  cpuSeconds = 0;
  /** In all. */
  bytesRead = 0;
  readonly #ctx: CopyContext;

  constructor(ctx: CopyContext) {
    this.#ctx = ctx;
  }

  async read(candidates: readonly Candidate[], bytesMax: number): Promise<GroupMeasure> {
    const chosen = withinBudget(candidates, bytesMax);
    const warmUp = chosen.length >= WARMED_UP_FROM ? WARM_UP : 0;
    const deadline = AbortSignal.timeout(2 * GROUP_SECONDS_MAX * 1000);
    await this.#readAll(chosen.slice(0, warmUp), deadline);
    const startMs = performance.now();
    const cpuBefore = process.cpuUsage();
    const { objects, bytes } = await this.#readAll(chosen.slice(warmUp), deadline);
    if (objects === 0) return { objects, bytes, seconds: 0 };
    const cpu = process.cpuUsage(cpuBefore);
    this.cpuSeconds += (cpu.user + cpu.system) / 1e6;
    return { objects, bytes, seconds: (performance.now() - startMs) / 1000 };
  }

  /** What was read of it; the rest was not to be read, or not in time. */
  async #readAll(
    chosen: readonly Chosen[],
    deadline: AbortSignal,
  ): Promise<{ readonly objects: number; readonly bytes: number }> {
    const startMs = performance.now();
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#ctx.signal, deadline, stop.signal]);
    const queue = chosen.values();
    let objects = 0;
    let bytes = 0;
    const lane = async (): Promise<void> => {
      for (const { candidate, bytes: wanted } of queue) {
        if (performance.now() - startMs > GROUP_SECONDS_MAX * 1000) return;
        if (!(await this.#readOne({ ...this.#ctx, signal }, candidate, wanted, deadline))) continue;
        objects += 1;
        bytes += wanted;
      }
    };
    const lanes = Array.from({ length: READS_AT_ONCE }, () =>
      lane().catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    const failed = (await Promise.allSettled(lanes)).find(({ status }) => status === 'rejected');
    if (failed) throw stop.signal.reason;
    this.bytesRead += bytes;
    return { objects, bytes };
  }

  async #readOne(
    ctx: CopyContext,
    candidate: Candidate,
    bytes: number,
    deadline: AbortSignal,
  ): Promise<boolean> {
    const { key, sizeBytes } = candidate.object;
    try {
      // An empty object is one request as well.
      if (sizeBytes === 0) await ctx.source.read(ctx, key, new Uint8Array(0), { isWhole: true });
      const hasher = createHash('sha256');
      const range = { driver: ctx.source, key, from: 0, to: bytes, sizeBytes };
      for await (const piece of readRanges(ctx, range)) hasher.update(piece.bytes);
      return true;
    } catch (error) {
      this.#ctx.signal.throwIfAborted();
      if (deadline.aborted) return false;
      this.#note(candidate, error);
      return false;
    }
  }

  /** @throws what every further request would meet. */
  #note({ path }: Candidate, error: unknown): void {
    if (error instanceof ObjectChanged || isStorageError(error, 'not-found')) {
      this.vanished += 1;
      return;
    }
    const isHopeless = error instanceof StorageError && error.details.scope === 'backend';
    if (isHopeless || !(error instanceof BlobferryError)) throw error;
    this.unreadable.push({ path, why: error.message });
  }
}

interface Chosen {
  readonly candidate: Candidate;
  readonly bytes: number;
}

function withinBudget(candidates: readonly Candidate[], bytesMax: number): readonly Chosen[] {
  const chosen: Chosen[] = [];
  let left = bytesMax;
  for (const candidate of candidates) {
    if (left <= 0) break;
    const bytes = Math.min(candidate.object.sizeBytes, LARGE_OBJECT_BYTES_MAX, left);
    chosen.push({ candidate, bytes });
    left -= bytes;
  }
  return chosen;
}
