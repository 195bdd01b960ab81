/** `blobferry completion`. */
import type { Command } from 'commander';
import { bashCompletion } from './completion/bash.ts';
import { programWords } from './completion/command-words.ts';
import { fishCompletion } from './completion/fish.ts';
import { zshCompletion } from './completion/zsh.ts';
import type { CommandContext } from './context.ts';
import type { Shell } from './program.ts';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

export function runCompletionCommand(shell: Shell, program: Command, { output }: CommandContext): void {
  output.print(SCRIPTS[shell](programWords(program)).trimEnd());
}
