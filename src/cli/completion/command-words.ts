/** What shells need to know of the command line, read from the program itself. */
import type { Command, Option } from 'commander';

/** What the value of an option or argument is. */
export type ValueKind =
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  /** A file, or a URL that nobody can propose. */
  | { readonly kind: 'file' | 'folder' | 'storage' }
  | { readonly kind: 'other' };

export interface OptionWords {
  /** `--from`, or `-V` and `--version`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Absent where it takes none. */
  readonly value?: ValueKind;
  /** As help calls it, without brackets: `size`. */
  readonly valueName?: string;
}

export interface CommandWords {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  /** Of its first argument, if it takes one. */
  readonly argument?: ValueKind;
}

export interface ProgramWords {
  readonly name: string;
  readonly options: readonly OptionWords[];
  readonly commands: readonly CommandWords[];
}

export function programWords(program: Command): ProgramWords {
  const { commands } = program;
  const names = commands.map((command) => command.name());
  const help: CommandWords = {
    name: 'help',
    description: 'show what a command does',
    options: [HELP],
    argument: { kind: 'choice', choices: names },
  };
  return {
    name: program.name(),
    options: [...program.options.map(optionWords), HELP],
    commands: [...commands.map(commandWords), help],
  };
}

const HELP: OptionWords = { names: ['-h', '--help'], description: 'display help for command' };

function commandWords(command: Command): CommandWords {
  const [argument] = command.registeredArguments;
  return {
    name: command.name(),
    description: command.description(),
    options: [...command.options.map(optionWords), HELP],
    ...(argument ? { argument: kindOf(argument.name(), argument.argChoices) } : {}),
  };
}

function optionWords(option: Option): OptionWords {
  const names = [option.short, option.long].flatMap((name) => name ?? []);
  const { description } = option;
  if (!option.required && !option.optional) return { names, description };
  const valueName = /<(.+)>/.exec(option.flags)?.[1] ?? 'value';
  return { names, description, valueName, value: kindOf(valueName, option.argChoices) };
}

function kindOf(name: string, choices: readonly string[] | undefined): ValueKind {
  if (choices !== undefined) return { kind: 'choice', choices };
  return name === 'storage' || name === 'file' || name === 'folder' ? { kind: name } : { kind: 'other' };
}
