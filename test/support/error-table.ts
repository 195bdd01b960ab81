/** docs/errors.md as data: each row is an error that users meet, and a test of the same name. */
import { readFile } from 'node:fs/promises';

export interface ErrorRow {
  /** Path of the test file, from the checkout's root. */
  readonly file: string;
  /** First cell, and the test's name. */
  readonly name: string;
  /** Texts that must be printed, each within one line; `…` stands for anything. */
  readonly printed: readonly string[];
  readonly exit: number;
}

const ERRORS_DOCUMENT = new URL('../../docs/errors.md', import.meta.url);

export async function readErrorTable(): Promise<readonly ErrorRow[]> {
  return parseErrorTable(await readFile(ERRORS_DOCUMENT, 'utf8'));
}

/** @throws where a line of a table is no row. */
export function parseErrorTable(text: string): readonly ErrorRow[] {
  const rows: ErrorRow[] = [];
  let file: string | undefined;
  for (const line of text.split('\n')) {
    const [, named] = /^Tests: `(test\/e2e\/errors-[a-z-]+\.test\.ts)`$/.exec(line) ?? [];
    if (named !== undefined) file = named;
    else if (line.startsWith('## ')) file = undefined;
    if (file === undefined || !line.startsWith('|') || /^\| (?:what is wrong|---)/.test(line)) continue;
    rows.push(parseRow(line, file));
  }
  return rows;
}

function parseRow(line: string, file: string): ErrorRow {
  const [, name, said, exit, remedy] = /^\| ([^|`]+) \| (.+) \| (\d+) \| (.+) \|$/.exec(line) ?? [];
  if (name === undefined || said === undefined || remedy === undefined) {
    throw new Error(`docs/errors.md: this is no row: ${line}`);
  }
  // A remedy in code is what is printed; words around code are only written here.
  const told = /^`[^`]+`$/.test(remedy) ? remedy : '';
  const printed = [...`${said} ${told}`.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
  if (!said.includes('`')) throw new Error(`docs/errors.md: "${name}" does not say what is printed`);
  return { file, name, printed, exit: Number(exit) };
}

/** Names of the tests in a file that calls `errorTests()`: the keys of its one record, as Biome formats them. */
export function testNamesIn(source: string): readonly string[] {
  const [, record = ''] = source.split(/^errorTests\(import\.meta\.filename, \{$/m);
  // With options behind the record each argument has a line of its own.
  const [, indented = ''] = source.split(/^errorTests\(\n {2}import\.meta\.filename,\n {2}\{$/m);
  const names = [
    ...record.matchAll(/^ {2}(?:'([^']+)'|"([^"]+)"):/gm),
    ...indented.matchAll(/^ {4}(?:'([^']+)'|"([^"]+)"):/gm),
  ];
  return names.map(([, single, double]) => single ?? double ?? '');
}

/** One line that holds the text, with anything in the place of each `…`. */
export function patternOf(text: string): RegExp {
  const parts = text.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(parts.join('[^\\n]*'));
}
