/** The whole bench: trials, then each cell with all copiers in turn, and a line for everything that happened. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CopierSearch, type FoundCopier, isFound, type MissingCopier } from '../copiers/copier.ts';
import type { SetName } from '../data/data-set.ts';
import { type BenchObject, objectsOf, trialObjects } from '../data/objects.ts';
import { floorsOf, measureFloor } from '../floors/floors.ts';
import { describeMachine, load } from '../measure/machine.ts';
import { SpeedGauge, usageOf } from '../measure/usage.ts';
import {
  type Cell,
  hasService,
  type PlannedCell,
  type Route,
  type Scheme,
  type StorageKind,
  sourceOf,
  targetOf,
} from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';
import type { BenchLine } from '../records.ts';
import { makeCertificate } from '../support/certificate.ts';
import { runOnce, type Stage } from './run-once.ts';
import type { SourceSide } from './side.ts';
import { openSource, openTarget, type Tls } from './sides.ts';
import { runTrial, trialsOf } from './trials.ts';

export interface BenchPlan {
  readonly cells: readonly PlannedCell[];
  readonly searches: readonly CopierSearch[];
  readonly parameters: Parameters;
  readonly isQuick: boolean;
  readonly withTrials: boolean;
  /** Only the whole workload, not its half: no cost per object without the start. */
  readonly sets: readonly SetName[];
  /** Of the peers, where it differs. */
  readonly peerSets?: readonly SetName[];
  /** Where the files of sources and targets lie. */
  readonly folder: string | undefined;
  /** True MD5 ETags in every target. */
  readonly hasMd5Etags: boolean;
}

/** Called for each line as soon as it is known. */
export type WriteLine = (line: BenchLine) => void;

/** @param writers one for each bench that is run; the repetitions of several take turns. */
export async function runBench(plan: BenchPlan, writers: readonly WriteLine[]): Promise<void> {
  const started = performance.now();
  const folder = mkdtempSync(join(plan.folder ?? tmpdir(), 'blobferry-bench-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    const bench = new Bench(plan, writers, folder);
    const write = (line: BenchLine): void => writers.forEach((one) => void one(line));
    write({
      kind: 'bench',
      format: 1,
      at: new Date().toISOString(),
      isQuick: plan.isQuick,
      parameters: plan.parameters,
      machine: describeMachine(),
      copiers: bench.copiers.map(({ name, version }) => ({ name, version })),
      missing: plan.searches.filter((one): one is MissingCopier => !isFound(one)),
    });
    if (plan.withTrials) await bench.runTrials();
    await bench.runCells();
    const seconds = Math.round((performance.now() - started) / 1000);
    write({ kind: 'end', at: new Date().toISOString(), seconds, load: load() });
  } finally {
    remove();
    process.off('exit', remove);
  }
}

const MIB = 1024 ** 2;

class Bench {
  readonly copiers: readonly FoundCopier[];
  readonly #plan: BenchPlan;
  readonly #writers: readonly WriteLine[];
  readonly #folder: string;
  readonly #tls: Tls;
  readonly #caFile: string;
  readonly #gauge: SpeedGauge;
  /** Bytes that both servers sent in the last run. */
  readonly #listed = new Map<SetName, number>();

  constructor(plan: BenchPlan, writers: readonly WriteLine[], folder: string) {
    this.copiers = plan.searches.filter(isFound);
    this.#gauge = new SpeedGauge(plan.isQuick ? 64 * MIB : 512 * MIB);
    this.#plan = plan;
    this.#writers = writers;
    this.#folder = folder;
    this.#tls = makeCertificate({ names: ['127.0.0.1', 'localhost'] });
    this.#caFile = join(folder, 'ca.pem');
    writeFileSync(this.#caFile, this.#tls.cert);
  }

  async runTrials(): Promise<void> {
    const ways = new Map<string, { readonly route: Route; readonly scheme: Scheme }>();
    for (const { route, scheme } of this.#plan.cells) {
      // Bits are turned over by the embedded S3 server.
      if (!hasService(route)) ways.set(`${route}/${scheme}`, { route, scheme });
    }
    // Each way takes a minute with all copiers, and a smoke test has none to spare.
    for (const { route, scheme } of [...ways.values()].slice(0, this.#plan.isQuick ? 1 : ways.size)) {
      const objects = [...trialObjects(this.#plan.parameters)];
      await this.#withSource(scheme, sourceOf(route), objects, async (source) => {
        await this.#withStage({ route, scheme }, source, undefined, async (stage) => {
          for (const copier of this.copiers) await this.#tryCopier(stage, route, scheme, copier);
        });
      });
    }
  }

  #writeAll(line: BenchLine): void {
    for (const write of this.#writers) write(line);
  }

  async #tryCopier(stage: Stage, route: Route, scheme: Scheme, copier: FoundCopier): Promise<void> {
    if (copier.cannot(route) !== undefined) return;
    for (const trial of trialsOf(route)) {
      const record = await runTrial(stage, { route, scheme, copier, trial });
      this.#writeAll(record);
      if (record.outcome === 'failed') return;
    }
  }

  /** Cells with the same source follow one another, so that it is filled once. */
  async runCells(): Promise<void> {
    const groups = Map.groupBy(
      this.#plan.cells,
      ({ workload, scheme, route }) => `${workload}/${scheme}/${sourceOf(route)}`,
    );
    for (const cells of groups.values()) {
      const [first] = cells;
      if (!first) continue;
      const objects = (): Iterable<BenchObject> => objectsOf(first.workload, this.#plan.parameters);
      await this.#withSource(first.scheme, sourceOf(first.route), objects(), async (source) => {
        for (const cell of cells) {
          const prefilled = cell.workload === 'listing' ? objects() : undefined;
          await this.#withStage(cell, source, prefilled, (stage) => this.#runCell(stage, cell));
        }
      });
    }
  }

  async #withSource(
    scheme: Scheme,
    kind: StorageKind,
    objects: Iterable<BenchObject>,
    use: (source: SourceSide) => Promise<void>,
  ): Promise<void> {
    const folder = join(this.#folder, 'source');
    const source = await openSource({ kind, scheme, tls: this.#tls, folder }, objects);
    try {
      await use(source);
    } finally {
      await source.close();
    }
  }

  async #withStage(
    { route, scheme, workload, condition }: Pick<Cell, 'route' | 'scheme'> & Partial<Cell>,
    source: SourceSide,
    prefilled: Iterable<BenchObject> | undefined,
    use: (stage: Stage) => Promise<void>,
  ): Promise<void> {
    const folder = join(this.#folder, 'target');
    mkdirSync(folder, { recursive: true });
    const kind = targetOf(route);
    const etags = isOfBytes(workload) && !this.#plan.hasMd5Etags ? 'opaque' : 'md5';
    const checksums = condition !== 'old-target';
    const options = { kind, scheme, tls: this.#tls, folder, etags, checksums } as const;
    const target = await openTarget(options, prefilled);
    try {
      await use({
        parameters: this.#plan.parameters,
        source,
        target,
        isPrefilled: prefilled !== undefined,
        caFile: this.#caFile,
        folder: this.#folder,
        gauge: this.#gauge,
      });
    } finally {
      await target.close();
    }
  }

  async #runCell(stage: Stage, { workload, route, scheme, condition }: PlannedCell): Promise<void> {
    const cell = { workload, route, scheme, condition };
    const able = new Set(this.copiers.filter((copier) => this.#takesPart(copier, cell)));
    for (let repeat = 1; repeat <= this.#plan.parameters.repeat; repeat += 1) {
      for (const write of rotated(this.#writers, repeat - 1)) {
        const turn = { stage, cell, repeat, write };
        if (workload !== 'listing') await this.#runFloors(turn, () => undefined);
        for (const copier of rotated([...able], repeat - 1)) {
          // What has failed is shown as failed, so no further figures are needed.
          if (!(await this.#runSets(turn, copier))) able.delete(copier);
        }
        // How many bytes a listing is, the servers know when they have sent it.
        if (workload === 'listing') await this.#runFloors(turn, (set) => this.#listed.get(set));
      }
    }
  }

  #takesPart(copier: FoundCopier, cell: Cell): boolean {
    const reason = copier.cannot(cell.route);
    if (reason !== undefined) this.#writeAll({ kind: 'absence', cell, copier: copier.name, reason });
    return reason === undefined;
  }

  async #runSets({ stage, cell, repeat, write }: Turn, copier: FoundCopier): Promise<boolean> {
    const { sets, peerSets = sets } = this.#plan;
    for (const set of copier.name.startsWith('blobferry') ? sets : peerSets) {
      const record = await runOnce(stage, { cell, copier, set, repeat });
      write(record);
      this.#listed.set(set, (record.source?.bytesOut ?? 0) + (record.target?.bytesOut ?? 0));
      if (record.outcome !== 'ok') return false;
    }
    return true;
  }

  async #runFloors(
    { stage, cell, repeat, write }: Turn,
    pumpedBytesOf: (set: SetName) => number | undefined,
  ): Promise<void> {
    for (const floor of floorsOf(cell)) {
      for (const set of this.#plan.sets) {
        const pumpedBytes = pumpedBytesOf(set);
        const expected = stage.source.sets[set];
        const place = stage.source.place(set);
        const measured = await measureFloor(floor, {
          route: cell.route,
          set: expected,
          ...(pumpedBytes === undefined ? {} : { pumpedBytes }),
          ...(cell.scheme === 'https' ? { tls: this.#tls } : {}),
          folder: place.kind === 'fs' ? place.folder : undefined,
          limitSeconds: this.#plan.parameters.limitSeconds,
          scratch: this.#folder,
        });
        const usage = usageOf(measured, this.#gauge.around());
        const amount = { objects: expected.sizes.size, bytes: expected.bytes };
        const at = new Date().toISOString();
        write({ kind: 'floor', at, cell, floor, set, repeat, ...amount, ...usage });
      }
    }
  }
}

/** One repetition of one bench. */
interface Turn {
  readonly stage: Stage;
  readonly cell: Cell;
  readonly repeat: number;
  readonly write: WriteLine;
}

/** Where receiving costs by the byte, MD5s would be half of what a target's server does. */
function isOfBytes(workload: Cell['workload'] | undefined): boolean {
  return workload === 'medium' || workload === 'large' || workload === 'mixed';
}

/** Nobody always goes first. */
function rotated<T>(values: readonly T[], by: number): readonly T[] {
  const at = values.length === 0 ? 0 : by % values.length;
  return [...values.slice(at), ...values.slice(0, at)];
}
