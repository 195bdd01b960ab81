/** What a run of tests shows: a line for each file and failures whole, or every test of every file. */
import { isAbsolute } from 'node:path';
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { spec } from 'node:test/reporters';
import { inspect } from 'node:util';
import type { TestEvent, TestEventData } from './run-file.ts';
import { Totals } from './totals.ts';

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
    const failures = failuresOf(name, events);
    for (const { title, why } of failures) lines.push(`  ✖ ${title}`, indented(why, 4));
    for (const message of diagnosticsOf(events)) lines.push(`  ℹ ${message}`);
    this.#failures.push(...failures);
    this.#output.write(`${lines.join('\n')}\n`);
  }

  async end(closing: readonly string[]): Promise<void> {
    const lines = closing.map((line) => `ℹ ${line}`);
    if (this.#failures.length > 0) lines.push('', '✖ failing tests:');
    for (const [at, { file, title, why }] of this.#failures.entries()) {
      lines.push('', `✖ ${file}: ${title}`);
      if (at < WHOLE_MAX) lines.push(indented(why, 2));
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
}

function failuresOf(file: string, events: readonly TestEvent[]): readonly Failure[] {
  const names: string[] = [];
  return events.flatMap(({ type, data }) => {
    const { nesting = 0, name = '' } = data;
    if (type === 'test:start') names.splice(nesting, Number.POSITIVE_INFINITY, name);
    if (type !== 'test:fail' || !isCounted({ type, data })) return [];
    if (nesting === 0 && isAbsolute(name))
      return [{ file, title: 'the file itself', why: whyBroken(data, events) }];
    const title = [...names.slice(0, nesting), name].join(' > ');
    return [{ file, title, why: whyOf(data) }];
  });
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
