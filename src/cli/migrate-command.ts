/** `blobferry migrate`. */
import { join } from 'node:path';
import { defaultMemoryBytes } from '../coordinator/memory.ts';
import { refuseOverlap } from '../coordinator/preflight.ts';
import { ConfigError } from '../core/errors.ts';
import { withoutSecrets } from '../drivers/http/said.ts';
import { storageIdentity, storageName } from '../drivers/spec-name.ts';
import type { EnginePort, EngineProgress } from '../platform/engine-port.ts';
import type { Migration } from '../platform/migration.ts';
import type { MsrSite } from '../platform/msr/msr-site.ts';
import { stuckNow } from '../platform/msr/stuck-text.ts';
import { writePrivately } from '../platform/private-file.ts';
import { exitCodeOfOutcome, type Outcome } from '../platform/saga/outcome.ts';
import { outcomeText } from '../platform/saga/outcome-text.ts';
import { type Question, stepNamed } from '../platform/saga/plan.ts';
import { changedSteps, progressOf } from '../platform/saga/progress.ts';
import { type ReportInput, reportOf } from '../platform/saga/report.ts';
import { runSaga, type SagaOptions, undoSaga } from '../platform/saga/saga.ts';
import { SagaJournal } from '../platform/saga/saga-journal.ts';
import type { Step } from '../platform/saga/step.ts';
import { FINAL_PASS, keptDamage } from '../platform/steps/known-damage.ts';
import type { CommandContext } from './context.ts';
import { exitCodeOfFailure } from './failure.ts';
import { jsonLine } from './json.ts';
import { demandApart } from './migration/apart.ts';
import { aboutOf, afterwards, caveatsOf, damageCaveats } from './migration/caveats.ts';
import { EngineProgressLine } from './migration/engine-progress.ts';
import { Narrator, planLines, progressLines, questionOf, titleLines } from './migration/migrate-text.ts';
import { readMigrationFile } from './migration/migration-file.ts';
import { stepsOf } from './migration/migration-steps.ts';
import { type MigrationEngineInput, openMigrationEngine } from './migration/open-engine.ts';
import { openSite, secretsOf } from './migration/open-site.ts';
import { defaultThreads, type MigrateArguments, OUTAGE_MS_DEFAULT } from './program.ts';
import { readOneStorage, type Storages } from './storages.ts';

export async function runMigrateCommand(
  file: string,
  given: MigrateArguments,
  context: CommandContext,
): Promise<number> {
  demandFlags(given);
  const { migration, notes } = await readMigrationFile(file, context.env);
  for (const note of notes) context.output.say(`note: ${note}`);
  const storages = {
    source: await readOneStorage(migration.source, 'source', context),
    target: await readOneStorage(migration.target, 'target', context),
  };
  // Before anything of the registry is changed for a copy that would refuse it.
  await refuseOverlap(storages.source, storages.target);
  demandApart(migration, storages);
  const journal = SagaJournal.open(join(migration.journal, 'steps'), identityOf(migration, storages));
  try {
    const engine = openMigrationEngine({
      ...storages,
      options: engineOptions(migration),
      onNotice: (sentence) => context.output.say(`warning: ${sentence}`),
      env: context.env,
    });
    try {
      return await new Migrating(migration, storages, given, context, journal).run(engine);
    } finally {
      await engine.close();
    }
  } finally {
    journal.close();
  }
}

/** As a copy has them that was given nothing. */
function engineOptions({ journal }: Migration): MigrationEngineInput['options'] {
  const threads = defaultThreads();
  return {
    layout: 'registry',
    threads,
    concurrency: 'auto',
    partBytes: 'auto',
    memoryBytes: defaultMemoryBytes(threads),
    engine: 'direct',
    serverSide: 'auto',
    readsTwice: false,
    readsBack: false,
    outageMsMax: OUTAGE_MS_DEFAULT,
    journalDirectory: join(journal, 'copy'),
  };
}

function demandFlags({ undo, until, startAt }: MigrateArguments): void {
  if (undo && (until !== undefined || startAt !== undefined)) {
    throw new ConfigError('--undo takes everything back, and goes with neither --until nor --start-at');
  }
}

/** What makes two runs the same migration; the rest of the file may be corrected in between. */
function identityOf({ platform }: Migration, { source, target }: Storages): string {
  const around =
    platform.kind === 'msr' ? `procedure ${platform.procedure} of ${platform.url}` : 'no platform';
  return `${storageIdentity(source)} to ${storageIdentity(target)}, ${around}`;
}

class Migrating {
  readonly #migration: Migration;
  readonly #storages: Storages;
  readonly #given: MigrateArguments;
  readonly #context: CommandContext;
  readonly #journal: SagaJournal;
  /** The run that had ended when the program began. */
  readonly #endedBefore: string | undefined;
  readonly #progress: EngineProgressLine;
  /** The whole plan, with what each step changes. */
  #hasShownPlan = false;

  constructor(
    migration: Migration,
    storages: Storages,
    given: MigrateArguments,
    context: CommandContext,
    journal: SagaJournal,
  ) {
    this.#migration = migration;
    this.#storages = storages;
    this.#given = given;
    this.#context = context;
    this.#journal = journal;
    this.#progress = new EngineProgressLine(context.output);
    this.#endedBefore = journal.last?.end === undefined ? undefined : journal.last.id;
  }

  async run(engine: EnginePort): Promise<number> {
    const { platform } = this.#migration;
    const context = this.#context;
    const site =
      platform.kind === 'msr'
        ? await openSite(this.#migration, platform, (lines, signal) => this.#awaits(lines, signal), context)
        : undefined;
    try {
      const steps = await stepsOf(
        {
          migration: this.#migration,
          storages: this.#storages,
          engine,
          given: this.#given,
          context,
          onProgress: (progress) => this.#tell(progress),
          awaiter: (lines, signal) => this.#awaits(lines, signal),
        },
        site,
      );
      try {
        return await this.#told(await this.#saga(steps, site), steps);
      } catch (error) {
        const lines = [this.#safe(error)];
        await this.#report(steps, { outcome: 'failed', exitCode: exitCodeOfFailure(error), lines });
        throw error;
      }
    } finally {
      site?.msr.close();
    }
  }

  async #saga(steps: readonly Step[], site: MsrSite | undefined): Promise<Outcome> {
    const { until, startAt, undo } = this.#given;
    const options = this.#options(steps, site);
    if (undo) return await undoSaga(steps, this.#journal, options);
    // Not only when it is their turn: by then an hour may have gone by.
    if (until !== undefined) stepNamed(steps, until, '--until');
    if (startAt !== undefined) stepNamed(steps, startAt, '--start-at');
    this.#showPlan(steps);
    // What is found is seen before anybody is asked.
    const looked = await runSaga(steps, this.#journal, {
      ...options,
      until: 'preflight',
      startAt: this.#isOnlyLookedAt ? 'preflight' : undefined,
    });
    if (looked.is !== 'until' || until === 'preflight') return looked;
    return await runSaga(steps, this.#journal, { ...options, until, startAt });
  }

  /** Nothing was done yet: what was found may be old. */
  get #isOnlyLookedAt(): boolean {
    const { last, entries } = this.#journal;
    if (last === undefined || last.end !== undefined) return false;
    const begun = entries.filter(({ what }) => what === 'do-begun').map(({ step }) => step);
    return begun.every((step) => step === 'preflight') && !entries.some(({ what }) => what === 'turned');
  }

  #options(steps: readonly Step[], site: MsrSite | undefined): SagaOptions {
    const { output, env, signal, asker } = this.#context;
    const { yes, yesForward, json } = this.#given;
    const { platform } = this.#migration;
    const narrator = new Narrator(steps);
    return {
      signal,
      yes: yes === true,
      yesForward: yesForward === true,
      caveats: this.#caveats,
      ask: (question, asked) => asker().agrees(this.#asked(question, asked), questionOf(question), signal),
      secrets: () => (platform.kind === 'msr' ? secretsOf(platform, env) : []),
      ...(site ? { stuck: (progress, asked) => stuckNow(site.msr, progress, asked) } : {}),
      onEntry: (entry) => {
        this.#progress.end();
        if (json) output.print(jsonLine({ event: 'step', ...entry }));
        const line = narrator.line(entry);
        if (line !== undefined) output.say(line);
      },
    };
  }

  #tell(progress: EngineProgress): void {
    if (this.#given.json) this.#context.output.print(jsonLine({ event: 'engine', ...progress }));
    else this.#progress.tell(progress);
  }

  #showPlan(steps: readonly Step[]): void {
    const { output } = this.#context;
    output.say(
      `${storageName(this.#storages.source)} → ${storageName(this.#storages.target)}, in these steps:`,
    );
    const { last } = this.#journal;
    const progress = progressOf(steps, last?.end === undefined ? this.#journal.entries : []);
    const isBegun = steps.some(({ id }) => id !== 'preflight' && progress.of(id).state !== 'fresh');
    const lines = isBegun ? progressLines(steps, progress) : planLines(steps);
    for (const line of [...lines, ...this.#caveatLines]) output.say(line);
    this.#hasShownPlan = !isBegun;
  }

  /** What each step changes, unless that has just been read; and before the point of no return once more. */
  #asked(question: Question, steps: readonly Step[]): readonly string[] {
    if (question === 'forward') return [...planLines(steps), ...this.#caveatLines];
    return question === 'undo' || this.#hasShownPlan ? titleLines(steps) : planLines(steps);
  }

  get #caveatLines(): readonly string[] {
    return this.#caveats.map((caveat) => `caveat: ${caveat}`);
  }

  /** What every report of this migration says, however it ended. */
  get #caveats(): readonly string[] {
    return caveatsOf(this.#migration, this.#given);
  }

  /** What the final pass left out, in this run of the program or in an earlier one. */
  get #damage(): readonly string[] {
    return damageCaveats(keptDamage({ get: (name) => this.#journal.get(FINAL_PASS, name) }));
  }

  async #awaits(lines: readonly string[], signal: AbortSignal): Promise<boolean> {
    return await this.#context.asker().agrees(lines, 'Is it done?', signal);
  }

  async #told(outcome: Outcome, steps: readonly Step[]): Promise<number> {
    const { output } = this.#context;
    const exitCode = exitCodeOfOutcome(outcome);
    const changed = changedSteps(steps, progressOf(steps, this.#journal.entries));
    const lines = [
      ...outcomeText(outcome, steps, changed),
      ...this.#afterwards(outcome),
      ...this.#caveats,
      ...this.#damage,
    ];
    const file = await this.#report(steps, { outcome: outcome.is, exitCode, lines });
    if (file !== undefined) lines.push(`Report: ${file}`);
    if (this.#given.json) output.print(jsonLine({ event: 'summary', outcome: outcome.is, exitCode, lines }));
    else for (const line of lines) output.print(line);
    return exitCode;
  }

  #afterwards(outcome: Outcome): readonly string[] {
    return outcome.is === 'done' && !outcome.wasDone ? afterwards(this.#migration) : [];
  }

  /** What went well or wrong stays so where a report of it cannot be written: that is told, and changes nothing. */
  async #report(steps: readonly Step[], latest: ReportInput['latest']): Promise<string | undefined> {
    const { report: folder } = this.#migration;
    const { last } = this.#journal;
    // An older run has its report already, and this program has added nothing to it.
    if (last?.end !== undefined && last.id === this.#endedBefore) return undefined;
    try {
      const about = aboutOf(this.#migration, this.#storages);
      const report = reportOf({ about, steps, log: this.#journal, latest, damage: this.#damage });
      if (!report) return undefined;
      const file = join(folder, `migration-${report.run}.json`);
      await writePrivately(file, `${JSON.stringify(report, undefined, 2)}\n`);
      return file;
    } catch (error) {
      this.#context.output.say(`warning: the report cannot be written to ${folder}: ${this.#safe(error)}`);
      return undefined;
    }
  }

  #safe(error: unknown): string {
    const { platform } = this.#migration;
    const said = error instanceof Error ? error.message : String(error);
    const secrets = platform.kind === 'msr' ? secretsOf(platform, this.#context.env) : [];
    return withoutSecrets(said, secrets, '***');
  }
}
