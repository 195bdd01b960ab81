/** Completion for zsh. */
import type { CommandWords, OptionWords, ProgramWords, ValueKind } from './command-words.ts';

export function zshCompletion({ name, options, commands }: ProgramWords): string {
  return `#compdef ${name}
# Completion of ${name} for zsh: save it as _${name} in a folder of $fpath, or: source <(${name} completion zsh)
_${name}() {
  local -a commands
  commands=(
${commands.map(({ name: command, description }) => `    ${quoted(`${command}:${description}`)}`).join('\n')}
  )
  local curcontext=$curcontext state line
  _arguments -C \\
${options.map((option) => `    ${spec(option)} \\`).join('\n')}
    '1:command:->command' \\
    '*::argument:->arguments'
  case $state in
    command) _describe -t commands command commands ;;
    arguments)
      case $words[1] in
${commands.map(commandCase).join('\n')}
      esac ;;
  esac
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function commandCase({ name, options, argument }: CommandWords): string {
  const specs = [
    ...options.map(spec),
    ...(argument
      ? [quoted(`1:${argument.kind === 'choice' ? 'one of' : argument.kind}:${action(argument)}`)]
      : []),
  ];
  return `        ${name})\n          _arguments \\\n${specs.map((one) => `            ${one}`).join(' \\\n')} ;;`;
}

/** `'(-h --help)'{-h,--help}'[display help]'`, `'--layout[what]:layout:(auto raw)'`. */
function spec({ names, description, value, valueName }: OptionWords): string {
  const text = `[${description.replace(/[[\]\\]/g, '\\$&')}]`;
  const rest = value ? `${text}:${valueName}:${action(value)}` : text;
  const [first = ''] = names;
  if (names.length === 1) return quoted(first + rest);
  return `'(${names.join(' ')})'{${names.join(',')}}${quoted(rest)}`;
}

function action(value: ValueKind): string {
  if (value.kind === 'choice') return `(${value.choices.join(' ')})`;
  if (value.kind === 'folder') return '_files -/';
  return value.kind === 'other' ? ' ' : '_files';
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
