/** What the demo tells, and what it takes for granted: every claim that does not hold is kept and ends it with 1. */
import { styleText } from 'node:util';
import type { Paint } from '../../src/cli/output.ts';

const INDENT = '   ';

export class Story {
  readonly #problems: string[] = [];
  #chapter = 0;

  get problems(): readonly string[] {
    return this.#problems;
  }

  readonly paint: Paint = (style, text) => {
    const formats = { good: 'green', bad: 'red', warn: 'yellow', strong: 'bold', faint: 'dim' } as const;
    return styleText(formats[style], text, { stream: process.stdout });
  };

  title(text: string): void {
    console.log(`\n${this.paint('strong', text)}\n`);
  }

  chapter(text: string): void {
    this.#chapter += 1;
    console.log(`${this.paint('strong', String(this.#chapter))}  ${text}`);
  }

  command(text: string): void {
    this.chapter(`${this.paint('faint', '$')} ${text}\n`);
  }

  /** Lines below a chapter. */
  tell(text: string): void {
    console.log(`${text.replace(/^(?=.)/gm, INDENT)}\n`);
  }

  expect(what: string, actual: unknown, expected: unknown): void {
    if (actual !== expected) this.#problems.push(`${what}: ${String(actual)} instead of ${String(expected)}`);
  }

  fail(problem: string): void {
    this.#problems.push(problem);
  }
}
