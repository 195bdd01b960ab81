/** `cli: print`: a person runs the commands, on the node where they have to be run, and says when they are done. */
import {
  type ContainerEnd,
  ContainerError,
  type ContainerRunner,
  type ContainerSpec,
  demandHarmless,
  shellCommand,
} from './container.ts';
import { quoted } from './shell.ts';

/** Shows lines, of which the last is the command, and waits for an answer: was it done? */
export type Awaiter = (lines: readonly string[], signal: AbortSignal) => Promise<boolean>;

export class PrintedCommands implements ContainerRunner {
  readonly #await: Awaiter;

  constructor(awaiter: Awaiter) {
    this.#await = awaiter;
  }

  async run(spec: ContainerSpec, signal: AbortSignal): Promise<ContainerEnd> {
    demandHarmless(spec);
    signal.throwIfAborted();
    const lines = [...instructions(spec), shellCommand(spec)];
    if (await this.#await(lines, signal)) return { wasThere: false };
    const what = `"${spec.command[0] ?? ''}" in the container ${spec.name}`;
    throw new ContainerError('not-done', `${what} was not run, says whoever was asked`, {
      hint: 'Run the same migration again: it shows the command again, unless its effect is there',
    });
  }

  /** Nothing is known of what people did before they were asked. */
  async past(): Promise<'none'> {
    return 'none';
  }

  async knowsFlag(
    image: string,
    command: readonly string[],
    flag: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    const words = ['docker', 'run', '--rm', image, ...command].map(quoted).join(' ');
    const lines = [
      `Run this on a node with Docker: does it print a line with --${flag}? Answer no where it prints nothing:`,
      `${words} 2>&1 | grep -e ${quoted(`--${flag}`)}`,
    ];
    return await this.#await(lines, signal);
  }

  /** It is whoever ran it that removes it: nothing is known of that Docker here. */
  async remove(_name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }
}

function instructions({ name, secretEnv, stdinFile, stdoutFile }: ContainerSpec): readonly string[] {
  const variables = Object.values(secretEnv);
  return [
    'Run this on a node with Docker, in a shell (sh, bash):',
    ...(variables.length === 0
      ? []
      : [`- where ${variables.join(' and ')} is set to the password, and exported or not`]),
    ...(stdinFile === undefined ? [] : [`- where the file ${stdinFile} is there, unchanged`]),
    ...(stdoutFile === undefined
      ? []
      : [`- and put what it writes here, as ${stdoutFile}, before you answer`]),
    `- if a container ${name} is there already, wait for its end with "docker wait ${name}" instead`,
  ];
}
