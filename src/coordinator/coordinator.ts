/** Interface agreed with callers; the implementation follows. */
import type { CounterReader } from '../core/counters.ts';
import type { CopyListener } from '../core/events.ts';
import type { CopyOptions, CopySummary } from '../core/job.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import type { DriverSpec, StorageSpec } from '../drivers/spec.ts';

/** Concrete drivers are known to composition roots only (workers/, cli/), which hand this in. */
export type OpenDriver = (spec: DriverSpec) => Promise<StorageDriver>;

export interface CopyEnvironment {
  readonly openDriver: OpenDriver;
  /** Where the worker entry lies. */
  readonly workerUrl: URL;
  readonly onEvent: CopyListener;
  /** Called once, before anything moves: live sums for progress and metrics. */
  readonly onCounters: (counters: CounterReader) => void;
  readonly signal: AbortSignal;
}

export interface CopyJob {
  readonly source: StorageSpec;
  readonly target: StorageSpec;
  readonly options: CopyOptions;
}

/** One pass. Rejects with ConfigError or StorageError before anything moved; after that every outcome is in the summary. */
export async function runCopy(_job: CopyJob, _environment: CopyEnvironment): Promise<CopySummary> {
  throw new Error('Interface only');
}
