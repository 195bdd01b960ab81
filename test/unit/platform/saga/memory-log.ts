/** The journal of a saga without a disk, for tests that need thousands of them. It outlives the process it pretends to have. */
import type { Entry, Json, RunEnd, RunRecord, SagaLog } from '../../../../src/platform/saga/saga-log.ts';

export class MemoryLog implements SagaLog {
  readonly runs: RunRecord[] = [];
  readonly all: { readonly run: string; readonly entry: Entry }[] = [];
  readonly kept = new Map<string, { readonly value: string; readonly isFirst: boolean }>();
  /** Called before and after each write, and may throw: the process ends there. */
  readonly #onWrite: (isDone: boolean) => void;

  constructor(onWrite: (isDone: boolean) => void = () => undefined) {
    this.#onWrite = onWrite;
  }

  get last(): RunRecord | undefined {
    return this.runs.at(-1);
  }

  get entries(): readonly Entry[] {
    return this.all.filter(({ run }) => run === this.last?.id).map(({ entry }) => entry);
  }

  begin(plan: string): RunRecord {
    if (this.last && this.last.end === undefined) throw new Error('A run is open already');
    const id = String(this.runs.length + 1).padStart(12, '0');
    return this.#write(() => {
      const run = { id, beganMs: Date.now(), end: undefined, endedMs: undefined, plan };
      this.runs.push(run);
      return run;
    });
  }

  end(end: RunEnd): void {
    const run = this.#open;
    this.#write(() => this.runs.splice(-1, 1, { ...run, end, endedMs: Date.now() }));
  }

  append(entry: Entry): void {
    const { id } = this.#open;
    this.#write(() => this.all.push({ run: id, entry }));
  }

  reset(entry: Entry): void {
    const { id } = this.#open;
    this.#write(() => {
      this.all.push({ run: id, entry });
      for (const [key, { isFirst }] of this.kept) {
        if (!isFirst && key.startsWith(`${id} ${entry.step} `)) this.kept.delete(key);
      }
    });
  }

  get(step: string, name: string): Json | undefined {
    const kept = this.kept.get(`${this.last?.id ?? ''} ${step} ${name}`);
    return kept === undefined ? undefined : (JSON.parse(kept.value) as Json);
  }

  put(step: string, name: string, value: Json, isFirst: boolean): void {
    const key = `${this.#open.id} ${step} ${name}`;
    this.#write(() => this.kept.set(key, { value: JSON.stringify(value), isFirst }));
  }

  get #open(): RunRecord {
    const { last } = this;
    if (last === undefined || last.end !== undefined) throw new TypeError('No run is open');
    return last;
  }

  #write<T>(work: () => T): T {
    this.#onWrite(false);
    const result = work();
    this.#onWrite(true);
    return result;
  }
}
