/** Runs commands and servers for tests: output is kept, servers are probed until ready and never outlive the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { listensOn } from './ports.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  /** The whole environment of the command; default: `cleanEnvironment()`. */
  readonly env?: Environment;
  /** Default 300,000; the command is ended hard after that and the call rejects. */
  readonly timeoutMs?: number;
  /** Its standard input is a pipe; default: there is none. */
  readonly hasInput?: boolean;
}

/**
 * What programs need to run at all, and what Node has compiled before: a third of a second less for each. Nothing else is passed on: credentials, proxies and `AWS_CA_BUNDLE` (on which
 * programs with version 1 of the AWS SDK for Go stop) of whoever runs the tests must not change what a test sees.
 */
export function cleanEnvironment(more: Environment = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const name of ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LC_ALL', 'USER', 'NODE_COMPILE_CACHE']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  for (const [name, value] of Object.entries(more)) if (value !== undefined) env[name] = value;
  return env;
}

/** Runs a command to its end, whatever its exit code. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? 300_000;
  const child = spawnOwned(command, args, options);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  try {
    const { code, signal } = await exitOf(child, command, 'close');
    if (isLate) throw new Error(`"${command}" did not end within ${timeoutMs} ms: ${tail(stderr())}`);
    return { code, signal, stdout: stdout(), stderr: stderr() };
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a command that must succeed. */
export async function mustRun(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await runCommand(command, args, options);
  if (result.code !== 0) {
    const why = tail(result.stderr) || tail(result.stdout);
    throw new Error(`"${command} ${args.join(' ')}" ended with ${result.code ?? result.signal}: ${why}`);
  }
  return result;
}

export interface ServerOptions extends CommandOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Asked again and again until it says true; a rejection counts as not yet. */
  readonly isReady: (signal: AbortSignal) => Promise<boolean>;
  /** On 127.0.0.1, where the probe asks. An answer of somebody else there is "address already in use". */
  readonly port?: number;
  /** Default 240,000: a busy machine with a cold disk takes its time, and what hangs the limit of the test ends. */
  readonly readyWithinMs?: number;
  /** How long the server may take to end by itself when stopped; then it is ended hard. Default 5,000. */
  readonly endsWithinMs?: number;
}

export interface ServerProcess {
  readonly pid: number;
  /** Everything it printed so far, both streams. */
  output(): string;
  /** Ends exactly this process and waits until it is gone; may be called twice. */
  stop(): Promise<void>;
}

const PROBE_PAUSE_MS = 50;
const PROBE_MS = 20_000;

/** Starts a server and resolves when its probe succeeds; rejects with its output when it ends or stays silent. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const { command, args } = options;
  const child = spawnOwned(command, args, options);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const output = (): string => stdout() + stderr();
  const exited = exitOf(child, command, 'exit');
  const stop = (): Promise<void> => stopChild(child, exited, options.endsWithinMs ?? 5_000);
  try {
    await untilReady(options, child.pid, exited);
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`"${command}" did not get ready: ${reason}\n${tail(output(), 20)}`, { cause: error });
  }
  if (child.pid === undefined) throw new Error(`"${command}" has no process id`);
  return { pid: child.pid, output, stop };
}

async function untilReady(
  options: ServerOptions,
  pid: number | undefined,
  exited: Promise<Exit>,
): Promise<void> {
  const withinMs = options.readyWithinMs ?? 240_000;
  const deadline = AbortSignal.timeout(withinMs);
  let ended: string | undefined;
  exited.then(
    ({ code, signal }) => {
      ended = `it ended with ${code ?? signal}`;
    },
    (error: unknown) => {
      ended = String(error);
    },
  );
  for (;;) {
    if (ended !== undefined) throw new Error(ended);
    if (deadline.aborted) throw new Error(`no answer within ${withinMs} ms`);
    if (await options.isReady(probeUntil(deadline)).catch(() => false)) {
      const isOwn = pid === undefined || options.port === undefined || listensOn(pid, options.port);
      if (isOwn !== false) return;
      throw new Error(`address already in use: somebody else answers on port ${options.port}`);
    }
    await delay(PROBE_PAUSE_MS);
  }
}

/** A probe that nobody answers is asked again: the first one may have come too early to be heard. */
function probeUntil(deadline: AbortSignal): AbortSignal {
  return AbortSignal.any([deadline, AbortSignal.timeout(PROBE_MS)]);
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

function exitOf(child: ChildProcess, command: string, event: 'exit' | 'close'): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`Cannot start "${command}"`, { cause: error })));
    child.once(event, (code: number | null, signal: NodeJS.Signals | null) => resolve({ code, signal }));
  });
}

async function stopChild(child: ChildProcess, exited: Promise<Exit>, withinMs: number): Promise<void> {
  const ended = exited.catch(() => undefined);
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    await ended;
    return;
  }
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
  await ended;
  clearTimeout(timer);
}

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

/**
 * Starts a child that does not outlive this process. `setpriv` replaces itself with the command, so the process id is
 * the command's own, and asks the kernel to end it with its parent: that holds even when a test is killed hard. Where
 * there is no setpriv (it is Linux's), the exit hook covers every other end.
 */
export function spawnOwned(command: string, args: readonly string[], options: CommandOptions): ChildProcess {
  const wrapped =
    SETPRIV === undefined ? [command, ...args] : [SETPRIV, '--pdeathsig', 'KILL', '--', command, ...args];
  const [file = command, ...rest] = wrapped;
  const child = spawn(file, rest, {
    cwd: options.cwd,
    env: { ...(options.env ?? cleanEnvironment()) },
    stdio: [options.hasInput === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  child.once('exit', () => living.delete(child));
  child.once('error', () => living.delete(child));
  return child;
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

/** The last lines of some output, for messages. */
export function tail(text: string, lines = 5): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}
