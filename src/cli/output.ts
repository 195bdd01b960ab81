/** Where words go: results to stdout, everything else to stderr, and at most one live line at the foot of a terminal. */
import type { Readable, Writable } from 'node:stream';
import { styleText } from 'node:util';

export interface Host {
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where answers come from; undefined: nobody can be asked. */
  readonly stdin?: Readable;
}

export type Style = 'good' | 'bad' | 'warn' | 'strong' | 'faint';
export type Paint = (style: Style, text: string) => string;

const FORMATS = { good: 'green', bad: 'red', warn: 'yellow', strong: 'bold', faint: 'dim' } as const;

export class Output {
  readonly #host: Host;
  #live = '';
  #lost: Error | undefined;

  constructor(host: Host) {
    this.#host = host;
    // A reader that goes away (`| head`) ends the words, not the work.
    host.stderr.on('error', () => undefined);
    host.stdout.on('error', (error) => {
      this.#lost ??= error;
    });
  }

  /** Waits until stdout has taken everything. @returns why results were lost, undefined where none were. */
  async lost(): Promise<Error | undefined> {
    await new Promise<void>((resolve) => {
      this.#host.stdout.write('', () => resolve());
    });
    // The error is told after the callbacks of the writes that met it.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    return this.#lost;
  }

  /** May a line be redrawn? */
  get isLive(): boolean {
    return this.#host.stderr.isTTY === true && this.#host.env['TERM'] !== 'dumb';
  }

  get columns(): number {
    return this.#host.stderr.columns ?? 80;
  }

  /** Colours for text that goes to stdout; plain where stdout is no terminal or NO_COLOR is set. */
  get paint(): Paint {
    const { stdout, env } = this.#host;
    if (stdout.isTTY !== true || env['NO_COLOR'] || env['TERM'] === 'dumb') return (_, text) => text;
    return (style, text) => styleText(FORMATS[style], text, { validateStream: false });
  }

  /** A result, to stdout. */
  print(text: string): void {
    this.#aside(() => this.#host.stdout.write(`${text}\n`));
  }

  /** A remark, to stderr. */
  say(text: string): void {
    this.#aside(() => this.#host.stderr.write(`${text}\n`));
  }

  /** Replaces the live line; an empty one removes it. */
  showLive(line: string): void {
    if (line === this.#live) return;
    this.#host.stderr.write(`\r\u001b[2K${line}`);
    this.#live = line;
  }

  /** Writes while the live line is out of the way. */
  #aside(write: () => void): void {
    const line = this.#live;
    if (line !== '') this.showLive('');
    write();
    if (line !== '') this.showLive(line);
  }
}
