import assert from 'node:assert/strict';
import { access, readdir, readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { Command } from 'commander';
import { buildProgram } from '../../../src/cli/program.ts';
import { readUrlStorage } from '../../../src/cli/storage/url-storage.ts';
import { ConfigError } from '../../../src/core/errors.ts';

const nothing = async (): Promise<void> => undefined;
const actions = {
  plan: nothing,
  copy: nothing,
  verify: nothing,
  migrate: nothing,
  probe: nothing,
  completion: nothing,
};
const program = buildProgram('0', actions);

async function read(path: string): Promise<string> {
  return await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
}

/** Options of a command's section: the first cell of each table row. */
function documentedFlags(text: string, command: string): readonly string[] {
  const [, section = ''] = text.split(new RegExp(`^## blobferry ${command}.*$`, 'm'));
  const own = section.split(/^## /m)[0] ?? '';
  return [...own.matchAll(/^\| `(--[^`]+)` \|/gm)].map(([, flags = '']) => flags).sort();
}

function flagsOf(command: Command): readonly string[] {
  return command.options.map(({ flags }) => flags).sort();
}

function unknownSchemeHint(): string {
  try {
    readUrlStorage('ftp://host', {});
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.hint ?? '';
  }
  assert.fail('ftp:// is no storage');
}

/** With what stands below the options. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (piece) => (text += piece) });
  command.outputHelp();
  return text;
}

describe('docs/cli.md', () => {
  for (const command of program.commands) {
    it(`lists every option of ${command.name()} as it is written, and none besides`, async () => {
      const documented = documentedFlags(await read('docs/cli.md'), command.name());
      assert.equal(documented.length > 0, command.options.length > 0);
      assert.deepEqual(documented, flagsOf(command));
    });
  }

  it('has no section for a command that is not there', async () => {
    const sections = [...(await read('docs/cli.md')).matchAll(/^## blobferry (\w+)/gm)].map(
      ([, name]) => name,
    );
    assert.deepEqual(sections.sort(), program.commands.map((command) => command.name()).sort());
  });

  it('tells the choices that an option has', async () => {
    const text = await read('docs/cli.md');
    for (const command of program.commands) {
      for (const option of command.options) {
        for (const choice of option.argChoices ?? [])
          assert.ok(text.includes(`\`${choice}\``), `${option.flags} ${choice}`);
      }
    }
  });
});

describe('README.md and the documents', () => {
  it('use only commands and options that exist', async () => {
    const known = new Set(program.commands.flatMap(({ options }) => options.map(({ long }) => long)));
    const files = ['cli', 'exit-codes', 'getting-started', 'metrics', 'prices'].map(
      (name) => `docs/${name}.md`,
    );
    for (const file of ['README.md', ...files]) {
      for (const [, line = ''] of (await read(file)).matchAll(
        /blobferry(?: --)? ((?:plan|copy|verify|probe|completion)\b[^\n`]*)/g,
      )) {
        for (const [flag] of line.matchAll(/(?<!\S)--[a-z-]+/g))
          assert.ok(known.has(flag), `${file}: ${flag}`);
      }
    }
  });

  it('link to documents that are there', async () => {
    const names = (await readdir(new URL('../../../docs/', import.meta.url))).filter((name) =>
      name.endsWith('.md'),
    );
    for (const file of ['README.md', ...names.map((name) => `docs/${name}`)]) {
      const text = await read(file);
      for (const [, link = ''] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
        const target = new URL(link, new URL(`../../../${file}`, import.meta.url));
        await assert.doesNotReject(access(target), `${file} links to ${link}`);
      }
    }
  });

  it('name the version of the package where they name its file', async () => {
    const { version } = JSON.parse(await read('package.json')) as { readonly version: string };
    for (const file of ['README.md', 'docs/getting-started.md']) {
      const named = [...(await read(file)).matchAll(/blobferry-([\d.]+)\.tgz/g)];
      assert.ok(named.length > 0 && named.every(([, one]) => one === version), file);
    }
  });

  it('name every backend that there is, as the help does', async () => {
    const [, known = ''] = /^known are (.+)$/.exec(unknownSchemeHint()) ?? [];
    const schemes = [...known.matchAll(/\b(\w+:\/\/)/g)].map(([, scheme = '']) => scheme);
    assert.deepEqual(schemes, ['file://', 's3://', 'azure://', 'gs://', 'swift://']);
    const help = helpOf(program);
    const manual = await read('docs/blobferry.1');
    for (const file of ['README.md', 'docs/cli.md', 'docs/configuration.md']) {
      const text = await read(file);
      for (const scheme of schemes) assert.ok(text.includes(scheme), `${file}: ${scheme}`);
    }
    for (const scheme of schemes) {
      assert.ok(help.includes(`\n  ${scheme}`), `help: ${scheme}`);
      assert.ok(manual.includes(`\n.B ${scheme}`), `docs/blobferry.1: ${scheme}`);
    }
    const metrics = await read('docs/metrics.md');
    assert.match(metrics, /^\| `backend` \| `fs`, `s3`, `azure`, `gcs`, `swift`/m);
  });

  it('tell the same exit codes', async () => {
    const codes = (text: string) => [...text.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => code);
    const full = codes(await read('docs/exit-codes.md'));
    assert.deepEqual(full, ['0', '1', '2', '3', '4', '5', '130']);
    assert.deepEqual(codes(await read('README.md')), full);
  });
});
