/** Completion for bash, from 3.2 on and without the package bash-completion. */
import type { CommandWords, OptionWords, ProgramWords, ValueKind } from './command-words.ts';

export function bashCompletion({ name, options, commands }: ProgramWords): string {
  const words = [...commands.map((command) => command.name), ...options.flatMap((option) => option.names)];
  return `# Completion of ${name} for bash. For this shell: source <(${name} completion bash)
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous= command= at
  if ((COMP_CWORD > 0)); then previous=\${COMP_WORDS[COMP_CWORD - 1]}; fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    if [[ \${COMP_WORDS[at]} != -* ]]; then
      command=\${COMP_WORDS[at]}
      break
    fi
  done
  local IFS=$'\\n'
  COMPREPLY=()
  case "$command $previous" in
${commands.flatMap(valueCases).join('\n')}
  esac
  case $command in
    '') ${propose(words)} ;;
${commands.map(commandCase).join('\n')}
  esac
}
complete -F _${name} ${name}
`;
}

/** What may follow an option that takes a value. */
function valueCases(command: CommandWords): readonly string[] {
  return command.options.flatMap(({ names, value }: OptionWords) => {
    if (value === undefined) return [];
    const patterns = names.map((name) => `'${command.name} ${name}'`).join(' | ');
    return [`    ${patterns})`, ...valueLines(value).map((line) => `      ${line}`), '      return ;;'];
  });
}

function valueLines(value: ValueKind): readonly string[] {
  if (value.kind === 'choice') return [propose(value.choices)];
  // Ends a folder with a slash and no space, where bash is new enough to be asked.
  if (value.kind === 'other') return [];
  const flag = value.kind === 'folder' ? '-d' : '-f';
  return ['compopt -o filenames 2>/dev/null', `COMPREPLY=($(compgen ${flag} -- "$current"))`];
}

function commandCase({ name, options, argument }: CommandWords): string {
  const flags = options.flatMap((option) => option.names);
  if (argument === undefined) return `    ${name}) ${propose(flags)} ;;`;
  const lines = [
    `    ${name})`,
    '      if [[ $current == -* ]]; then',
    `        ${propose(flags)}`,
    '      else',
    ...valueLines(argument).map((line) => `        ${line}`),
    '      fi ;;',
  ];
  return lines.join('\n');
}

/** Words are separated by line ends, which IFS is set to. */
function propose(words: readonly string[]): string {
  return `COMPREPLY=($(compgen -W $'${words.join('\\n')}' -- "$current"))`;
}
