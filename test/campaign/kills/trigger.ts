/** Moments to kill at: by chance, when the copier says where it is, when the server gets a request, when the journal grows. */
import { type FSWatcher, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultHandle, FaultRule } from '../../../bench/s3-server/faults/fault.ts';
import type { S3Server } from '../../../bench/s3-server/s3-server.ts';
import type { Random } from '../random.ts';
import type { CopierEvent } from './copier.ts';

/** What is left to be copied decides which moments can come. */
export interface Remaining {
  readonly inParts: number;
  readonly others: number;
}

export interface Trigger {
  /** For the results: which moment. */
  readonly name: string;
  /** So many milliseconds after the start. */
  readonly afterStartMs?: number;
  /** So many milliseconds after a line of `--json` with this event, the first one or that of a phase. */
  readonly afterEvent?: {
    readonly event: 'planned' | 'phase';
    readonly phase?: 'blobs' | 'names';
    readonly ms: number;
  };
  /** As soon as this befell a request: the server then waits for an answer that never comes, or has given one unheard. */
  readonly request?: FaultRule;
  /** At the nth change of the journal's file. */
  readonly journalChange?: number;
}

const HANG = { kind: 'hang' } as const;
const LOST = { kind: 'lost-reply' } as const;

/**
 * What a job is begun with. One that uploads: a part is stored, and then the source stays, changes or loses the object;
 * one that writes files: some are in the making.
 */
export function leadOf(kill: number, { target }: Sides, remaining: Remaining): Trigger | undefined {
  const read = {
    bucket: 'source',
    keyPrefix: OBJECTS,
    operation: 'GetObject',
    skip: 20,
    fault: HANG,
  } as const;
  if (target === 'fs') return kill === 0 ? { name: 'get', request: read } : undefined;
  if (remaining.inParts === 0) return undefined;
  const uploaded = { bucket: 'target', keyPrefix: OBJECTS, fault: LOST };
  const part: Trigger = { name: 'part', request: { ...uploaded, operation: 'UploadPart', skip: 1 } };
  const complete: Trigger = {
    name: 'complete',
    request: { ...uploaded, operation: 'CompleteMultipartUpload' },
  };
  return [part, complete, part][kill];
}

/** Lets a run get through the phase of the blobs, however many there are. */
export function triggerInNames(random: Random): Trigger {
  return { name: 'names', afterEvent: { event: 'phase', phase: 'names', ms: random.integer(0, 150) } };
}

/** Objects only: what the copier asks before it begins is met by `planning`. */
const OBJECTS = 'docker/registry/v2/';

export interface Sides {
  readonly source: 's3' | 'fs';
  readonly target: 's3' | 'fs';
}

export function drawTrigger(random: Random, sides: Sides, remaining: Remaining): Trigger {
  const byTime: readonly Trigger[] = [
    { name: 'start', afterStartMs: random.integer(0, 500) },
    { name: 'planned', afterEvent: { event: 'planned', ms: random.integer(0, 10) } },
    { name: 'copying', afterEvent: { event: 'phase', ms: random.integer(0, 250) } },
    { name: 'copying', afterEvent: { event: 'phase', ms: random.integer(0, 250) } },
    { name: 'journal', journalChange: random.integer(1, 12) },
    { name: 'journal', journalChange: random.integer(8, 24) },
  ];
  return random.pick([...byTime, ...byRequest(random, sides, remaining)]);
}

function byRequest(random: Random, { source, target }: Sides, remaining: Remaining): readonly Trigger[] {
  const some = (name: string, request: FaultRule): Trigger => ({ name, request });
  const skip = random.integer(0, Math.min(30, Math.max(0, remaining.others - 1)));
  const listed = source === 's3' ? 'source' : 'target';
  const triggers = [
    some('planning', { operation: 'ListObjectsV2', bucket: listed, skip: random.integer(0, 6), fault: HANG }),
  ];
  if (source === 's3' && remaining.others > 0)
    triggers.push(some('get', { operation: 'GetObject', keyPrefix: OBJECTS, skip, fault: HANG }));
  if (target === 'fs') return triggers;
  const uploaded = { bucket: 'target', keyPrefix: OBJECTS, fault: random.pick([HANG, LOST]) };
  if (remaining.others > 0) triggers.push(some('put', { ...uploaded, operation: 'PutObject', skip }));
  if (remaining.inParts === 0) return triggers;
  return [
    ...triggers,
    some('create', { ...uploaded, operation: 'CreateMultipartUpload' }),
    some('part', { ...uploaded, operation: 'UploadPart', skip: random.integer(0, 3) }),
    some('part', { ...uploaded, operation: 'UploadPart', skip: random.integer(0, 3) }),
    some('complete', { ...uploaded, operation: 'CompleteMultipartUpload' }),
    some('complete', { ...uploaded, operation: 'CompleteMultipartUpload' }),
  ];
}

/** Watches for the moment; `done` ends the watching. */
export class Armed {
  readonly reached: Promise<void>;
  readonly #trigger: Trigger;
  readonly #stop = new AbortController();
  readonly #resolve: () => void;
  #handle: FaultHandle | undefined;
  #watcher: FSWatcher | undefined;

  private constructor(trigger: Trigger) {
    this.#trigger = trigger;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.reached = promise;
    this.#resolve = resolve;
  }

  static async arm(trigger: Trigger, server: S3Server, journal: string): Promise<Armed> {
    const armed = new Armed(trigger);
    if (trigger.request) armed.#handle = await server.misbehave(trigger.request);
    if (trigger.journalChange !== undefined) await armed.#watchJournal(journal, trigger.journalChange);
    return armed;
  }

  /** The copier has been started. */
  started(): void {
    if (this.#trigger.afterStartMs !== undefined) this.#after(this.#trigger.afterStartMs);
    if (this.#handle) void this.#poll(this.#handle);
  }

  /** A line of `--json`. */
  hear({ event, phase }: CopierEvent): void {
    const wanted = this.#trigger.afterEvent;
    if (wanted?.event !== event || (wanted.phase !== undefined && wanted.phase !== phase)) return;
    this.#after(wanted.ms);
  }

  async done(): Promise<void> {
    this.#stop.abort();
    this.#watcher?.close();
    await this.#handle?.remove();
  }

  #after(ms: number): void {
    delay(ms, undefined, { signal: this.#stop.signal }).then(this.#resolve, () => undefined);
  }

  async #poll(handle: FaultHandle): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const [used = 0] = await handle.used();
      if (used > 0) this.#resolve();
      await delay(2);
    }
  }

  async #watchJournal(journal: string, changes: number): Promise<void> {
    await mkdir(journal, { recursive: true });
    let seen = 0;
    this.#watcher = watch(journal, () => {
      seen += 1;
      if (seen >= changes) this.#resolve();
    });
  }
}
