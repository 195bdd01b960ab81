/** Runs one command line: arguments in, words to the host's streams, exit code out. */
import { readFileSync } from 'node:fs';
import { type Command, CommanderError } from 'commander';
import { Asker } from './ask.ts';
import type { CommandContext } from './context.ts';
import {
  EXIT_INCOMPLETE,
  EXIT_STOPPED,
  EXIT_USAGE,
  exitCodeOfFailure,
  failureText,
  tellFailure,
} from './failure.ts';
import { jsonLine } from './json.ts';
import { type Host, Output } from './output.ts';
import { PACKAGE_URL } from './own-files.ts';
import { buildProgram } from './program.ts';
import { listenForStop } from './stop.ts';

/** @returns the exit code; never rejects. */
export async function runCli(argv: readonly string[], host: Host): Promise<number> {
  const output = new Output(host);
  const exitCode = await runCommandLine(argv, host, output);
  const lost = await output.lost();
  if (lost === undefined) return exitCode;
  // Whoever closes a pipe (`| head`) has seen enough; a full disk is news.
  if (!('code' in lost && lost.code === 'EPIPE')) {
    output.say(`blobferry: stdout took not all of the results: ${lost.message}`);
    output.say(
      '  What was done is done; run again with an output that can be written to see what it came to',
    );
  }
  return exitCode === 0 ? EXIT_INCOMPLETE : exitCode;
}

async function runCommandLine(argv: readonly string[], host: Host, output: Output): Promise<number> {
  const stopper = listenForStop({
    onStop: () =>
      output.say(
        'Stopping: what is in flight is given up, nothing half-written stays (again to exit at once)',
      ),
  });
  let asker: Asker | undefined;
  const context: CommandContext = {
    output,
    env: host.env,
    asker: () => {
      asker ??= new Asker(host.stdin, output);
      return asker;
    },
    signal: stopper.signal,
    version: readVersion(),
  };
  let isJson = false;
  let exitCode = 0;
  // Commands are imported when they run: the help of one should not load the S3 client of another.
  const program = buildProgram(context.version, {
    copy: async (given) => {
      isJson = given.json === true;
      const { runCopyCommand } = await import('./copy-command.ts');
      exitCode = await runCopyCommand(given, context);
    },
    verify: async (given) => {
      isJson = given.json === true;
      const { runVerifyCommand } = await import('./verify-command.ts');
      exitCode = await runVerifyCommand(given, context);
    },
    plan: async (given) => {
      isJson = given.json === true;
      const { runPlanCommand } = await import('./plan-command.ts');
      exitCode = await runPlanCommand(given, context);
    },
    migrate: async (file, given) => {
      isJson = given.json === true;
      const { runMigrateCommand } = await import('./migrate-command.ts');
      exitCode = await runMigrateCommand(file, given, context);
    },
    probe: async (storage, given) => {
      isJson = given.json === true;
      const { runProbeCommand } = await import('./probe-command.ts');
      exitCode = await runProbeCommand(storage, given, context);
    },
    completion: async (shell) => {
      const { runCompletionCommand } = await import('./completion-command.ts');
      runCompletionCommand(shell, program, context);
    },
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => output.print(text.trimEnd()),
      writeErr: (text) => output.say(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, 'blobferry: ')),
    });
  }
  try {
    await program.parseAsync([...meantBy(argv, program)], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    return fail(error, context, isJson);
  } finally {
    output.showLive('');
    asker?.close();
    stopper.dispose();
  }
}

/** Help for a command that is not there would be the help of the program, as if all were well. */
function meantBy(argv: readonly string[], program: Command): readonly string[] {
  const [first, second] = argv;
  const named = first === 'help' ? second : first;
  if (named === undefined || named.startsWith('-') || named === 'help') return argv;
  return program.commands.some((command) => command.name() === named) ? argv : [named];
}

function fail(error: unknown, { output, env, signal }: CommandContext, isJson: boolean): number {
  const isStopped = signal.aborted;
  const exitCode = isStopped ? EXIT_STOPPED : exitCodeOfFailure(error);
  if (isJson) {
    const told = isStopped ? { message: 'Stopped before anything was done' } : tellFailure(error);
    output.print(jsonLine({ event: 'error', ...told, exitCode }));
  }
  if (isStopped) output.say('blobferry: stopped before anything was done');
  else output.say(failureText(error, Boolean(env['BLOBFERRY_DEBUG'])));
  return exitCode;
}

function readVersion(): string {
  const text = readFileSync(PACKAGE_URL, 'utf8');
  const description: { readonly version?: unknown } = JSON.parse(text);
  return String(description.version);
}
