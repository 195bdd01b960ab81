/** Completion for fish. */
import type { CommandWords, OptionWords, ProgramWords, ValueKind } from './command-words.ts';

export function fishCompletion({ name, options, commands }: ProgramWords): string {
  const none = `not __fish_seen_subcommand_from ${commands.map((command) => command.name).join(' ')}`;
  const lines = [
    `# Completion of ${name} for fish: ${name} completion fish > ~/.config/fish/completions/${name}.fish`,
    `complete -c ${name} -f`,
    ...options.map((option) => optionLine(name, none, option)),
    ...commands.map(
      (command) =>
        `complete -c ${name} -n ${quoted(none)} -a ${command.name} -d ${quoted(command.description)}`,
    ),
    ...commands.flatMap((command) => commandLines(name, command)),
  ];
  return `${lines.join('\n')}\n`;
}

function commandLines(program: string, { name, options, argument }: CommandWords): readonly string[] {
  const seen = `__fish_seen_subcommand_from ${name}`;
  const lines = options.map((option) => optionLine(program, seen, option));
  if (argument === undefined) return lines;
  return [...lines, `complete -c ${program} -n ${quoted(seen)} ${valueWords(argument)}`];
}

function optionLine(program: string, condition: string, option: OptionWords): string {
  const names = option.names.map((name) =>
    name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  );
  const value = option.value ? ` -r ${valueWords(option.value)}` : '';
  const description = quoted(option.description);
  return `complete -c ${program} -n ${quoted(condition)} ${names.join(' ')}${value} -d ${description}`;
}

function valueWords(value: ValueKind): string {
  if (value.kind === 'choice') return `-f -a ${quoted(value.choices.join(' '))}`;
  if (value.kind === 'folder') return `-f -a '(__fish_complete_directories)'`;
  return value.kind === 'other' ? '-f' : '-F';
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
