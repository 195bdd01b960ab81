/** The copier as a process of its own that can be killed. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { CopySummary } from '../../../src/core/job.ts';
import { cleanEnvironment, spawnOwned, tail } from '../../support/process.ts';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

/** How far the copier said that it was. */
export type Phase = 'starting' | 'planning' | 'blobs' | 'names' | 'ended';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly phase: Phase;
  readonly summary: CopySummary | undefined;
  /** The end of what it said to people. */
  readonly said: string;
}

export class Copier {
  phase: Phase = 'starting';
  readonly ended: Promise<Ended>;
  readonly #kill: () => void;

  /** @param onEvent is told each event of `--json`. */
  constructor(args: readonly string[], compileCache: string, onEvent: (event: CopierEvent) => void) {
    const child = spawnOwned(process.execPath, [MAIN, ...args], {
      env: cleanEnvironment({
        AWS_ACCESS_KEY_ID: 'testkey',
        AWS_SECRET_ACCESS_KEY: 'testsecret',
        AWS_EC2_METADATA_DISABLED: 'true',
        NODE_COMPILE_CACHE: compileCache,
      }),
    });
    this.#kill = () => child.kill('SIGKILL');
    let summary: CopySummary | undefined;
    const errors: string[] = [];
    if (!child.stdout || !child.stderr) throw new Error('The copier has no output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = eventOf(line);
      if (event?.event === 'summary') summary = event as unknown as CopySummary;
      this.phase = phaseAfter(this.phase, event);
      if (event) onEvent(event);
    });
    createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        resolve({ code, signal, phase: this.phase, summary, said: tail(errors.join('\n'), 6) });
      });
    });
  }

  kill(): void {
    this.#kill();
  }
}

export interface CopierEvent {
  readonly event: string;
  readonly phase?: unknown;
}

/** A line that was cut off by the kill is none. */
function eventOf(line: string): CopierEvent | undefined {
  try {
    return JSON.parse(line) as CopierEvent;
  } catch {
    return undefined;
  }
}

function phaseAfter(phase: Phase, event: CopierEvent | undefined): Phase {
  if (event?.event === 'started') return 'planning';
  if (event?.event === 'summary') return 'ended';
  return event?.event === 'phase' ? (event.phase as Phase) : phase;
}
