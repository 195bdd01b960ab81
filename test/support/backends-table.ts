/** docs/backends.md as data: what each service was seen to do with bytes that were changed, a row each. */
import { readFile } from 'node:fs/promises';

export interface BackendRow {
  readonly name: string;
  /** What `copy` says of such a target, word for word. */
  readonly binding: string;
  /** Paths of test files, from the checkout's root. */
  readonly tests: readonly string[];
}

const DOCUMENT = new URL('../../docs/backends.md', import.meta.url);
const CELLS = 7;

export async function readBackendsTable(): Promise<readonly BackendRow[]> {
  return parseBackendsTable(await readFile(DOCUMENT, 'utf8'));
}

/** @throws where the table has no such row. */
export async function bindingWords(name: string): Promise<string> {
  const row = (await readBackendsTable()).find((one) => one.name === name);
  if (!row) throw new Error(`docs/backends.md has no row "${name}"`);
  return row.binding;
}

/** The rows of the one table whose first column is "service". @throws where a line of it is no row. */
export function parseBackendsTable(text: string): readonly BackendRow[] {
  const lines = text.split('\n');
  const head = lines.findIndex((line) => line.startsWith('| service |'));
  if (head < 0) throw new Error('docs/backends.md has no table of services');
  const rows: BackendRow[] = [];
  for (const line of lines.slice(head + 2)) {
    if (!line.startsWith('|')) break;
    rows.push(parseRow(line));
  }
  return rows;
}

function parseRow(line: string): BackendRow {
  const cells = line
    .slice(1, line.lastIndexOf('|'))
    .split('|')
    .map((cell) => cell.trim());
  const [name = '', , , , said = '', , files = ''] = cells;
  const [, binding] = /^`([^`]+)`$/.exec(said) ?? [];
  const tests = [...files.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file);
  if (cells.length !== CELLS || cells.includes('') || binding === undefined || tests.length === 0)
    throw new Error(`docs/backends.md: this is no row: ${line}`);
  return { name, binding, tests };
}
