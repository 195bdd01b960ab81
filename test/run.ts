/**
 * The test command: `node test/run.ts [--verbose] [group[/file] …]`, groups being the folders unit, conformance, fault,
 * e2e and measure (default: all), a file being named without `.test.ts`. It shows a line for each file, failures whole, and with `--verbose` every test. Its last line is `N passed, N failed`, with `, N skipped` where tests did not run; it exits with 0 only if at
 * least one test ran and none failed. Servers that are not installed skip their tests, which is said at the end;
 * `BLOBFERRY_TEST_REQUIRED=ceph,registry,…` or `=all` makes that a failure.
 */
import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FullReport, ShortReport } from './support/runner/report.ts';
import { type Group, runGroups } from './support/runner/run-groups.ts';
import type { Totals } from './support/runner/totals.ts';

const MINUTE_MS = 60_000;

/** On two cores: two files with servers and whole copies take 1.3 of them. Groups with one number follow without a pause. */
const FILES_AT_ONCE = 3;

/** Limits end what hangs, and are far beyond what the slowest machine takes for the slowest test. */
const GROUPS: readonly Group[] = [
  { name: 'unit', filesAtOnce: FILES_AT_ONCE, limits: limits(2, 10) },
  { name: 'conformance', filesAtOnce: FILES_AT_ONCE, limits: limits(3, 10) },
  { name: 'fault', filesAtOnce: FILES_AT_ONCE, limits: limits(5, 15) },
  // Real servers and whole copies, which wait as much as they work.
  { name: 'e2e', filesAtOnce: FILES_AT_ONCE, limits: limits(8, 20) },
  // What is measured here others would change: alone on the machine.
  { name: 'measure', filesAtOnce: 1, limits: limits(8, 20) },
];

function limits(testMinutes: number, fileMinutes: number): Group['limits'] {
  return { testMs: testMinutes * MINUTE_MS, fileMs: fileMinutes * MINUTE_MS, exitMs: MINUTE_MS / 2 };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    verbose: { type: 'boolean', default: false },
    // For the tests of this command itself.
    root: { type: 'string', default: fileURLToPath(new URL('.', import.meta.url)) },
    'test-ms': { type: 'string' },
    'file-ms': { type: 'string' },
    'exit-ms': { type: 'string' },
  },
});

// What one file's process has compiled the next need not: a fifth of a second of each of hundreds.
enableCompileCache();
const compiled = getCompileCacheDir();
if (compiled !== undefined) process.env['NODE_COMPILE_CACHE'] ??= dirname(compiled);

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`Stopped by ${signal}`)));
}

const totals = await runGroups({
  root: values.root,
  groups: chosenGroups(positionals),
  report: values.verbose ? new FullReport(process.stdout) : new ShortReport(process.stdout),
  signal: stop.signal,
});
process.stdout.write(`${[...skips(totals), ...noTests(totals), totals.line].join('\n')}\n`);
process.exitCode = totals.isGood && !stop.signal.aborted ? 0 : 1;

function chosenGroups(words: readonly string[]): readonly Group[] {
  const asked = words.map((word) => /^([^/]*)(?:\/(.+))?$/s.exec(word) ?? []);
  const unknown = asked
    .map(([, name = '']) => name)
    .filter((name) => GROUPS.every((one) => one.name !== name));
  if (unknown.length > 0) {
    const known = GROUPS.map((group) => group.name).join(', ');
    process.stderr.write(`There is no group of tests "${unknown.join('", "')}"; there are ${known}\n`);
    process.exit(2);
  }
  const chosen =
    words.length === 0 ? GROUPS : GROUPS.filter(({ name }) => asked.some(([, one]) => one === name));
  return chosen.map((group) => {
    const files = asked.flatMap(([, name, file]) => (name === group.name ? [file] : []));
    const only = files.filter((file) => file !== undefined);
    // The whole group, once it is named as a whole.
    const isPart = files.length > 0 && only.length === files.length;
    return { ...group, ...(isPart ? { only } : {}), limits: { ...group.limits, ...givenLimits() } };
  });
}

function givenLimits(): Partial<Group['limits']> {
  const given = { testMs: values['test-ms'], fileMs: values['file-ms'], exitMs: values['exit-ms'] };
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, text]) => (text === undefined ? [] : [[name, Number(text)]])),
  );
}

function skips({ skipped, skipReasons }: Totals): readonly string[] {
  if (skipped === 0) return [];
  const rule = '!'.repeat(100);
  const reasons = [...skipReasons].map(([reason, count]) => `!! ${count} x ${reason}`);
  return ['', rule, `!! ${skipped} tests or suites of tests DID NOT RUN:`, ...reasons, rule, ''];
}

function noTests({ tests, passed }: Totals): readonly string[] {
  if (tests === 0) return ['There was no test to run: that proves nothing, so it is a failure'];
  return passed === 0 ? ['No test passed'] : [];
}
