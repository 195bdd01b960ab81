import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { type Actions, buildProgram } from '../../../src/cli/program.ts';
import { manPage } from '../../../tools/man-page.ts';

async function read(path: string): Promise<string> {
  return await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
}

const { version } = JSON.parse(await read('package.json')) as { readonly version: string };
const program = buildProgram(version, {} as Actions);
const page = manPage(program, version);

describe('docs/blobferry.1', () => {
  it('is what "npm run man" makes of the program as it is now', async () => {
    assert.equal(await read('docs/blobferry.1'), page);
  });

  it('has every command, and every option with its choices', () => {
    for (const command of program.commands) {
      const [, section = ''] = page.split(`.SS blobferry ${command.name()}\n`);
      const own = section.split(/^\.S[SH] /m)[0] ?? '';
      for (const option of command.options) {
        assert.ok(own.includes(`.B ${option.flags.replaceAll('-', '\\-')}\n`), option.flags);
        for (const choice of option.argChoices ?? []) assert.ok(own.includes(`"${choice}"`), choice);
      }
    }
  });

  it('tells the exit codes that the documents tell', async () => {
    const [, section = ''] = page.split('.SH EXIT STATUS\n');
    const codes = [...(section.split('.SH ')[0] ?? '').matchAll(/^\.B (\d+)$/gm)].map(([, code]) => code);
    const documented = [...(await read('docs/exit-codes.md')).matchAll(/^\| (\d+) \|/gm)];
    assert.deepEqual(
      codes,
      documented.map(([, code]) => code),
    );
  });

  it('is the same on every machine', () => {
    assert.doesNotMatch(page, /\d{4}-\d{2}-\d{2}|default: \d+\)$/m);
    assert.match(page, /worker threads \(default: one per core\)/);
  });

  it('holds nothing that would be taken for a macro or lost', () => {
    const macros = new Set([
      '.TH',
      '.SH',
      '.SS',
      '.PP',
      '.TP',
      '.B',
      '.RS',
      '.RE',
      '.nf',
      '.fi',
      '.br',
      '.\\"',
    ]);
    for (const line of page.trimEnd().split('\n')) {
      if (/^[.']/.test(line)) assert.ok(macros.has(line.split(' ')[0] ?? ''), line);
      assert.match(line, /^[\x20-\x7e]+$/, `not plain: ${line}`);
    }
  });
});
