/**
 * Runs commands in containers through the `docker` client. A container outlives the client that started it: so one of the
 * same name is looked for first, what counts is how the container ended and not the client, and none is removed before its
 * effect was seen.
 */
import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type ContainerEnd,
  ContainerError,
  type ContainerRunner,
  type ContainerSpec,
  demandHarmless,
  listsFlag,
  runArguments,
} from './container.ts';
import { callDocker, type DockerAccess, type DockerAnswer } from './docker-client.ts';

/** For looking and tidying up, as opposed to the work itself. */
const LOOK_MS_MAX = 60_000;
/** Its image may have to be pulled first. */
const HELP_MS_MAX = 15 * 60_000;

interface Found {
  readonly isRunning: boolean;
  readonly exitCode: number;
}

export class Docker implements ContainerRunner {
  readonly #access: DockerAccess;

  constructor(access: DockerAccess) {
    this.#access = access;
  }

  /**
   * One that runs already is waited for, one that has ended well is believed. One that failed is removed and run again,
   * and so is one whose output went to a program that is no more: whoever calls has looked at what is so.
   */
  async run(spec: ContainerSpec, signal: AbortSignal): Promise<ContainerEnd> {
    demandHarmless(spec);
    const before = await this.#ended(spec, signal);
    if (before?.exitCode === 0 && spec.stdoutFile === undefined) return { wasThere: true };
    if (before) await this.remove(spec.name, signal);
    const answer = await this.#start(spec, signal);
    const after = await this.#endOf(spec, signal);
    if (after?.exitCode !== 0) throw await this.#failure(spec, answer, after, signal);
    if (spec.stdoutFile !== undefined) keep(spec.stdoutFile);
    return { wasThere: false };
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    if (!(await this.#find(name, signal))) return;
    const answer = await this.#look(['rm', name], signal);
    if (answer.exitCode === 0 || !(await this.#find(name, signal))) return;
    throw new ContainerError('refused', `The container ${name} cannot be removed: ${lastOf(answer.log)}`, {
      hint: `Remove it with: docker rm ${name}`,
      log: answer.log,
    });
  }

  async past(spec: ContainerSpec, signal: AbortSignal): Promise<'none' | 'ended-well' | 'failed'> {
    const found = await this.#ended(spec, signal);
    if (!found || found.exitCode === -1) return 'none';
    return found.exitCode === 0 ? 'ended-well' : 'failed';
  }

  async knowsFlag(
    image: string,
    command: readonly string[],
    flag: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    return listsFlag(await this.help(image, command, signal), flag);
  }

  /** What a command says of itself, which needs nobody's rights. @returns its standard output, at most 1 MiB. */
  async help(image: string, command: readonly string[], signal: AbortSignal): Promise<string> {
    const args = ['run', '--rm', image, ...command];
    const answer = await callDocker(this.#access, { args, msMax: HELP_MS_MAX }, signal);
    if (answer.exitCode === 0) return answer.stdout;
    const what = `docker run ${image} ${command.join(' ')}`;
    throw new ContainerError('refused', `"${what}" failed: ${lastOf(answer.log)}`, { log: answer.log });
  }

  /** The same once it was begun: where Docker says nothing any more, it may still be at work. */
  async #endOf(spec: ContainerSpec, signal: AbortSignal): Promise<Found | undefined> {
    try {
      return await this.#ended(spec, signal);
    } catch (error) {
      if (!(error instanceof ContainerError) || error.mayHaveActed) throw error;
      const { message, hint, log } = error;
      const told = `How the container ${spec.name} ended is not known: ${message}`;
      throw new ContainerError('unknown', told, {
        ...(hint === undefined ? {} : { hint }),
        log,
        cause: error,
      });
    }
  }

  /** Waits for the end of a container that runs. Undefined: there is none. */
  async #ended(spec: ContainerSpec, signal: AbortSignal): Promise<Found | undefined> {
    const found = await this.#find(spec.name, signal);
    if (!found?.isRunning) return found;
    await callDocker(this.#access, { args: ['wait', spec.name], msMax: spec.msMax }, signal);
    return await this.#find(spec.name, signal);
  }

  async #find(name: string, signal: AbortSignal): Promise<Found | undefined> {
    const list = await this.#look(['ps', '-a', '--filter', `name=${name}`, '--format', '{{.Names}}'], signal);
    if (list.exitCode !== 0) {
      throw new ContainerError('missing', `Docker does not answer: ${lastOf(list.log)}`, {
        hint: 'Check that its daemon runs, and that this user may use it',
        log: list.log,
      });
    }
    // The filter finds names that only hold this one.
    if (!list.stdout.split('\n').includes(name)) return undefined;
    const format = '{{.State.Status}} {{.State.ExitCode}}';
    const { stdout, exitCode, log } = await this.#look(['inspect', '--format', format, name], signal);
    const [, status = '', code = ''] = /^([a-z]+) (\d+)$/.exec(stdout.trim()) ?? [];
    if (exitCode !== 0 || status === '') {
      throw new ContainerError('missing', `Docker does not tell how ${name} is: ${lastOf(log)}`, { log });
    }
    // One that was made and never started has done nothing, whatever its exit code says.
    const isOver = ['exited', 'dead'].includes(status);
    if (status === 'created') return { isRunning: false, exitCode: -1 };
    return { isRunning: !isOver, exitCode: Number(code) };
  }

  async #look(args: readonly string[], signal: AbortSignal): Promise<DockerAnswer> {
    return await callDocker(this.#access, { args, msMax: LOOK_MS_MAX }, signal);
  }

  async #start(spec: ContainerSpec, signal: AbortSignal): Promise<DockerAnswer> {
    const { stdinFile, stdoutFile, msMax } = spec;
    const secretEnv = this.#secretsFor(spec);
    const opened: number[] = [];
    const open = (file: string, flags: string): number => {
      const descriptor = openFile(file, flags);
      opened.push(descriptor);
      return descriptor;
    };
    try {
      const stdin = stdinFile === undefined ? undefined : open(stdinFile, 'r');
      // What was there may be readable by others, and would stay so.
      if (stdoutFile !== undefined) await rm(partial(stdoutFile), { force: true });
      const stdout = stdoutFile === undefined ? undefined : open(partial(stdoutFile), 'wx');
      const call = { args: runArguments(spec), msMax, secretEnv, stdin, stdout };
      const answer = await callDocker(this.#access, call, signal);
      if (stdout !== undefined) fsyncSync(stdout);
      return answer;
    } finally {
      for (const descriptor of opened) closeSync(descriptor);
    }
  }

  #secretsFor({ secretEnv }: ContainerSpec): Readonly<Record<string, string>> {
    return Object.fromEntries(
      Object.entries(secretEnv).map(([inside, here]) => {
        const secret = this.#access.env[here];
        if (secret) return [inside, secret];
        throw new ContainerError('refused', `The environment variable ${here} is not set`);
      }),
    );
  }

  async #failure(
    { name, command, stdoutFile }: ContainerSpec,
    answer: DockerAnswer,
    found: Found | undefined,
    signal: AbortSignal,
  ): Promise<ContainerError> {
    const what = `"${command[0] ?? ''}" in the container ${name}`;
    if (found === undefined || found.exitCode === -1) {
      const hint = 'Check the name of the image, and that it is on this host or can be pulled';
      return new ContainerError('refused', `${what} could not be started: ${lastOf(answer.log)}`, {
        hint,
        log: answer.log,
      });
    }
    // A client that was cut off has not said everything; a container without a log has nothing else to say.
    const logs = await this.#look(['logs', '--tail', '20', name], signal);
    const log = logs.exitCode === 0 && logs.log.length > 0 ? logs.log : answer.log;
    // Where what it writes is a file, there is no log: the backup would be in it.
    const hint =
      stdoutFile === undefined
        ? `Its log is shown by: docker logs ${name}`
        : `Mend that, take it away with: docker rm ${name}; then run the same migration again`;
    return new ContainerError('failed', `${what} failed (exit code ${found.exitCode}): ${lastOf(log)}`, {
      hint,
      log,
    });
  }
}

/** Until the container has ended well nobody shall take it for a whole one. */
function partial(file: string): string {
  return `${file}.partial`;
}

function keep(file: string): void {
  try {
    renameSync(partial(file), file);
    // The name survives a power cut as well.
    const folder = openSync(dirname(file), 'r');
    fsyncSync(folder);
    closeSync(folder);
  } catch (error) {
    throw fileError(file, error);
  }
}

function openFile(file: string, flags: string): number {
  try {
    return openSync(file, flags, 0o600);
  } catch (error) {
    throw fileError(file, error);
  }
}

function fileError(file: string, error: unknown): ContainerError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ContainerError('file', `Cannot use the file "${file}": ${reason}`, { cause: error });
}

function lastOf(log: readonly string[]): string {
  return (log.at(-1) ?? 'it says nothing').replace(/\.$/, '');
}
