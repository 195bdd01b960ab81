/** One test file in a process of its own, which ends in time whatever the tests in it do. */
import { run } from 'node:test';

/** An event of node's test runner, as its reporters take it. */
export interface TestEvent {
  readonly type: string;
  readonly data: TestEventData;
}

export interface TestEventData {
  readonly name?: string;
  readonly nesting?: number;
  readonly file?: string;
  readonly message?: string;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details?: { readonly type?: string; readonly error?: unknown; readonly duration_ms?: number };
}

export interface FileLimits {
  /** For each test and hook that has no limit of its own. */
  readonly testMs: number;
  /** For the whole file. */
  readonly fileMs: number;
  /** From the end of the last test to the end of the process. */
  readonly exitMs: number;
}

/**
 * Resolves when the file's process is gone. Events come in order. A file without any test is a failure: it proves
 * nothing. So is a process that does not end after its tests, because it left something open.
 */
export async function runFile(
  file: string,
  limits: FileLimits,
  stopped: AbortSignal,
  onEvent: (event: TestEvent) => void,
): Promise<void> {
  const watch = new Watch(limits);
  const stream = run({
    files: [file],
    timeout: limits.testMs,
    signal: AbortSignal.any([watch.signal, stopped]),
  });
  try {
    for await (const event of stream as AsyncIterable<TestEvent>) {
      watch.see(event, file);
      const shown = ofFile(event, file);
      if (shown !== undefined) onEvent(shown);
    }
  } finally {
    watch.close();
  }
}

/** The event to show: none for what the runner says about its own run, a failure where a file had no test. */
function ofFile(event: TestEvent, file: string): TestEvent | undefined {
  const { type, data } = event;
  // Sums over this one file; the totals come at the end, over all files.
  if (data.file === undefined && ['test:diagnostic', 'test:plan', 'test:summary'].includes(type))
    return undefined;
  if (!isTheFile(data, file)) return event;
  // The runner passes a file of no tests as if it were a test; a file with tests is only mentioned if it broke.
  if (type !== 'test:pass') return type === 'test:fail' || type === 'test:start' ? event : undefined;
  const error = new Error('There is no test in this file', { cause: 'There is no test in this file' });
  return { type: 'test:fail', data: { ...data, details: { ...data.details, error } } };
}

function isTheFile(data: TestEventData, file: string): boolean {
  return data.nesting === 0 && data.name === file;
}

/** Aborts when the file takes too long, or when its tests are done and its process is not. */
class Watch {
  readonly #controller = new AbortController();
  readonly #exitMs: number;
  readonly #fileTimer: NodeJS.Timeout;
  #exitTimer: NodeJS.Timeout | undefined;
  #openTests = 0;
  #endedTests = 0;

  constructor(limits: FileLimits) {
    this.#exitMs = limits.exitMs;
    this.#fileTimer = setTimeout(() => {
      this.#abort(`It took longer than ${limits.fileMs / 1000} seconds`);
    }, limits.fileMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  see({ type, data }: TestEvent, file: string): void {
    clearTimeout(this.#exitTimer);
    if (data.nesting === 0 && !isTheFile(data, file)) {
      if (type === 'test:enqueue') this.#openTests += 1;
      if (type === 'test:pass' || type === 'test:fail') {
        this.#openTests -= 1;
        this.#endedTests += 1;
      }
    }
    // Before its first test a file may load for long, and blocks its own thread while it does.
    if (this.#openTests > 0 || this.#endedTests === 0) return;
    this.#exitTimer = setTimeout(() => {
      this.#abort(
        `It did not end within ${this.#exitMs / 1000} seconds after its last test: something is open`,
      );
    }, this.#exitMs);
  }

  close(): void {
    clearTimeout(this.#exitTimer);
    clearTimeout(this.#fileTimer);
  }

  #abort(reason: string): void {
    this.#controller.abort(new Error(reason));
  }
}
