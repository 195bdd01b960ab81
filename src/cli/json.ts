/** `--json`: one object per line on stdout, the last one the summary, or the error that came instead of it. */
import type { CopyEvent } from '../core/events.ts';
import type { CopySummary } from '../core/job.ts';
import type { PlanSummary } from '../plan/summary.ts';
import type { EngineProgress } from '../platform/engine-port.ts';
import type { Finding } from '../platform/preflight/finding.ts';
import type { Outcome } from '../platform/saga/outcome.ts';
import type { Entry } from '../platform/saga/saga-log.ts';
import type { VerifyException, VerifySummary } from '../verify/summary.ts';
import type { ProbeReport } from './probe.ts';
import type { ProgressReading } from './progress.ts';

export type JsonLine =
  | CopyEvent
  | CopySummary
  | PlanSummary
  | VerifySummary
  | ProbeReport
  | ({ readonly event: 'exception' } & VerifyException)
  | ({ readonly event: 'progress' } & ProgressReading)
  | ({ readonly event: 'step' } & Entry)
  | ({ readonly event: 'finding' } & Finding)
  | ({ readonly event: 'engine' } & EngineProgress)
  | MigrationSummary
  | { readonly event: 'metrics'; readonly url: string }
  | { readonly event: 'error'; readonly message: string; readonly hint?: string; readonly exitCode: number };

/** The last line of `migrate --json`. */
interface MigrationSummary {
  readonly event: 'summary';
  /** `done`, `undone`, `stuck-forward` … */
  readonly outcome: Outcome['is'];
  readonly exitCode: number;
  /** What people are told, the most important first. */
  readonly lines: readonly string[];
}

export function jsonLine(line: JsonLine): string {
  return JSON.stringify(line);
}
