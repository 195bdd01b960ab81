/** A pass and the uploads that are open below its target's root: finds them at its start, leaves none of its own behind. */
import type { Shard, WorkerReport } from '../copy/shard.ts';
import { StorageError } from '../core/errors.ts';
import type { CallContext, MultipartFacet, StorageDriver, Upload } from '../drivers/driver.ts';
import { hasSdkEngine } from '../drivers/engine.ts';
import type { OpenDriver, StorageSpec } from '../drivers/spec.ts';
import { DEFAULT_RETRIES, withRetries } from '../drivers/wrap/retry.ts';
import type { Layout } from '../layout/layout.ts';
import { PROBE_FOLDER } from '../layout/left-out.ts';
import { type Journal, STRANGERS_MAX } from './journal.ts';
import { abortUploads, type KnownOfUploads, nameOfUpload, OwnUploads, sortUploads } from './open-uploads.ts';
import type { PassJournal } from './pass-journal.ts';

const NAMED_MAX = 10;
/** More are not listed: then only what the journal has can be known for this job's own. */
const LISTED_MAX = 2 * STRANGERS_MAX;
/** As of everything that is asked before anything moves. */
const ATTEMPTS = 3;

export interface UploadsPlace {
  readonly target: StorageDriver;
  readonly storage: StorageSpec;
  readonly keyPrefix: string;
  readonly openDriver: OpenDriver;
}

interface Job {
  readonly layout: Layout;
  readonly journal: Journal;
  readonly ownsTarget: boolean;
  /** Runs of this job that died, or were stopped. */
  readonly runs: readonly string[];
  /** The present one. */
  readonly runId: string;
  /** What else they left is gone. */
  readonly isTidied: boolean;
  readonly abortsStrangers: boolean;
  /** The target as the work itself sees it: with all retries, and waiting for one that does not answer. */
  readonly patient: StorageDriver;
  readonly warn: (message: string) => void;
}

type Listed = { readonly uploads: readonly Upload[] } | { readonly refusal: StorageError };

export class TargetUploads {
  readonly #place: UploadsPlace;
  /** A driver opened for this alone, where the one that copies cannot tell of uploads. */
  readonly #own: StorageDriver | undefined;
  #multipart: MultipartFacet | undefined;
  #listed: Listed | undefined;
  #job: Job | undefined;
  #ours = new OwnUploads([]);
  /** Likely ours: threads may continue them, but nobody has noted them. */
  #unnoted = new OwnUploads([]);
  #strangers = 0;
  /** Ids of uploads that were told to be strangers'. */
  readonly #told = new Set<string>();
  #mustLookAgain = false;
  /** A run or a thread died, or an answer was lost. */
  #mayBeUnnoted = false;
  /** Keys that uploads were begun for: somebody on the way may have had a request carried out twice. */
  readonly #begun = new Set<string>();

  private constructor(place: UploadsPlace, own: StorageDriver | undefined) {
    this.#place = place;
    this.#own = own;
    const policy = { ...DEFAULT_RETRIES, attemptsMax: ATTEMPTS };
    this.#multipart = (own ? withRetries(own, policy, () => undefined) : place.target).multipart;
  }

  static async open(place: UploadsPlace): Promise<TargetUploads> {
    const { target, storage, openDriver } = place;
    // The compatibility engine leaves uploads as well when it dies, and has no way to list them.
    const own =
      target.multipart === undefined && hasSdkEngine(storage)
        ? await openDriver({ storage, engine: 'direct' }, 'target')
        : undefined;
    return new TargetUploads(place, own);
  }

  /** Ids of what is open before anything is written; undefined where they cannot be listed. */
  async idsOpen(ctx: CallContext): Promise<readonly string[] | undefined> {
    this.#listed = await this.#list(ctx);
    return 'uploads' in this.#listed ? this.#listed.uploads.map(({ id }) => id) : undefined;
  }

  /** Of others, and still open. */
  get strangersOpen(): number {
    return this.#strangers;
  }

  /** Sorts what was found, notes in the journal what is ours, and says what is not. */
  async begin(ctx: CallContext, job: Job): Promise<void> {
    this.#job = job;
    const { journal, warn } = job;
    const found = this.#listed ?? (await this.#list(ctx));
    this.#listed = found;
    if ('refusal' in found) {
      this.#ours = new OwnUploads(journal.openUploads);
      warn(
        `Open uploads in the target cannot be listed, so whether some are left there is not known: ${found.refusal.message}`,
      );
      return;
    }
    this.#mayBeUnnoted = job.runs.length > 0;
    const { ours: known, unnoted, strangers } = sortUploads(found.uploads, this.#known(job));
    // One that somebody else has aborted, such as a rule of the bucket, still marks what was left behind it unproved.
    const ours = withOthers(known, journal.openUploads);
    const probes = ours.filter(({ key }) => key.startsWith(this.#place.keyPrefix + PROBE_FOLDER));
    this.#ours = new OwnUploads(ours.filter((upload) => !probes.includes(upload)));
    this.#unnoted = new OwnUploads(unnoted);
    this.#mustLookAgain = ours.length + unnoted.length > 0;
    journal.tidied(job.isTidied ? job.runs : [], this.#ours.all);
    if (probes.length > 0) await this.#abort(ctx, probes);
    await this.#tellStrangers(ctx, strangers);
    if (this.#own === undefined) this.#multipart = job.patient.multipart;
  }

  hear({ upload, state }: Extract<WorkerReport, { readonly type: 'upload' }>): void {
    this.#ours.note(upload, state === 'open');
    if (state === 'closed') this.#unnoted.note(upload, false);
    else this.#begun.add(upload.key);
  }

  /** Those that a thread may continue, or must abort, with this shard. */
  of(shard: Shard): readonly Upload[] {
    if (this.#job === undefined) return [];
    const { layout } = this.#job;
    return [this.#ours, this.#unnoted].flatMap((uploads) => uploads.of(shard, layout, this.#place.keyPrefix));
  }

  /** A thread died, or an answer was lost: an upload may be open without anybody having said so. */
  lookAgain(): void {
    this.#mustLookAgain = true;
    this.#mayBeUnnoted = true;
  }

  /**
   * After the last shard of a pass that was not stopped: what is ours and still open is of no use to anybody.
   * @param isInSource is there an object of this logical path? Only such are copied.
   */
  async finish(
    ctx: CallContext,
    journal: PassJournal,
    isInSource: (path: string) => Promise<boolean>,
  ): Promise<void> {
    const job = this.#job;
    if (job === undefined) return;
    let left = this.#ours.all;
    if ((this.#mustLookAgain || this.#begun.size > 0) && this.#listed && 'uploads' in this.#listed) {
      const listed = await this.#list(ctx);
      if ('uploads' in listed) {
        const { ours, unnoted } = sortUploads(listed.uploads, this.#known(job, left));
        // Of a listing that was cut short it cannot be said what is gone.
        left = listed.uploads.length < LISTED_MAX ? ours : withOthers(ours, left);
        left = [...left, ...(await this.#thoseOf(ctx, unnoted, isInSource))];
      }
    }
    const isGone = await this.#abort(ctx, left);
    const names = new Set(left.map(nameOfUpload));
    // What is not listed any more is closed as well.
    for (const upload of this.#ours.all)
      if (isGone || !names.has(nameOfUpload(upload))) journal.upload(upload, false);
  }

  async close(): Promise<void> {
    await this.#own?.close();
  }

  /** The others are strangers', and told. */
  async #thoseOf(
    ctx: CallContext,
    unnoted: readonly Upload[],
    isInSource: (path: string) => Promise<boolean>,
  ): Promise<readonly Upload[]> {
    const ours: Upload[] = [];
    const strangers: Upload[] = [];
    for (const upload of unnoted) {
      const isOurs = await isInSource(upload.key.slice(this.#place.keyPrefix.length));
      (isOurs ? ours : strangers).push(upload);
    }
    await this.#tellStrangers(ctx, strangers);
    return ours;
  }

  #known({ layout, journal, ownsTarget, runs, runId }: Job, more: readonly Upload[] = []): KnownOfUploads {
    const { strangers } = journal;
    const { keyPrefix, storage } = this.#place;
    return {
      keyPrefix,
      layout,
      ownsTarget,
      journaled: [...journal.openUploads, ...more],
      strangers: strangers && new Set([...strangers, ...this.#told]),
      runs: [...runs, runId],
      // The name of a temporary file says whose it is.
      mayBeUnnoted: (key) => storage.kind !== 'fs' && (this.#mayBeUnnoted || this.#begun.has(key)),
    };
  }

  async #list(ctx: CallContext): Promise<Listed> {
    try {
      const { keyPrefix } = this.#place;
      return { uploads: (await this.#multipart?.listUploads(ctx, keyPrefix, LISTED_MAX)) ?? [] };
    } catch (error) {
      if (!(error instanceof StorageError) || ctx.signal.aborted) throw error;
      return { refusal: error };
    }
  }

  /** @returns whether all of them are gone. */
  async #abort(ctx: CallContext, uploads: readonly Upload[]): Promise<boolean> {
    if (this.#multipart === undefined || uploads.length === 0) return true;
    const { done, error } = await abortUploads(ctx, this.#multipart, uploads);
    if (error === undefined) return true;
    const count = uploads.length - done.length;
    this.#job?.warn(
      `${count} unfinished ${count === 1 ? 'upload' : 'uploads'} of this job could not be aborted: ${error.message}`,
    );
    return false;
  }

  async #tellStrangers(ctx: CallContext, strangers: readonly Upload[]): Promise<void> {
    if (this.#multipart === undefined || this.#job === undefined || strangers.length === 0) return;
    const { abortsStrangers, warn } = this.#job;
    this.#strangers += strangers.length;
    for (const { id } of strangers) this.#told.add(id);
    if (!abortsStrangers) {
      warn(
        `${uploadsOf(strangers)} open in the target that this job did not begin; ${strangers.length === 1 ? 'it takes' : 'they take'} up space there: ${named(strangers)} (--abort-uploads aborts them, if nobody works on them any more)`,
      );
      return;
    }
    const { done, error } = await abortUploads(ctx, this.#multipart, strangers);
    this.#strangers -= done.length;
    if (done.length > 0) warn(`${uploadsOf(done)} aborted that this job had not begun: ${named(done)}`);
    if (error)
      warn(
        `${uploadsOf(strangers.slice(done.length))} still open in the target; one could not be aborted: ${error.message}`,
      );
  }
}

function withOthers(found: readonly Upload[], known: readonly Upload[]): readonly Upload[] {
  const names = new Set(found.map(nameOfUpload));
  return [...found, ...known.filter((upload) => !names.has(nameOfUpload(upload)))];
}

function uploadsOf({ length }: readonly Upload[]): string {
  if (length === 1) return '1 upload is';
  return `${length >= LISTED_MAX ? 'At least ' : ''}${length} uploads are`;
}

function named(uploads: readonly Upload[]): string {
  const names = uploads.slice(0, NAMED_MAX).map(({ key }) => `"${key}"`);
  const more = uploads.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
