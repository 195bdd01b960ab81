/** A Prometheus histogram whose observations are made elsewhere, by worker threads that count in shared memory. */
import { Histogram } from 'prom-client';

/** One row of labels: counts per bucket, not cumulative, the last one for everything above the largest bound. */
export interface HistogramRow<L extends string> {
  readonly labels: Readonly<Record<L, string>>;
  readonly buckets: readonly number[];
  readonly sum: number;
}

interface SharedHistogramOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
  /** Upper bounds, ascending. */
  readonly bounds: readonly number[];
  /** Asked at every scrape. */
  readonly read: () => readonly HistogramRow<L>[];
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly sharedLabels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Exported {
  readonly name: string;
  readonly help: string;
  readonly type: 'histogram';
  readonly aggregator: 'sum';
  readonly values: readonly Sample[];
}

/**
 * prom-client can observe values one by one but not take finished buckets. Both its registry and its own `get` ask a
 * histogram for `getForPromString` (15.1.3, lib/registry.js and lib/histogram.js), which the package's types leave out;
 * here it answers with the rows as they are now.
 */
export class SharedHistogram<L extends string> extends Histogram<L> {
  readonly #options: SharedHistogramOptions<L>;

  constructor(options: SharedHistogramOptions<L>) {
    super({
      name: options.name,
      help: options.help,
      labelNames: [...options.labelNames],
      buckets: [...options.bounds],
      registers: [],
    });
    this.#options = options;
  }

  async getForPromString(): Promise<Exported> {
    const { name, help, read } = this.#options;
    return {
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: read().flatMap((row) => this.#samplesOf(row)),
    };
  }

  #samplesOf({ labels, buckets, sum }: HistogramRow<L>): readonly Sample[] {
    const { name, bounds } = this.#options;
    let below = 0;
    const cumulative = [...bounds, '+Inf'].map((bound, index) => {
      below += buckets[index] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le: bound }, sharedLabels: labels, value: below };
    });
    return [
      ...cumulative,
      { metricName: `${name}_sum`, labels: {}, sharedLabels: labels, value: sum },
      { metricName: `${name}_count`, labels: {}, sharedLabels: labels, value: below },
    ];
  }
}
