/** Runs what the goals need, each step once for all goals that look at it, and judges them. */
import { type CopierSearch, isFound } from '../copiers/copier.ts';
import { cellId, type PlannedCell } from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';
import type { BenchLine, GoalRecord, RunRecord } from '../records.ts';
import { type Bench, type CellResult, resultsOf } from '../report/summarise.ts';
import { runBench, type WriteLine } from '../run/run-bench.ts';
import type { Found } from './goal.ts';
import { GOALS } from './goals.ts';
import { STEP_PLANS, STEPS, type StepName } from './steps.ts';

export interface GoalsPlan {
  /** Names of goals, with `*` for any text; empty: all of them. */
  readonly patterns: readonly string[];
  readonly searches: readonly CopierSearch[];
  readonly parameters: Parameters;
  readonly isQuick: boolean;
  readonly folder: string | undefined;
}

export interface GoalsResult {
  readonly records: readonly GoalRecord[];
  /** Sentences: what of blobferry's runs, or of the bench itself, failed. */
  readonly failures: readonly string[];
}

/** @throws Error where a pattern names no goal. */
export async function measureGoals(plan: GoalsPlan, write: WriteLine): Promise<GoalsResult> {
  const goals = chooseGoals(plan.patterns);
  const wanted = new Set(goals.flatMap(({ steps }) => steps));
  const results = new Map<StepName, CellResult>();
  const runs = new Map<StepName, readonly RunRecord[]>();
  const failures: string[] = [];
  const file = new OneFile(write);
  for (const step of STEPS.filter((name) => wanted.has(name))) {
    try {
      const bench = await runStep(step, plan, file);
      const [result] = resultsOf(bench);
      const records = bench.lines.filter((line) => line.kind === 'run');
      runs.set(step, records);
      if (result) results.set(step, result);
      failures.push(...failuresOf(step, records));
    } catch (error) {
      failures.push(`${step}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const { limitPerSecond, limitedSeconds, bandwidthBytesPerSecond } = plan.parameters;
  const found: Found = { results, runs, limitPerSecond, limitedSeconds, bandwidthBytesPerSecond };
  const records = goals.map((goal): GoalRecord => {
    const { name, title } = goal;
    return { kind: 'goal', at: new Date().toISOString(), name, title, ...goal.judge(found) };
  });
  for (const record of records) write(record);
  file.end();
  return { records, failures };
}

/** @throws Error where a pattern names none. */
export function chooseGoals(patterns: readonly string[]): typeof GOALS {
  const rules = patterns.map((pattern) => {
    const words = pattern.split('*').map((word) => word.replace(/[^\w-]/g, '\\$&'));
    return { pattern, rule: new RegExp(`^${words.join('.*')}$`) };
  });
  for (const { pattern, rule } of rules) {
    if (!GOALS.some(({ name }) => rule.test(name)))
      throw new Error(
        `No goal is called "${pattern}"; there are ${GOALS.map(({ name }) => name).join(', ')}`,
      );
  }
  return patterns.length === 0
    ? GOALS
    : GOALS.filter(({ name }) => rules.some(({ rule }) => rule.test(name)));
}

async function runStep(name: StepName, plan: GoalsPlan, file: OneFile): Promise<Bench> {
  const { cell, hasPeers, sets, parametersOf } = STEP_PLANS[name];
  const planned: PlannedCell = { ...cell, id: cellId(cell), isDefault: false };
  const lines: BenchLine[] = [];
  await runBench(
    {
      cells: [planned],
      searches: hasPeers ? plan.searches : plan.searches.filter((one) => one.name === 'blobferry'),
      parameters: parametersOf(plan.parameters),
      isQuick: plan.isQuick,
      withTrials: false,
      sets,
      // Who is compared by time alone need not be measured twice.
      peerSets: ['full'],
      folder: plan.folder,
      hasMd5Etags: false,
    },
    [
      (line) => {
        lines.push(line);
        file.write(line);
      },
    ],
  );
  const start = lines.find((line) => line.kind === 'bench');
  if (!start) throw new Error('The bench wrote no first line');
  return { name, start, end: lines.find((line) => line.kind === 'end'), lines };
}

function failuresOf(step: StepName, records: readonly RunRecord[]): readonly string[] {
  return records
    .filter(({ copier, outcome }) => copier === 'blobferry' && outcome === 'failed')
    .map(({ reason }) => `${step}: ${reason}`);
}

/** The first lines of several benches as one, and the last lines as one. */
class OneFile {
  readonly #write: WriteLine;
  #hasStart = false;
  #seconds = 0;
  #end: Extract<BenchLine, { readonly kind: 'end' }> | undefined;

  constructor(write: WriteLine) {
    this.#write = write;
  }

  write(line: BenchLine): void {
    if (line.kind === 'end') {
      this.#seconds += line.seconds;
      this.#end = line;
      return;
    }
    if (line.kind === 'bench' && this.#hasStart) return;
    this.#hasStart = true;
    this.#write(line);
  }

  end(): void {
    if (this.#end) this.#write({ ...this.#end, seconds: this.#seconds });
  }
}

/** Which of the searched are to be measured: blobferry, and of two rclones the newer one. */
export function goalCopiers(
  searches: readonly CopierSearch[],
  chosen: readonly string[],
): readonly CopierSearch[] {
  if (chosen.length > 0) return searches;
  const hasNewer = searches.some((one) => one.name === 'rclone-new' && isFound(one));
  return searches.filter(({ name }) => !(hasNewer && name === 'rclone'));
}
