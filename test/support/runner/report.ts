/** What a run of tests shows: a line for each file and failures whole, or every test of every file. */
import { isAbsolute } from 'node:path';
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { spec } from 'node:test/reporters';
import { inspect } from 'node:util';
import type { TestEvent, TestEventData } from './run-file.ts';
import { failureTypeOf, Totals } from './totals.ts';

/** A file whose process is gone. */
export interface FileResult {
  /** Below the folder of the groups. */
  readonly name: string;
  readonly events: readonly TestEvent[];
  readonly milliseconds: number;
}

export interface Report {
  file(result: FileResult): void;
  end(closing: readonly string[]): Promise<void>;
}

/** Failures that are shown whole at the end; of more, the names have to do. */
const WHOLE_MAX = 20;
/** Characters of what a broken file printed last. */
const PRINTED_MAX = 4_000;

/** What failed is told at once, as a run may be ended from outside, and once more at the end, where it is looked for. */
export class ShortReport implements Report {
  readonly #output: NodeJS.WritableStream;
  readonly #failures: Failure[] = [];

  constructor(output: NodeJS.WritableStream) {
    this.#output = output;
  }

  file({ name, events, milliseconds }: FileResult): void {
    const totals = new Totals();
    for (const event of events) totals.see(event);
    const mark = totals.failed > 0 ? '✖' : '✔';
    const lines = [`${mark} ${name}: ${totals.line} (${(milliseconds / 1000).toFixed(1)} s)`];
    const failures = failuresOf(name, events).sort(hooksFirst);
    for (const failure of failures) lines.push(`  ✖ ${failure.title}`, indented(wholeOf(failure), 4));
    for (const message of diagnosticsOf(events)) lines.push(`  ℹ ${message}`);
    this.#failures.push(...failures);
    this.#output.write(`${lines.join('\n')}\n`);
  }

  async end(closing: readonly string[]): Promise<void> {
    const lines = closing.map((line) => `ℹ ${line}`);
    if (this.#failures.length > 0) lines.push('', '✖ failing tests:');
    for (const [at, failure] of this.#failures.sort(hooksFirst).entries()) {
      lines.push('', `✖ ${failure.file}: ${failure.title}`);
      const shown = at < WHOLE_MAX ? wholeOf(failure) : withIt(failure);
      if (shown !== '') lines.push(indented(shown, 2));
    }
    this.#output.write(`${lines.join('\n')}\n`);
  }
}

/** Every test with its duration, by node's own reporter. */
export class FullReport implements Report {
  readonly #events = new PassThrough({ objectMode: true });
  readonly #reporter: NodeJS.ReadableStream;

  constructor(output: NodeJS.WritableStream) {
    this.#reporter = this.#events.pipe(new spec());
    this.#reporter.pipe(output, { end: false });
  }

  file({ events }: FileResult): void {
    for (const event of events) this.#events.write(event);
  }

  async end(closing: readonly string[]): Promise<void> {
    for (const message of closing) {
      this.#events.write({ type: 'test:diagnostic', data: { nesting: 0, message, level: 'info' } });
    }
    this.#events.end();
    await finished(this.#reporter);
  }
}

interface Failure {
  readonly file: string;
  /** The names of the suites around it and its own. */
  readonly title: string;
  readonly why: string;
  /** A suite's own hook, or the hook before each of its tests. */
  readonly isHook: boolean;
  /** Tests that never ran to their end because this failed around them: counted as failed, and no reason of anything. */
  readonly cancelled: number;
}

/** By the order of events: those of tests come before those of what is around them. */
function failuresOf(file: string, events: readonly TestEvent[]): Failure[] {
  const names: string[] = [];
  const failures: Failure[] = [];
  const cancelled: Failure[] = [];
  for (const { type, data } of events) {
    const { nesting = 0, name = '' } = data;
    if (type === 'test:start') names.splice(nesting, Number.POSITIVE_INFINITY, name);
    if (type !== 'test:fail' || !isCounted({ type, data })) continue;
    const failureType = failureTypeOf(data);
    const isFile = nesting === 0 && isAbsolute(name);
    const failure = {
      file,
      title: isFile ? 'the file itself' : [...names.slice(0, nesting), name].join(' > '),
      why: isFile ? whyBroken(data, events) : whyOf(data),
      isHook: failureType === 'hookFailed',
      cancelled: 0,
    };
    if (failureType === 'cancelledByParent') cancelled.push(failure);
    else failures.push({ ...failure, cancelled: cancelled.splice(0).length });
  }
  // What nobody has cancelled has nobody to tell of it.
  return [...failures, ...cancelled];
}

/** One hook makes many tests fail, and is the reason that is looked for. */
function hooksFirst(one: Failure, other: Failure): number {
  return Number(other.isHook) - Number(one.isHook);
}

function wholeOf(failure: Failure): string {
  return [failure.why, withIt(failure)].filter((text) => text !== '').join('\n');
}

function withIt({ cancelled }: Failure): string {
  if (cancelled === 0) return '';
  return cancelled === 1
    ? 'and 1 test that was cancelled with it'
    : `and ${cancelled} tests that were cancelled with it`;
}

/** A suite that failed with its tests alone is no failure of its own. */
function isCounted(event: TestEvent): boolean {
  const totals = new Totals();
  totals.see(event);
  return totals.failed > 0;
}

function whyOf({ details }: TestEventData): string {
  const error = details?.error;
  // The runner's own error only wraps what was thrown, or its own sentence.
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return typeof cause === 'string' ? cause : inspect(cause);
}

/** What a file prints says nothing of tests that pass, and everything of a process that broke. */
function whyBroken(data: TestEventData, events: readonly TestEvent[]): string {
  const { error } = data.details ?? {};
  const ended = error instanceof Error && 'exitCode' in error ? error : undefined;
  const how = ended ? `Its process ended: ${inspect(ended, { compact: true })}` : whyOf(data);
  return [how, printedBy(events).slice(-PRINTED_MAX)].join('\n').trimEnd();
}

function diagnosticsOf(events: readonly TestEvent[]): readonly string[] {
  return events.flatMap(({ type, data }) =>
    type === 'test:diagnostic' && data.message !== undefined ? [data.message] : [],
  );
}

function printedBy(events: readonly TestEvent[]): string {
  return events
    .flatMap(({ type, data }) =>
      type === 'test:stdout' || type === 'test:stderr' ? (data.message ?? '') : [],
    )
    .join('');
}

function indented(text: string, spaces: number): string {
  return text.replaceAll(/^(?=.)/gm, ' '.repeat(spaces));
}
