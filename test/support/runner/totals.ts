/** Counts what happened, once per test; a test that did not run never counts as passed. */
import type { TestEvent, TestEventData } from './run-file.ts';

export class Totals {
  passed = 0;
  /** Cancelled tests and hooks that failed are failures too. */
  failed = 0;
  skipped = 0;
  suites = 0;
  /** Reasons of skips and how many tests or suites each stopped. */
  readonly skipReasons = new Map<string, number>();

  see({ type, data }: TestEvent): void {
    if (type === 'test:pass') this.#pass(data);
    if (type === 'test:fail') this.#fail(data);
  }

  get tests(): number {
    return this.passed + this.failed + this.skipped;
  }

  /** The line by which a run is judged; always the last one. */
  get line(): string {
    const skipped = this.skipped > 0 ? `, ${this.skipped} skipped` : '';
    return `${this.passed} passed, ${this.failed} failed${skipped}`;
  }

  /** A run without a test proves nothing. */
  get isGood(): boolean {
    return this.failed === 0 && this.passed > 0;
  }

  #pass(data: TestEventData): void {
    const isSuite = data.details?.type === 'suite';
    if (isSuite) this.suites += 1;
    // A skipped suite hides its tests: it counts as one.
    if (isNotRun(data)) this.#skip(data);
    else if (!isSuite) this.passed += 1;
  }

  #fail(data: TestEventData): void {
    const isSuite = data.details?.type === 'suite';
    if (isSuite) this.suites += 1;
    if (isNotRun(data)) this.#skip(data);
    // A suite fails with its tests, which are counted, or by itself, which is not yet: a hook that threw.
    else if (!isSuite || !failedByItsTests(data)) this.failed += 1;
  }

  #skip(data: TestEventData): void {
    this.skipped += 1;
    const said = data.skip ?? data.todo;
    const reason = typeof said === 'string' && said !== '' ? said : 'no reason given';
    this.skipReasons.set(reason, (this.skipReasons.get(reason) ?? 0) + 1);
  }
}

function isNotRun(data: TestEventData): boolean {
  return isSaid(data.skip) || isSaid(data.todo);
}

function isSaid(value: string | boolean | undefined): boolean {
  return value !== undefined && value !== false;
}

/** Also one that was cancelled with what is around it: each of its tests says so too, and the reason is there. */
function failedByItsTests(data: TestEventData): boolean {
  const type = failureTypeOf(data);
  return type === 'subtestsFailed' || type === 'cancelledByParent';
}

/** As node's runner names it, such as `hookFailed`; undefined for what did not fail in a test. */
export function failureTypeOf({ details }: TestEventData): unknown {
  const error = details?.error;
  return error instanceof Error && 'failureType' in error ? error.failureType : undefined;
}
