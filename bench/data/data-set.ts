/** What a place must hold: paths and sizes; digests follow from the paths. */
import type { BenchObject } from './objects.ts';

export interface DataSet {
  /** Bytes by path. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly bytes: number;
}

export type SetName = 'half' | 'full';

/** The workload, and its half: the difference of two runs is the cost of the objects without that of the start. */
export type DataSets = Readonly<Record<SetName, DataSet>>;

export class DataSetBuilder {
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  add({ path, sizeBytes }: Pick<BenchObject, 'path' | 'sizeBytes'>): void {
    this.#sizes.set(path, sizeBytes);
    this.#bytes += sizeBytes;
  }

  get set(): DataSet {
    return { sizes: this.#sizes, bytes: this.#bytes };
  }
}
