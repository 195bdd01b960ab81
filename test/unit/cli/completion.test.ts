import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Command } from 'commander';
import { bashCompletion } from '../../../src/cli/completion/bash.ts';
import { type ProgramWords, programWords } from '../../../src/cli/completion/command-words.ts';
import { fishCompletion } from '../../../src/cli/completion/fish.ts';
import { zshCompletion } from '../../../src/cli/completion/zsh.ts';
import { buildProgram, SHELLS } from '../../../src/cli/program.ts';
import { runCli } from '../../../src/cli/run.ts';
import { mustRun } from '../../support/process.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { missingTools } from '../../support/tools.ts';
import { fakeHost } from './fake-host.ts';

const nothing = async (): Promise<void> => undefined;
const program = buildProgram('0', {
  plan: nothing,
  copy: nothing,
  verify: nothing,
  migrate: nothing,
  probe: nothing,
  completion: nothing,
});
const WORDS = programWords(program);

function flagsOf(command: Command): readonly string[] {
  return [...command.options.flatMap(({ short, long }) => [short ?? [], long ?? []].flat()), '-h', '--help'];
}

async function saved(t: TestContext, text: string): Promise<{ folder: string; file: string }> {
  const folder = await tempFolderFor(t, 'completion');
  const file = join(folder, 'script');
  await writeFile(file, text);
  return { folder, file };
}

describe('programWords()', () => {
  it('knows every command, and every option with the kind of its value', () => {
    const names = WORDS.commands.map(({ name }) => name);
    assert.deepEqual(names, [...program.commands.map((command) => command.name()), 'help']);
    const kinds = new Map(
      WORDS.commands
        .find(({ name }) => name === 'copy')
        ?.options.map(({ names: [first], value }) => [first, value?.kind]),
    );
    assert.equal(kinds.get('--from'), 'storage');
    assert.equal(kinds.get('--journal'), 'folder');
    assert.equal(kinds.get('--layout'), 'choice');
    assert.equal(kinds.get('--threads'), 'other');
    assert.equal(kinds.get('--frozen'), undefined);
  });
});

/** What bash would propose behind these words; the last one is being typed. */
async function bashProposes(
  t: TestContext,
  words: readonly string[],
  given: ProgramWords = WORDS,
): Promise<readonly string[]> {
  const { folder, file } = await saved(t, bashCompletion(given));
  const script = [
    'source "$1"; shift',
    'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))',
    '_blobferry',
    `printf "%s\\n" "\${COMPREPLY[@]}"`,
  ].join('\n');
  const { stdout, stderr } = await mustRun('bash', ['-u', '-c', script, 'bash', file, ...words], {
    cwd: folder,
  });
  assert.equal(stderr, '');
  return stdout.split('\n').filter((line) => line !== '');
}

describe('completion in bash', () => {
  it('proposes commands, and the options of the whole program', async (t) => {
    const all = [...WORDS.commands.map(({ name }) => name), '-V', '--version', '-h', '--help'];
    assert.deepEqual(await bashProposes(t, ['blobferry', '']), all);
    assert.deepEqual(await bashProposes(t, ['blobferry', 'ver']), ['verify']);
  });

  for (const command of program.commands) {
    it(`proposes every option of ${command.name()}`, async (t) => {
      const proposed = await bashProposes(t, ['blobferry', command.name(), '-']);
      assert.deepEqual(proposed, flagsOf(command));
    });
  }

  it('proposes the choices of an option or argument', async (t) => {
    const proposed = await bashProposes(t, ['blobferry', 'copy', '--layout', 'r']);
    assert.deepEqual(proposed, ['registry', 'raw']);
    assert.deepEqual(await bashProposes(t, ['blobferry', 'completion', '']), [...SHELLS]);
    assert.deepEqual(await bashProposes(t, ['blobferry', 'help', 'co']), ['copy', 'completion']);
  });

  it('proposes files for a storage, with spaces in their names, and nothing where nothing is known', async (t) => {
    const { folder, file } = await saved(t, bashCompletion(WORDS));
    await writeFile(join(folder, 'my new.yml'), '');
    const script = `source "${file}"; COMP_WORDS=(blobferry copy --from my); COMP_CWORD=3; _blobferry; printf '<%s>' "\${COMPREPLY[@]}"`;
    const { stdout } = await mustRun('bash', ['-c', script], { cwd: folder });
    assert.equal(stdout, '<my new.yml>');
    assert.deepEqual(await bashProposes(t, ['blobferry', 'copy', '--threads', '']), []);
  });

  it('is asked of blobferry for the whole name', async (t) => {
    const { file } = await saved(t, bashCompletion(WORDS));
    const { stdout } = await mustRun('bash', ['-c', `source "${file}"; complete -p blobferry`]);
    assert.equal(stdout.trim(), 'complete -F _blobferry blobferry');
  });
});

describe('completion in zsh', { skip: missingTools('zsh') }, () => {
  it('is taken by the shell, with every option', async (t) => {
    const text = zshCompletion(WORDS);
    for (const { options } of WORDS.commands) {
      for (const { names } of options) {
        const shown = names.length === 1 ? `'${names[0]}[` : `'(${names.join(' ')})'{${names.join(',')}}'[`;
        assert.ok(text.includes(shown), shown);
      }
    }
    const { folder, file } = await saved(t, text);
    const script = `autoload -Uz compinit; compinit -u -d "${folder}/dump"; source "${file}"; print -- $_comps[blobferry]`;
    const { stdout, stderr } = await mustRun('zsh', ['-f', '-c', script], { cwd: folder });
    assert.equal(stdout.trim(), '_blobferry');
    assert.equal(stderr, '');
  });

  it('gives the completion system what it asks for', async (t) => {
    const { folder, file } = await saved(t, zshCompletion(WORDS));
    // The system's own function is put aside, and tells what it was given.
    const script = [
      'compdef() { : }',
      `source "${file}"`,
      '_arguments() { if [[ $1 == -C ]]; then state=arguments; else print -rl -- "$@"; fi }',
      'words=(copy --layout)',
      '_blobferry',
    ].join('\n');
    const { stdout } = await mustRun('zsh', ['-f', '-c', script], { cwd: folder });
    const lines = stdout.split('\n');
    assert.ok(lines.some((line) => /^--layout\[.*\]:layout:\(auto registry raw\)$/.test(line)));
    assert.ok(lines.some((line) => /^--memory\[bound for the process's memory .*\]:size: $/.test(line)));
  });
});

describe('completion in fish', { skip: missingTools('fish') }, () => {
  it('proposes commands, options and choices', async (t) => {
    const { folder, file } = await saved(t, fishCompletion(WORDS));
    const propose = async (line: string): Promise<readonly string[]> => {
      const script = `source '${file}'; complete -C '${line}'`;
      const options = { cwd: folder, env: { PATH: process.env['PATH'], HOME: folder } };
      const { stdout } = await mustRun('fish', ['--no-config', '-c', script], options);
      const proposed = stdout.split('\n').filter((one) => one !== '');
      return proposed.map((one) => one.split('\t')[0] ?? '').sort();
    };
    assert.deepEqual(await propose('blobferry '), WORDS.commands.map(({ name }) => name).sort());
    for (const command of program.commands) {
      const long = flagsOf(command).filter((flag) => flag.startsWith('--'));
      assert.deepEqual(await propose(`blobferry ${command.name()} --`), long.toSorted());
    }
    assert.deepEqual(await propose('blobferry copy --layout r'), ['raw', 'registry']);
  });
});

describe('blobferry completion', () => {
  for (const shell of SHELLS) {
    it(`prints the script for ${shell}`, async () => {
      const host = fakeHost();
      assert.equal(await runCli(['completion', shell], host), 0);
      const script = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }[shell];
      assert.equal(host.stdout.text, script(WORDS));
    });
  }

  it('knows no other shell', async () => {
    const host = fakeHost();
    assert.equal(await runCli(['completion', 'csh'], host), 2);
    assert.match(
      host.stderr.text,
      /argument value 'csh' is invalid for argument 'shell'\. Allowed choices are bash, zsh, fish/,
    );
  });
});
