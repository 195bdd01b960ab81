/**
 * What the steps of a migration ask of the engine. One engine serves one migration: it knows both storages, the folder of
 * its journal and its limits. Nothing here knows a registry's API.
 *
 * - Answers are plain JSON, so that a step can keep them; no secret is in them. Times are milliseconds since 1970.
 * - A call that the user stops rejects with its signal's reason; so does one whose storage cannot be had at all, with a
 *   ConfigError or StorageError. Everything else is in the answer.
 * - Calls are made one after the other; two at once throw.
 */
import type { CopyException, CopySummary } from '../core/job.ts';
import type { LayoutName } from '../layout/layout.ts';
import type { VerifySummary } from '../verify/summary.ts';

export interface EngineCall {
  /** The user's stop. */
  readonly signal: AbortSignal;
  /** Called at most five times a second, and once at the end. */
  readonly onProgress?: (progress: EngineProgress) => void;
  /** Sentences worth a line for people while the call runs: warnings, a storage that does not answer. */
  readonly onSaid?: (sentence: string) => void;
}

export interface EngineProgress {
  readonly what: 'pass' | 'verify' | 'written' | 'survey';
  /** Looked at so far. */
  readonly objects: number;
  /** Of those: copied, or read to be checked. */
  readonly objectsMoved: number;
  readonly bytesMoved: number;
  readonly objectsWrong: number;
  /** As far as is known from an earlier listing of the source. */
  readonly objectsTotal?: number;
}

/**
 * A file of digests (`indexBackup()` makes it from a metadata backup). It must stay where it is while a call that was
 * given it runs. Only layout `msr` has a use for it.
 */
export type DigestFile = string;

/**
 * The read-only epoch that a call belongs to. When `broke` aborts, the call ends at once, and its answer says so: that is
 * no stop of the user's. `id` is the caller's (such as the time it began): what was found in one epoch never counts in
 * another.
 */
export interface CallEpoch {
  readonly id: string;
  readonly broke: AbortSignal;
}

/** How a call ended that has an epoch. `failed`: it could not go on, see its `summary.stoppedBy`. */
export type CallEnd = 'done' | 'epoch-broke' | 'failed';

/** Counted in full, named up to ten. */
export interface Named {
  readonly count: number;
  readonly first: readonly string[];
}

// ---- before anything ----

export type StorageRight = 'list' | 'read' | 'write' | 'delete';

/** What was tried of a storage. `unknown`: there was nothing to try it with, such as no object to read. */
export interface RightFound {
  readonly right: StorageRight;
  readonly is: 'granted' | 'refused' | 'unknown';
  /** Why, unless it is granted; with what to do, where the storage says. */
  readonly why?: string;
}

export interface StorageFindings {
  /** Display name without secrets. */
  readonly name: string;
  readonly kind: 'fs' | 's3' | 'azure' | 'gcs' | 'swift';
  readonly rights: readonly RightFound[];
  /** How far the storage's clock is ahead of this machine's; absent where it has none that can be read. */
  readonly clockAheadMs?: number;
  /** When the credentials in use end; absent where they do not, are renewed while they are used, or do not tell. */
  readonly credentialsExpireMs?: number;
  /** They end some time, and nothing says when. */
  readonly areCredentialsTemporary?: true;
}

export interface TargetFindings extends StorageFindings {
  /**
   * `ours`: this job's earlier passes found it empty, and all that is there is theirs. `stranger`: it holds what this job
   * did not bring, and a pass refuses it.
   */
  readonly holds: 'nothing' | 'ours' | 'stranger';
  /** The first key that is a stranger's. */
  readonly stranger?: string;
  /** Bytes that can still be written; absent where the storage does not say. */
  readonly freeBytes?: number;
  /** Files and folders that can still be made; absent where there is no such limit, or nobody says. */
  readonly freeFiles?: number;
  /** Rules of the bucket for lifecycle, object lock and versioning, a sentence each; absent where it was not asked. */
  readonly rules?: readonly string[];
}

/**
 * What is in the source, what cannot be read, what is damaged already. Lists the whole source once, and once more where it
 * may hold archives; reads no object whole.
 */
export interface SurveyReport {
  readonly beganMs: number;
  readonly endedMs: number;
  /** What the first of those listings took, one page of names after the other. */
  readonly listingMs: number;
  readonly layout: LayoutName;
  /** Why it is taken for this layout, in words. */
  readonly reason: string;
  readonly warnings: readonly string[];
  readonly objects: number;
  readonly bytes: number;
  /** Objects that must be restored before they can be read: a pass would fail on each. */
  readonly archived: Named;
  /** A sentence on objects that may be archived without a listing's telling. */
  readonly maybeArchived?: string;
  /**
   * Damage that sizes alone show: empty blobs whose digest is not that of nothing, links of a size that no digest has.
   * Each with a few words, `path: what`.
   */
  readonly damaged: Named;
  /** Only where digests were given. */
  readonly digests?: DigestFindings;
  /** Only where blobs were asked for. */
  readonly wanted?: WantedFound;
}

/** A blob that the source should have: 64 lower-case hex digits, and its size, at most 4 MiB. */
export interface WantedBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** By their sha256. `unsure`: too many objects have its size for all of them to be read. */
export type WantedFound = Readonly<Record<'found' | 'absent' | 'unsure', readonly string[]>>;

/** How a storage's blobs and the rows of a metadata backup agree. Ids, not paths. */
export interface DigestFindings {
  readonly rows: number;
  /** Rows whose blob is not in the source: images that name them cannot be pulled even now. */
  readonly lacking: Named;
  /** Blobs that no row names: newer than the backup, or left for garbage collection. */
  readonly unknown: Named;
}

// ---- passes ----

export type PassRequest = LivePass | FinalPass;

interface LivePass {
  readonly kind: 'live';
  readonly digests?: DigestFile;
}

interface FinalPass {
  readonly kind: 'frozen';
  readonly epoch: CallEpoch;
  readonly digests?: DigestFile;
  /**
   * Links, tags and other mutable objects that only the target has are removed at the end of a pass that went well, if
   * they are not more than this (at most 10,000, as their names are held in memory); never blobs.
   */
  readonly deleteMax: number;
  /** So many damaged objects of the source (at most `DAMAGE_MOST`) are left out knowingly; default: none are. */
  readonly damageMax?: number;
}

/** As many as a summary names: more than can be named is never let be. */
export const DAMAGE_MOST = 100;

/** An object of the source that is not what it must be, and that the target does not get. */
export interface KnownDamage {
  /** Logical path. */
  readonly path: string;
  /** `sha256:…`, what it should be; absent where nothing tells. */
  readonly digest?: string;
  readonly why: string;
}

export interface PassReport {
  /** 12 hex digits, another one for each pass. */
  readonly pass: string;
  readonly kind: 'live' | 'frozen';
  /** Of a frozen pass. */
  readonly epoch?: string;
  readonly end: CallEnd;
  /**
   * `live`: it went through everything, and what is left is for the next one (unsettled, vanished, digest pending).
   * `frozen`: target and source are equal as far as a pass can tell, and nothing is unsettled, vanished or unremoved.
   * Damaged objects of the source make neither good, unless they are let be.
   */
  readonly isGood: boolean;
  /** Why it is not good: a sentence. */
  readonly why?: string;
  readonly hint?: string;
  readonly beganMs: number;
  readonly endedMs: number;
  /** Of the source, without what is left out. */
  readonly objectsListed: number;
  /** Copied or removed: the delta. */
  readonly objectsChanged: number;
  readonly bytesChanged: number;
  readonly objectsDeleted: number;
  /** Blobs whose id the digests do not have. Of a frozen pass: those that the registry does not know either. */
  readonly digestsPending: Named;
  /** Rows of the digests without an object in the source. */
  readonly digestsLacking: Named;
  /** The first hundred; all are in the journal. */
  readonly exceptions: readonly CopyException[];
  /** All of the damage that was let be. */
  readonly damage: readonly KnownDamage[];
  /** Ranges of names that it was cut into. */
  readonly shards: number;
  readonly times: PassTimes;
  /** Everything else there is to tell; absent where the epoch broke before anything moved. */
  readonly summary?: CopySummary;
}

/** What a pass shows of how fast things go: all that predictions are made of. */
export interface PassTimes {
  readonly seconds: number;
  readonly threads: number;
  /** Requests for pages of names, and the seconds they took together: more than passed by where several ran at once. */
  readonly listings: Readonly<Record<'source' | 'target', ListingTime>>;
  /** Copied alone: what was equal costs its listing. */
  readonly objectsCopied: number;
  readonly bytesCopied: number;
}

export interface ListingTime {
  readonly pages: number;
  readonly seconds: number;
}

// ---- verification ----

export interface WrittenRequest {
  /** Absent: the source is live, and what was changed or removed there since is not wrong but for the next pass. */
  readonly epoch?: CallEpoch;
  readonly digests?: DigestFile;
  /** Logical paths of damage that was let be: missing in the target, they are not wrong. */
  readonly known?: readonly string[];
}

/**
 * Everything that any pass of this job wrote, killed ones included, and that was not read back and found right since:
 * read whole from the target and compared with its digest, or with the source where it has none. What is found right is
 * never read again, unless a pass writes it again.
 */
export interface WrittenReport {
  readonly end: CallEnd;
  readonly epoch?: string;
  readonly beganMs: number;
  readonly endedMs: number;
  /** Nothing is wrong; `live`: save for what the next pass has to settle. `frozen`: nothing is left either. */
  readonly isGood: boolean;
  readonly why?: string;
  readonly objectsChecked: number;
  readonly bytesRead: number;
  /** Not right: damaged, missing or different in the target. */
  readonly wrong: Named;
  /** Changed or gone in the source since: they stay to be checked. */
  readonly unsettled: Named;
  /** Equal to the source, and still without a digest: settled by the next digests, without another read. */
  readonly digestsPending: Named;
  /** Absent where the epoch broke before anything was read. */
  readonly summary?: VerifySummary;
}

export interface VerifyRequest {
  readonly epoch: CallEpoch;
  /** Each row's object must be in the target. */
  readonly digests?: DigestFile;
  /** Read every object back, not only those whose listings leave a doubt. */
  readonly isDeep?: boolean;
  /** Logical paths of damage that was let be: of these, and no others, the target may lack the object. */
  readonly known?: readonly string[];
}

/** Both listings from end to end. */
export interface VerifyReport {
  readonly end: CallEnd;
  readonly epoch: string;
  readonly beganMs: number;
  readonly endedMs: number;
  /** Target and source are equal, and the target has every row's object that the source has. */
  readonly isGood: boolean;
  readonly why?: string;
  /** Blobs that only the target has: never removed, and no fault. */
  readonly extraBlobs: number;
  /** Of the damage that was let be: what the target lacks. Never counted as equal. */
  readonly knownMissing: number;
  /** Absent where the epoch broke before anything was compared. */
  readonly summary?: VerifySummary;
  /** Where digests were given. `lacking`: not in the target; `lackingInSource`: not in the source either. */
  readonly rows?: {
    readonly rows: number;
    readonly lacking: Named;
    readonly lackingInSource: Named;
  };
}

// ---- the window ----

export interface WindowRequest {
  /** Of all passes so far, oldest first. */
  readonly passes: readonly Pick<
    PassReport,
    'kind' | 'beganMs' | 'endedMs' | 'objectsChanged' | 'bytesChanged' | 'times'
  >[];
  /** When read-only is to begin; default: now. */
  readonly atMs?: number;
  /** What else happens inside: read-only itself, the second backup, the switch. */
  readonly elsewhereMs?: number;
}

export interface WindowPrediction {
  readonly totalMs: number;
  readonly parts: {
    /** Final pass: its listings, and what it has to copy. */
    readonly listingMs: number;
    readonly copyingMs: number;
    /** Verification: listings of both sides, and what the final pass will have written read back. */
    readonly comparingMs: number;
    readonly readingMs: number;
    readonly elsewhereMs: number;
  };
  readonly delta: { readonly objects: number; readonly bytes: number };
  /**
   * `delta`: from passes that found what had changed since the one before. `first`: there was only the pass that copied
   * everything, so how much changes is not known, and the delta is taken for nothing: another live pass tells.
   */
  readonly basis: 'delta' | 'first';
  /** For people, in a sentence. */
  readonly text: string;
}

export interface EnginePort {
  /** Lists, and reads one object. */
  lookAtSource(call: EngineCall): Promise<StorageFindings>;
  /** Lists, writes probes and removes them. */
  lookAtTarget(call: EngineCall): Promise<TargetFindings>;
  /** @param wanted looked for by content: by the digests in paths, and where those have ids by reading what has the size. */
  survey(call: EngineCall, digests?: DigestFile, wanted?: readonly WantedBlob[]): Promise<SurveyReport>;

  /**
   * One pass from the beginning: no cursor of an earlier pass or epoch is gone on from, and what those wrote is found
   * equal. Objects in archives are not looked for: a survey does that.
   */
  runPass(call: EngineCall, request: PassRequest): Promise<PassReport>;
  verifyWritten(call: EngineCall, request: WrittenRequest): Promise<WrittenReport>;
  verifyAll(call: EngineCall, request: VerifyRequest): Promise<VerifyReport>;
  /** From what was measured; throws RangeError where there was no pass. */
  predictWindow(request: WindowRequest): WindowPrediction;
  close(): Promise<void>;
}
