/** What an engine is made of, and what one call of it works with. */
import type { CopyEnvironment } from '../../coordinator/ends.ts';
import type { CopyOptions } from '../../core/job.ts';
import type { StorageDriver } from '../../drivers/driver.ts';
import type { StorageSpec } from '../../drivers/spec.ts';
import type { DigestIndex } from '../../layout/digests/digest-index.ts';
import type { DetectedSource } from '../../layout/find-registry.ts';
import type {
  CallEpoch,
  EngineCall,
  EngineProgress,
  StorageFindings,
  TargetFindings,
} from '../engine-port.ts';

export type EngineOptions = Omit<
  CopyOptions,
  'isFrozen' | 'deletesExtra' | 'deleteMax' | 'intoNonempty' | 'keepGoing' | 'abortsUploads'
>;

/** What tries a storage out: `target` also by writing. */
export type ProbeStorage = (
  storage: StorageSpec,
  role: 'source' | 'target',
  signal: AbortSignal,
) => Promise<StorageFindings & Pick<TargetFindings, 'rules' | 'freeBytes'>>;

export interface EngineParts {
  readonly source: StorageSpec;
  readonly target: StorageSpec;
  readonly options: EngineOptions;
  readonly openDriver: CopyEnvironment['openDriver'];
  readonly tokenDeskOf?: CopyEnvironment['tokenDeskOf'];
  /** Where the worker entry lies. */
  readonly workerUrl: URL;
  readonly probe: ProbeStorage;
}

/** A single call, and what ends it. */
export interface EngineTask {
  readonly call: EngineCall;
  /** Aborts with the user's stop and with the epoch. */
  readonly signal: AbortSignal;
  readonly epoch: CallEpoch | undefined;
}

/** The storages as a call reads them; whoever is given these has nothing to close. */
export interface ReadEnds {
  readonly source: StorageDriver;
  readonly found: DetectedSource;
  readonly digests: DigestIndex | undefined;
  /** Opened to be read alone, so that a target on a file system mounted read-only will do. */
  readonly openTarget: () => Promise<StorageDriver>;
}

export type Reading = <T>(work: (ends: ReadEnds) => Promise<T>) => Promise<T>;

/** Has the epoch broken, and not the user's patience? */
export function hasEpochBroken({ call, epoch }: EngineTask): boolean {
  return epoch?.broke.aborted === true && !call.signal.aborted;
}

const PROGRESS_EVERY_MS = 200;

/** Tells of progress at most five times a second, and once at the end. */
export class Paced<T> {
  readonly #tell: ((progress: EngineProgress) => void) | undefined;
  readonly #progressOf: (reading: T) => EngineProgress;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor({ onProgress }: EngineCall, progressOf: (reading: T) => EngineProgress) {
    this.#tell = onProgress;
    this.#progressOf = progressOf;
  }

  tell(reading: T): void {
    const nowMs = performance.now();
    if (!this.#tell || nowMs - this.#toldMs < PROGRESS_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#tell(this.#progressOf(reading));
  }

  end(reading: T): void {
    this.#tell?.(this.#progressOf(reading));
  }
}
