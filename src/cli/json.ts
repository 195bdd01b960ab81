/** `--json`: one object per line on stdout, the last one the summary, or the error that came instead of it. */
import type { CopyEvent } from '../core/events.ts';
import type { CopySummary } from '../core/job.ts';
import type { PlanSummary } from '../plan/summary.ts';
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
  | { readonly event: 'metrics'; readonly url: string }
  | { readonly event: 'error'; readonly message: string; readonly hint?: string; readonly exitCode: number };

export function jsonLine(line: JsonLine): string {
  return JSON.stringify(line);
}
