/** Runs `blobferry` as a user does: a process of its own, from the sources, judged by its output and exit code. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cleanEnvironment, type Environment, spawnOwned, tail } from './process.ts';
import { processTempFolder } from './temp.ts';

export interface CliOptions {
  /** Added to an environment that has no credentials and a state folder which only this test process uses. */
  readonly env?: Environment;
  /** Called with each line as it comes, stdout and stderr alike. */
  readonly onLine?: (line: string) => void;
  /** Answers each question: the lines since the last one, the question itself the last of them. Default: nobody does. */
  readonly answer?: (lines: readonly string[]) => Promise<string>;
  /** When it aborts, the program gets what Ctrl-C sends: SIGINT. */
  readonly signal?: AbortSignal;
  /** Or this instead. */
  readonly stopWith?: NodeJS.Signals;
  /** Default 300,000; the program is ended hard after that and the call rejects. */
  readonly timeoutMs?: number;
  /** Default: the folder of the sources. */
  readonly cwd?: string;
  /** A command that becomes the program, such as `setpriv …`. */
  readonly through?: readonly string[];
}

/** One line of `--json`. */
export interface CliEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface CliResult {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Lines of stdout that are JSON objects with an `event`. */
  readonly events: readonly CliEvent[];
  /** The last event, where that is the summary. */
  readonly summary: CliEvent | undefined;
  /** From start to end, as the user waited. */
  readonly seconds: number;
}

const SOURCES = fileURLToPath(new URL('../..', import.meta.url));

let stateFolder: string | undefined;

export async function runBlobferry(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  stateFolder ??= processTempFolder('state');
  const started = performance.now();
  const [command = process.execPath, ...rest] = [
    ...(options.through ?? []),
    process.execPath,
    join(SOURCES, 'src/cli/main.ts'),
    ...args,
  ];
  const child = spawnOwned(command, rest, {
    cwd: options.cwd ?? SOURCES,
    env: cleanEnvironment({ XDG_STATE_HOME: stateFolder, ...withoutAmazon(), ...options.env }),
    hasInput: options.answer !== undefined,
  });
  const asked = answering(child, options);
  const timeoutMs = options.timeoutMs ?? 300_000;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const interrupt = (): boolean => child.kill(options.stopWith ?? 'SIGINT');
  options.signal?.addEventListener('abort', interrupt, { once: true });
  try {
    const lines = (stream: NodeJS.ReadableStream | null): Promise<readonly string[]> =>
      gatherLines(stream, (line) => {
        options.onLine?.(line);
        if (stream === child.stderr) asked.hear(line);
      });
    const closed = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const [stdout, stderr, code] = await Promise.all([lines(child.stdout), lines(child.stderr), closed]);
    await asked.done();
    if (isLate)
      throw new Error(`blobferry did not end within ${timeoutMs} ms: ${tail(stderr.join('\n'), 10)}`);
    const events = stdout.flatMap(parseEvent);
    const last = events.at(-1);
    return {
      code,
      stdout: stdout.join('\n'),
      stderr: stderr.join('\n'),
      events,
      summary: last?.event === 'summary' ? last : undefined,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', interrupt);
  }
}

/** Whoever sits at the terminal: thinks about one question at a time. */
function answering(child: ChildProcess, { answer }: CliOptions) {
  let lines: string[] = [];
  let thinking: Promise<void> = Promise.resolve();
  return {
    hear: (line: string): void => {
      lines.push(line);
      if (!answer || !line.endsWith('[yes/no]')) return;
      const asked = lines;
      lines = [];
      thinking = thinking.then(async () => void child.stdin?.write(`${await answer(asked)}\n`));
      // Told by done(); without an answer the program would wait for ever.
      thinking.catch(() => child.kill('SIGKILL'));
    },
    done: (): Promise<void> => thinking,
  };
}

/** No credentials from whoever runs the tests, and no waiting for a cloud's metadata service that is not there. */
function withoutAmazon(): Environment {
  return {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/nonexistent/aws-config',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent/aws-credentials',
  };
}

async function gatherLines(
  stream: NodeJS.ReadableStream | null,
  onLine: ((line: string) => void) | undefined,
): Promise<readonly string[]> {
  const lines: string[] = [];
  if (stream === null) return lines;
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    lines.push(line);
    onLine?.(line);
  }
  return lines;
}

function parseEvent(line: string): readonly CliEvent[] {
  if (!line.startsWith('{')) return [];
  try {
    const value: unknown = JSON.parse(line);
    const isEvent = typeof value === 'object' && value !== null && 'event' in value;
    return isEvent ? [value as CliEvent] : [];
  } catch {
    return [];
  }
}
