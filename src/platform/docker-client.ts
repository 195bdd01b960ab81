/** One call of the `docker` command: bounded in time and in what it may say. */
import { type ChildProcess, spawn } from 'node:child_process';
import { saidSafely } from '../drivers/http/said.ts';
import { ContainerError } from './container.ts';

export interface DockerAccess {
  /** With PATH, where `docker` is looked for, and whatever that needs (DOCKER_HOST …). */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What no message may repeat. */
  readonly secrets: readonly string[];
}

export interface DockerCall {
  readonly args: readonly string[];
  readonly msMax: number;
  /** Variables beside those of the environment: secrets that the arguments name. */
  readonly secretEnv?: Readonly<Record<string, string>>;
  /** Open files; default: nothing goes in, and what comes out is kept. */
  readonly stdin?: number | undefined;
  readonly stdout?: number | undefined;
}

export interface DockerAnswer {
  /** Of the client; null where it was ended. */
  readonly exitCode: number | null;
  readonly stdout: string;
  /** The last lines on standard error, without secrets. */
  readonly log: readonly string[];
}

const KEPT_BYTES_MAX = 1024 * 1024;
const LOG_LINES_MAX = 20;

/**
 * Ends the client, and not the container, when the signal aborts or the time is over: in a process group of its own it
 * does not get the terminal's Ctrl-C, which it would pass on.
 * @throws ContainerError of kind `missing` or `timeout`; the signal's reason.
 */
export async function callDocker(
  access: DockerAccess,
  call: DockerCall,
  signal: AbortSignal,
): Promise<DockerAnswer> {
  signal.throwIfAborted();
  const inTime = AbortSignal.timeout(Math.min(call.msMax, 2 ** 31 - 1));
  const child = spawn('docker', [...call.args], {
    env: { ...access.env, ...call.secretEnv },
    stdio: [call.stdin ?? 'ignore', call.stdout ?? 'pipe', 'pipe'],
    detached: true,
  });
  const stdout = tailOf(child.stdout);
  const stderr = tailOf(child.stderr);
  const end = (): void => endGroup(child);
  const either = AbortSignal.any([signal, inTime]);
  either.addEventListener('abort', end, { once: true });
  try {
    const exitCode = await closed(child);
    signal.throwIfAborted();
    if (inTime.aborted) throw late(call);
    return { exitCode, stdout: stdout().text, log: safeLines(stderr(), access.secrets) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ContainerError) throw error;
    const reason =
      error instanceof Error ? saidSafely(error.message, access.secrets) : 'it could not be started';
    throw new ContainerError('missing', `The command "docker" cannot be run: ${reason}`, {
      hint: 'Install the Docker client where blobferry runs, on the MKE node, or write "cli: print"',
    });
  } finally {
    either.removeEventListener('abort', end);
  }
}

/** With whatever it has begun itself, such as a helper for credentials: that would keep its output open. */
function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function closed(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
}

interface Tail {
  readonly text: string;
  readonly isCut: boolean;
}

function tailOf(stream: NodeJS.ReadableStream | null): () => Tail {
  let kept: Buffer = Buffer.alloc(0);
  let isCut = false;
  stream?.on('data', (bytes: Buffer) => {
    kept = Buffer.concat([kept, bytes]);
    if (kept.length <= KEPT_BYTES_MAX) return;
    isCut = true;
    kept = kept.subarray(kept.length - KEPT_BYTES_MAX / 2);
  });
  return () => ({ text: kept.toString('utf8'), isCut });
}

/** Where the beginning was cut off, the first line may begin in the middle of a secret. */
function safeLines({ text, isCut }: Tail, secrets: readonly string[]): readonly string[] {
  const lines = text.split('\n').slice(isCut ? 1 : 0);
  const said = lines.filter((line) => line.trim() !== '').slice(-LOG_LINES_MAX);
  return said.map((line) => saidSafely(line, secrets));
}

function late({ args, msMax }: DockerCall): ContainerError {
  const what = `docker ${args[0] ?? ''}`;
  return new ContainerError('timeout', `"${what}" has not ended within ${Math.round(msMax / 1000)} s`, {
    hint: 'Look at what Docker is doing with docker ps; a container that runs is waited for by the next run',
  });
}
