/** House rules that no linter knows. Each is a line of text or a length, so a walk over the files is enough. */
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILES = [
  '{src,workers,test,bench,tools,docs,grafana,deploy}/**/*.{ts,md,json,yml,yaml,sh}',
  '*.{md,json,yml}',
  '.ci/*',
];
/** Written by npm, not by us. */
const NOT_OURS = ['package-lock.json'];

/** Long files are the hardest to follow; tests and benches may hold tables. */
const LINES_MAX: Readonly<Record<string, number>> = { src: 400, workers: 400, test: 600, bench: 600 };

/** Put together from parts, so that the rules do not find themselves. */
const UNFINISHED = new RegExp(
  `\\b(?:${['TO', 'FIX'].map((start) => start + (start === 'TO' ? 'DO' : 'ME')).join('|')})\\b`,
);
const NEIGHBOURS = new RegExp(`\\.\\./${'shared'}\\b|\\.\\./\\.${'library'}\\b|\\.${'library'}/`);
const MACHINE_PATH = new RegExp(
  `(?<![\\w.$}/~-])/(?:${['work', 'root'].join('|')})/|(?<![\\w.$}~-])/(?:home|Users)/[\\w.-]+/`,
);

const LINE_RULES: readonly (readonly [RegExp, string])[] = [
  [UNFINISHED, 'says that something is unfinished: do it, or file it where it is not forgotten'],
  [NEIGHBOURS, 'names a folder that users do not have'],
  [MACHINE_PATH, 'names a path of one machine'],
];

/** One sentence for each breach, with file and line. */
export async function checkTidiness(root: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const path of await ownFiles(root)) {
    const lines = (await readFile(join(root, path), 'utf8')).split('\n');
    found.push(...checkLines(path, lines), ...checkLength(path, lines));
  }
  return found;
}

export async function ownFiles(root: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const path of glob(FILES, { cwd: root })) if (!NOT_OURS.includes(path)) files.push(path);
  return files.sort();
}

function checkLines(path: string, lines: readonly string[]): readonly string[] {
  return lines.flatMap((line, at) =>
    LINE_RULES.flatMap(([pattern, problem]) => (pattern.test(line) ? [`${path}:${at + 1}: ${problem}`] : [])),
  );
}

function checkLength(path: string, lines: readonly string[]): readonly string[] {
  const max = LINES_MAX[path.split('/')[0] ?? ''];
  const count = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  if (max === undefined || !path.endsWith('.ts') || count <= max) return [];
  return [`${path} has ${count} lines; more than ${max} are hard to follow`];
}

/** Which parts of `npm run check` the script of the continuous integration does not run, tests aside. */
export async function partsMissingInCi(root: string): Promise<readonly string[]> {
  const { scripts = {} } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly scripts?: Readonly<Record<string, string>>;
  };
  const script = await readFile(join(root, '.ci/run'), 'utf8');
  const parts = [...(scripts['check'] ?? '').matchAll(/npm run (?:-s |--silent )?([\w:-]+)/g)];
  if (parts.length === 0) throw new Error('package.json has no script "check" made of "npm run …" parts');
  return parts
    .map(([, name = '']) => name)
    .filter((name) => !/\btest\/run\.ts\b/.test(scripts[name] ?? ''))
    .filter((name) => !new RegExp(`npm run (?:-s |--silent )?${name}(?![\\w:-])`).test(script));
}
