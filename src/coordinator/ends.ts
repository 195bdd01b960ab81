/** The coordinator's own drivers: for finding out what is there, and for the little it does to the target itself. */
import { clockOfLimit } from '../core/concurrency/permit-memory.ts';
import type { CounterReader, CounterWriter, Operation } from '../core/counters.ts';
import type { CopyListener } from '../core/events.ts';
import type { CopyOptions } from '../core/job.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import type { OpenDriver, StorageSpec } from '../drivers/spec.ts';
import type { TokenDesk } from '../drivers/token-desk.ts';
import { withCounters } from '../drivers/wrap/observe.ts';
import { Permits } from '../drivers/wrap/permits.ts';
import { RateLimit } from '../drivers/wrap/rate-limit.ts';
import { DEFAULT_RETRIES, RetryOwner, withRetries } from '../drivers/wrap/retry.ts';
import { withPermits } from '../drivers/wrap/with-permits.ts';
import type { Concurrency, ReadFlow } from './concurrency.ts';

/** Before anything moves a wrong setting is likelier than a passing fault, and someone is waiting for the answer. */
const PREFLIGHT_ATTEMPTS = 3;

export interface CopyEnvironment {
  readonly openDriver: OpenDriver;
  /** Who gives all threads the tokens of a storage; absent: each thread logs in by itself. */
  readonly tokenDeskOf?: (storage: StorageSpec) => Promise<TokenDesk | undefined>;
  /** Where the worker entry lies. */
  readonly workerUrl: URL;
  readonly onEvent: CopyListener;
  /** Called once, before anything moves: live sums for progress and metrics. */
  readonly onCounters: (counters: CounterReader) => void;
  /** The same for how many requests are made at once and a second, and how many may be. */
  readonly onFlows?: (read: ReadFlow) => void;
  readonly signal: AbortSignal;
}

export interface CopyJob {
  readonly source: StorageSpec;
  readonly target: StorageSpec;
  readonly options: CopyOptions;
}

export interface Ends {
  readonly source: StorageDriver;
  readonly target: StorageDriver;
  /** The same for the work itself: with all its retries, waiting through outages, and within the limits. */
  readonly patient: { readonly source: StorageDriver; readonly target: StorageDriver };
}

export interface EndsParts {
  readonly counters: CounterWriter;
  readonly concurrency: Concurrency;
  /** As in `DriverSpec`. */
  readonly runId: string;
}

export async function openEnds(
  job: CopyJob,
  environment: CopyEnvironment,
  { counters, concurrency, runId }: EndsParts,
): Promise<Ends> {
  const { engine, requestsPerSecond, outageMsMax } = job.options;
  const { memory } = concurrency;
  const open = async (storage: StorageSpec, side: 'source' | 'target') => {
    const opened = await environment.openDriver({ storage, engine, runId }, side);
    const driver = withCounters(opened, side, counters);
    const clock = clockOfLimit(memory, side, 'requests');
    const requests =
      requestsPerSecond === undefined ? undefined : new RateLimit(requestsPerSecond, { clock });
    const permitted = withPermits(driver, new Permits({ memory, row: counters.row, side, requests }));
    const onRetry = (operation: Operation) => counters.retry(side, operation);
    const hasty = withRetries(driver, { ...DEFAULT_RETRIES, attemptsMax: PREFLIGHT_ATTEMPTS }, onRetry);
    return {
      hasty: { ...hasty, close: () => permitted.close() },
      patient: new RetryOwner(
        permitted,
        { ...DEFAULT_RETRIES, outageMsMax },
        {
          onRetry,
          probe: driver,
          onBackend: (news) => environment.onEvent({ event: 'backend', side, name: driver.name, ...news }),
        },
      ).driver,
    };
  };
  const source = await open(job.source, 'source');
  try {
    const target = await open(job.target, 'target');
    const patient = { source: source.patient, target: target.patient };
    return { source: source.hasty, target: target.hasty, patient };
  } catch (error) {
    await source.hasty.close();
    throw error;
  }
}
