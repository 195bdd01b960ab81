/** One pass of a migration, from what a step asks to what it is told. */
import { randomBytes } from 'node:crypto';
import { runCopy } from '../../coordinator/coordinator.ts';
import type { CounterReader, Side } from '../../core/counters.ts';
import { OUTCOMES } from '../../core/counters.ts';
import type { CopyEvent } from '../../core/events.ts';
import type { CopyOptions, CopySummary } from '../../core/job.ts';
import {
  DAMAGE_MOST,
  type EngineProgress,
  type ListingTime,
  type PassReport,
  type PassRequest,
  type PassTimes,
} from '../engine-port.ts';
import { isLetBe, judgePass } from './judge-pass.ts';
import { knownDamage } from './known-damage.ts';
import { NOTHING } from './named.ts';
import { type EngineOptions, type EngineParts, type EngineTask, hasEpochBroken, Paced } from './parts.ts';
import type { WrittenStore } from './written-store.ts';

const PROGRESS_EVERY_MS = 200;

export interface PassPlace extends EngineParts {
  readonly written: WrittenStore;
  /** Objects of the source, where they were counted before. */
  readonly total: number | undefined;
}

export async function runEnginePass(
  task: EngineTask,
  request: PassRequest,
  place: PassPlace,
): Promise<PassReport> {
  const { call, epoch, signal } = task;
  const { source, target, options, openDriver, tokenDeskOf, workerUrl, written } = place;
  const pass = randomBytes(6).toString('hex');
  const beganMs = Date.now();
  const heard = new Heard(task, place.total);
  const about = { pass, kind: request.kind, beganMs, ...(epoch ? { epoch: epoch.id } : {}) };
  try {
    const summary = await runCopy(
      { source, target, options: passOptions(options, request) },
      {
        openDriver,
        ...(tokenDeskOf ? { tokenDeskOf } : {}),
        workerUrl,
        signal,
        onEvent: (event) => {
          heard.hear(event);
          tell(event, call.onSaid);
        },
        onCounters: (counters) => heard.begin(counters),
      },
      {
        runId: pass,
        written: await written.placeFor(pass),
        // The window is short, and the last pass has just asked.
        knowsTarget: request.kind === 'frozen',
        damageMax: damageMaxOf(request),
        ...(epoch ? { epoch: epoch.id } : {}),
      },
    );
    const times = heard.times(summary, options.threads);
    const damageMax = damageMaxOf(request);
    return {
      ...about,
      ...outcomeOf(task, summary, damageMax),
      damage: isLetBe(summary, damageMax) ? await knownDamage(summary, request.digests) : [],
      endedMs: Date.now(),
      ...countsOf(summary),
      shards: heard.shards,
      times,
      summary,
    };
  } catch (error) {
    if (!hasEpochBroken(task)) throw error;
    return {
      ...about,
      ...BROKE,
      endedMs: Date.now(),
      ...NOTHING_DONE,
      shards: heard.shards,
      times: heard.times(undefined, options.threads),
    };
  } finally {
    heard.end();
    await written.flush();
  }
}

const BROKE = { end: 'epoch-broke', isGood: false, why: 'the source was not read-only any more' } as const;

const NOTHING_DONE = {
  objectsListed: 0,
  objectsChanged: 0,
  bytesChanged: 0,
  objectsDeleted: 0,
  digestsPending: NOTHING,
  digestsLacking: NOTHING,
  exceptions: [],
  damage: [],
} as const;

function passOptions(options: EngineOptions, request: PassRequest): CopyOptions {
  const isFrozen = request.kind === 'frozen';
  return {
    ...options,
    ...(request.digests === undefined ? {} : { digests: request.digests }),
    isFrozen,
    deletesExtra: isFrozen,
    deleteMax: isFrozen ? request.deleteMax : 0,
    intoNonempty: false,
    keepGoing: false,
    abortsUploads: false,
  };
}

function damageMaxOf(request: PassRequest): number {
  return request.kind === 'frozen' ? Math.min(request.damageMax ?? 0, DAMAGE_MOST) : 0;
}

function outcomeOf(
  task: EngineTask,
  summary: CopySummary,
  damageMax: number,
): Pick<PassReport, 'end' | 'isGood' | 'why' | 'hint'> {
  if (hasEpochBroken(task)) return BROKE;
  return { end: summary.stoppedBy ? 'failed' : 'done', ...judgePass(summary, damageMax) };
}

type Counts = Omit<
  PassReport,
  | 'pass'
  | 'kind'
  | 'epoch'
  | 'end'
  | 'isGood'
  | 'why'
  | 'hint'
  | 'damage'
  | 'beganMs'
  | 'endedMs'
  | 'shards'
  | 'times'
  | 'summary'
>;

function countsOf(summary: CopySummary): Counts {
  const { objectsCopied, objectsSkipped, objectsFailed, objectsDamaged, objectsDeleted, digests } = summary;
  const others = summary.objectsVanished + summary.objectsUnsettled + summary.objectsConflicting;
  return {
    objectsListed: objectsCopied + objectsSkipped + objectsFailed + objectsDamaged + others,
    objectsChanged: objectsCopied + objectsDeleted,
    bytesChanged: summary.bytesCopied,
    objectsDeleted,
    digestsPending: digests?.pending ?? NOTHING,
    digestsLacking: digests?.lacking ?? NOTHING,
    exceptions: summary.exceptions,
  };
}

/** Counters of a pass, from its first object on. */
class Heard {
  readonly #paced: Paced<CounterReader>;
  readonly #startedMs = performance.now();
  #counters: CounterReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #shards = 0;

  constructor({ call }: EngineTask, total: number | undefined) {
    this.#paced = new Paced(call, (counters) => progressOf(counters, total));
  }

  get shards(): number {
    return this.#shards;
  }

  hear(event: CopyEvent): void {
    if (event.event === 'planned') this.#shards += event.shards;
    if (event.event === 'split') this.#shards += event.into.length;
  }

  begin(counters: CounterReader): void {
    this.#counters = counters;
    this.#timer = setInterval(() => this.#paced.tell(counters), PROGRESS_EVERY_MS);
    this.#timer.unref();
  }

  end(): void {
    clearInterval(this.#timer);
    if (this.#counters) this.#paced.end(this.#counters);
  }

  times(summary: CopySummary | undefined, threads: number): PassTimes {
    const listings = { source: this.#listing('source'), target: this.#listing('target') };
    return {
      seconds: summary?.seconds ?? (performance.now() - this.#startedMs) / 1000,
      threads,
      listings,
      objectsCopied: summary?.objectsCopied ?? 0,
      bytesCopied: summary?.bytesCopied ?? 0,
    };
  }

  #listing(side: Side): ListingTime {
    const counters = this.#counters;
    if (!counters) return { pages: 0, seconds: 0 };
    const pages = OUTCOMES.reduce((sum, outcome) => sum + counters.requests(side, 'list', outcome), 0);
    return { pages, seconds: counters.latency(side, 'list').sumSeconds };
  }
}

function progressOf(counters: CounterReader, total: number | undefined): EngineProgress {
  const copied = counters.objects('copied');
  const wrong = counters.objects('failed') + counters.objects('damaged') + counters.objects('conflict');
  return {
    what: 'pass',
    objects: copied + counters.objects('skipped') + wrong,
    objectsMoved: copied,
    bytesMoved: counters.bytes('copied'),
    objectsWrong: wrong,
    ...(total === undefined ? {} : { objectsTotal: total }),
  };
}

function tell(event: CopyEvent, say: ((sentence: string) => void) | undefined): void {
  if (event.event === 'warning') say?.(event.message);
  if (event.event === 'bound') say?.(`target check: ${event.binding}`);
  if (event.event === 'deleting')
    say?.(`removing ${event.objects} objects from the target that the source no longer has`);
  if (event.event !== 'backend') return;
  const { name, state, reason } = event;
  say?.(
    state === 'waiting' ? `${name} does not answer and is waited for: ${reason}` : `${name} answers again`,
  );
}
