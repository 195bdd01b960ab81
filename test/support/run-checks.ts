/** What tests ask of a finished run of `blobferry`, with everything it said in the message when it is not so. */
import assert from 'node:assert/strict';
import type { CliEvent, CliResult } from './cli.ts';

/** The summary of a run that ended with this exit code. */
export function summaryOf(result: CliResult, exitCode: number): CliEvent {
  const said = `\nstdout: ${result.stdout}\nstderr: ${result.stderr}`;
  assert.equal(result.code, exitCode, `exit code ${result.code} instead of ${exitCode}${said}`);
  assert.ok(result.summary, `the last line is no summary${said}`);
  return result.summary;
}

/** A summary's fields by name, for one comparison that shows all differences at once. */
export function fieldsOf<Name extends string>(
  summary: CliEvent,
  expected: Readonly<Record<Name, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.keys(expected).map((name) => [name, summary[name]]));
}

/** The paths a summary names as exceptions. */
export function exceptionPaths(summary: CliEvent): readonly string[] {
  const exceptions = summary['exceptions'];
  assert.ok(Array.isArray(exceptions), 'the summary has no exceptions');
  return exceptions.map((exception: { readonly path: string }) => exception.path);
}
