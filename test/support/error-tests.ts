/** Tests of the rows of docs/errors.md: each runs the command line and is held to what its row says. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type CliResult, runBlobferry } from './cli.ts';
import { type ErrorRow, patternOf, readErrorTable } from './error-table.ts';
import type { Environment } from './process.ts';
import { tempFolderFor } from './temp.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export const ENGINES = ['direct', 'sdk'] as const;
export type Engine = (typeof ENGINES)[number];

/** What the embedded server is given; distinct, so that a search for them finds nothing else. */
export const ACCESS_KEY = 'AKIDOFERRORROWS';
export const SECRET_KEY = 'Zb7secretkey+of/errorRows';
const KEYS = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY };

interface RowContext {
  /** Holds a run to the row: exit code and everything that the row says is printed. */
  check(result: CliResult): void;
}

export type RowTest = (t: TestContext, row: RowContext) => Promise<void>;

/** Tests of one file at the same time: starting a process keeps a core busy, and much of the rest is waiting. */
const AT_ONCE = 3;

/** Registers a test for each name; the names must be those of the file's rows, all of them. */
export function errorTests(
  file: string,
  tests: Readonly<Record<string, RowTest>>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  const path = relative(ROOT, file);
  describe(`docs/errors.md, rows of ${path}`, { concurrency: AT_ONCE, skip }, () => {
    let rows: readonly ErrorRow[] = [];
    before(async () => {
      rows = (await readErrorTable()).filter((row) => row.file === path);
    });
    it('are these', () => {
      assert.deepEqual(rows.map(({ name }) => name).sort(), Object.keys(tests).sort());
    });
    for (const [name, test] of Object.entries(tests)) {
      it(name, async (t) => {
        const row = rows.find((one) => one.name === name);
        assert.ok(row, 'docs/errors.md has no such row');
        let checks = 0;
        await test(t, {
          check: (result) => {
            checks += 1;
            checkRow(row, result);
          },
        });
        assert.ok(checks > 0, 'nothing was held to the row');
      });
    }
  });
}

function checkRow(row: ErrorRow, result: CliResult): void {
  const output = `${result.stderr}\n${result.stdout}`;
  for (const text of row.printed) {
    assert.match(output, patternOf(text), `not printed: ${text}`);
  }
  assert.equal(result.code, row.exit, output);
}

export interface RunOptions {
  readonly env?: Environment;
  /** Further texts that must not be printed; those in the environment are known. */
  readonly secrets?: readonly string[];
  /** A command that becomes blobferry, such as `setpriv …`. */
  readonly through?: readonly string[];
  readonly cwd?: string;
  readonly onLine?: (line: string) => void;
}

/** Runs the command line with the server's keys; no secret and no stack may be in what it prints. */
export async function blobferry(args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
  const env = { ...KEYS, ...options.env };
  const { through, cwd, onLine } = options;
  const result = await runBlobferry(args, {
    env,
    ...(through ? { through } : {}),
    ...(cwd === undefined ? {} : { cwd }),
    ...(onLine ? { onLine } : {}),
  });
  const output = `${result.stdout}\n${result.stderr}`;
  assertNoSecrets(output, [...secretsIn(env), ...(options.secrets ?? [])]);
  assert.doesNotMatch(output, /\n {4}at |This should not have happened/, 'a stack was printed');
  return result;
}

export interface CopyOptions extends RunOptions {
  readonly engine?: Engine;
  readonly more?: readonly string[];
  /** Kept for a second run. */
  readonly journal?: string;
}

/** A copy with a journal of its own, in which no secret may be either. */
export async function copy(
  t: TestContext,
  from: string,
  to: string,
  options: CopyOptions = {},
): Promise<CliResult> {
  const { engine = 'direct', more = [] } = options;
  const journal = options.journal ?? (await tempFolderFor(t, 'journal'));
  const args = ['copy', '--from', from, '--to', to, '--engine', engine, '--journal', journal, ...more];
  const result = await blobferry(args, options);
  const secrets = [...secretsIn({ ...KEYS, ...options.env }), ...(options.secrets ?? [])];
  for (const name of await readdir(journal).catch(() => [])) {
    assertNoSecrets(await readFile(join(journal, name), 'latin1'), secrets);
  }
  return result;
}

function secretsIn(env: Environment): readonly string[] {
  const keys = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'].map((name) => env[name]);
  const proxies = ['HTTPS_PROXY', 'HTTP_PROXY', 'https_proxy', 'http_proxy'].flatMap((name) => {
    const url = URL.parse(env[name] ?? '');
    if (!url?.password) return [];
    // What cannot be decoded is no URL of a proxy, and must not be shown all the same.
    if (/%(?![0-9a-f]{2})/i.test(url.username + url.password)) return [url.password];
    const password = decodeURIComponent(url.password);
    const basic = Buffer.from(`${decodeURIComponent(url.username)}:${password}`).toString('base64');
    return [url.password, password, basic];
  });
  return [...keys, ...proxies].filter((secret) => secret !== undefined && secret !== '') as string[];
}

function assertNoSecrets(text: string, secrets: readonly string[]): void {
  for (const secret of secrets) assert.ok(!text.includes(secret), `a secret was printed: ${secret}`);
}

/** Root may do everything, so a process of root's gives that power up. */
export function withoutPower(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const dropped = '-dac_override,-dac_read_search';
  return ['setpriv', '--bounding-set', dropped, '--inh-caps', dropped];
}
