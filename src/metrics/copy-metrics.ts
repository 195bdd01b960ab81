/**
 * Everything a copy shows to Prometheus. Workers count in shared memory and know nothing of this; the sums are read when
 * a scrape asks, so a metric costs nothing between scrapes. No label ever holds a key, a path or a repository.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ReadFlow } from '../coordinator/concurrency.ts';
import { REQUEST_CLASSES } from '../core/concurrency/permit-memory.ts';
import {
  CLASSES,
  type CounterReader,
  LATENCY_BUCKETS,
  OBJECT_STATES,
  OPERATIONS,
  OUTCOMES,
  type PlainCounter,
  SIDES,
  type Side,
} from '../core/counters.ts';
import type { CopyListener } from '../core/events.ts';
import { Outages } from '../core/outages.ts';
import { SHARD_STATES, ShardBoard } from './shard-board.ts';
import { type HistogramRow, SharedHistogram } from './shared-histogram.ts';

export interface CopyMetricsOptions {
  /** `fs`, `s3`, …: the `backend` label of each side. */
  readonly backends: Readonly<Record<Side, string>>;
  readonly version: string;
}

export class CopyMetrics {
  readonly registry = new Registry();
  readonly #options: CopyMetricsOptions;
  readonly #shards = new ShardBoard();
  readonly #outages = new Outages();
  #counters: CounterReader | undefined;
  #flows: ReadFlow | undefined;

  constructor(options: CopyMetricsOptions) {
    this.#options = options;
    collectProcessMetrics(this.registry);
    this.#addBuildInfo();
    this.#addObjects();
    this.#addRequests();
    this.#addGauges();
    this.#addFlows();
    this.#addOutages();
    this.#addPlainCounters();
  }

  /** Until the workers' counters exist, everything they would count is 0. */
  readonly useCounters = (counters: CounterReader): void => {
    this.#counters = counters;
  };

  readonly useFlows = (read: ReadFlow): void => {
    this.#flows = read;
  };

  readonly onEvent: CopyListener = (event) => {
    this.#shards.hear(event);
    this.#outages.hear(event, performance.now());
  };

  #addBuildInfo(): void {
    const info = new Gauge({
      name: 'blobferry_build_info',
      help: 'Always 1; the labels tell the version of blobferry and of Node.',
      labelNames: ['version', 'node'],
      registers: [this.registry],
    });
    info.set({ version: this.#options.version, node: process.versions.node }, 1);
  }

  #addObjects(): void {
    const labelNames = ['class', 'state'] as const;
    this.#counter(
      'blobferry_objects_total',
      'Objects by class and by what became of them.',
      labelNames,
      (add) => {
        for (const [objectClass, state] of pairs(CLASSES, OBJECT_STATES)) {
          add({ class: objectClass, state }, this.#counters?.objects(state, objectClass));
        }
      },
    );
    this.#counter(
      'blobferry_object_bytes_total',
      'Bytes of the objects in blobferry_objects_total.',
      labelNames,
      (add) => {
        for (const [objectClass, state] of pairs(CLASSES, OBJECT_STATES)) {
          add({ class: objectClass, state }, this.#counters?.bytes(state, objectClass));
        }
      },
    );
    this.#counter(
      'blobferry_integrity_failures_total',
      'Objects whose bytes are not what they must be: damaged, or in conflict with what the target holds.',
      ['class', 'state'],
      (add) => {
        for (const [objectClass, state] of pairs(CLASSES, ['damaged', 'conflict'] as const)) {
          add({ class: objectClass, state }, this.#counters?.objects(state, objectClass));
        }
      },
    );
  }

  #addRequests(): void {
    const labelNames = ['backend', 'side', 'operation'] as const;
    const backend = (side: Side) => this.#options.backends[side];
    this.#counter(
      'blobferry_requests_total',
      'Requests to a backend by operation and outcome.',
      [...labelNames, 'outcome'],
      (add) => {
        for (const [side, operation] of pairs(SIDES, OPERATIONS)) {
          for (const outcome of OUTCOMES) {
            const count = this.#counters?.requests(side, operation, outcome);
            add({ backend: backend(side), side, operation, outcome }, count);
          }
        }
      },
    );
    this.#counter('blobferry_retries_total', 'Requests that were repeated.', labelNames, (add) => {
      for (const [side, operation] of pairs(SIDES, OPERATIONS)) {
        add({ backend: backend(side), side, operation }, this.#counters?.retries(side, operation));
      }
    });
    this.#counter(
      'blobferry_wire_bytes_total',
      'Bytes of object content that crossed the wire, repeated ones included.',
      ['backend', 'side'],
      (add) => {
        for (const side of SIDES) add({ backend: backend(side), side }, this.#counters?.wire(side));
      },
    );
    const histogram = new SharedHistogram({
      name: 'blobferry_request_seconds',
      help: 'Time from sending a request to having its whole answer. Operations that were never used are not shown.',
      labelNames,
      bounds: LATENCY_BUCKETS,
      read: () => this.#latencyRows(),
    });
    this.registry.registerMetric(histogram);
  }

  #latencyRows(): readonly HistogramRow<'backend' | 'side' | 'operation'>[] {
    const counters = this.#counters;
    if (counters === undefined) return [];
    return pairs(SIDES, OPERATIONS).flatMap(([side, operation]) => {
      const { buckets, sumSeconds } = counters.latency(side, operation);
      if (buckets.every((count) => count === 0)) return [];
      return [
        { labels: { backend: this.#options.backends[side], side, operation }, buckets, sum: sumSeconds },
      ];
    });
  }

  #addGauges(): void {
    const gauges = [
      ['blobferry_bytes_in_flight', 'Bytes of objects being moved now.', 'bytesInFlight'],
      ['blobferry_objects_in_flight', 'Objects being moved now.', 'objectsInFlight'],
      ['blobferry_workers_busy', 'Worker threads running a shard now.', 'workersBusy'],
      ['blobferry_slab_bytes', 'Bytes of buffer memory in use now.', 'slabBytesUsed'],
    ] as const;
    for (const [name, help, gauge] of gauges) {
      this.#gauge(name, help, [], (set) => set({}, this.#counters?.gauge(gauge)));
    }
    this.#gauge('blobferry_shards', 'Shards of this pass by state.', ['state'], (set) => {
      const counts = this.#shards.counts();
      for (const state of SHARD_STATES) set({ state }, counts[state]);
    });
  }

  #addFlows(): void {
    const labelNames = ['backend', 'side', 'class'] as const;
    const { backends } = this.#options;
    const gauges = [
      ['blobferry_requests_in_flight', 'Requests sent and not answered yet.', 'inFlight'],
      [
        'blobferry_requests_in_flight_limit',
        'Requests that may be in flight now; infinite where --concurrency is a number.',
        'window',
      ],
      [
        'blobferry_requests_per_second_limit',
        'Requests a second that are sent now at most, as the server refused some; infinite where it did not.',
        'perSecond',
      ],
    ] as const;
    for (const [name, help, value] of gauges) {
      this.#gauge(name, help, labelNames, (set) => {
        for (const [side, requestClass] of pairs(SIDES, REQUEST_CLASSES)) {
          const state = this.#flows?.(side, requestClass);
          const labels = { backend: backends[side], side, class: requestClass };
          set(labels, state && (state[value] ?? Number.POSITIVE_INFINITY));
        }
      });
    }
  }

  #addOutages(): void {
    const labelNames = ['backend', 'side'] as const;
    const { backends } = this.#options;
    const help = 'Threads that wait for a backend which does not answer.';
    this.#gauge('blobferry_backend_waiting_threads', help, labelNames, (set) => {
      for (const side of SIDES) set({ backend: backends[side], side }, this.#outages.threadsWaiting(side));
    });
    const helpSeconds = 'Time during which a backend did not answer and was waited for.';
    this.#counter('blobferry_backend_outage_seconds_total', helpSeconds, labelNames, (add) => {
      for (const side of SIDES) {
        add({ backend: backends[side], side }, this.#outages.totalMs(side, performance.now()) / 1000);
      }
    });
  }

  #addPlainCounters(): void {
    const counters: readonly (readonly [string, string, PlainCounter])[] = [
      ['blobferry_unproved_objects_total', 'Objects copied without a proof that they are right.', 'unproved'],
      [
        'blobferry_left_out_objects_total',
        'Objects of the source that are not part of the registry.',
        'leftOut',
      ],
      [
        'blobferry_sorted_shards_total',
        'Shards whose listing came out of order and was sorted.',
        'sortedShards',
      ],
      ['blobferry_restarted_objects_total', 'Objects begun again because they changed.', 'restartedObjects'],
      ['blobferry_wrong_reads_total', 'Reads that gave changed bytes and were made again.', 'wrongReads'],
      ['blobferry_wrong_writes_total', 'Bodies that arrived changed and were sent again.', 'wrongWrites'],
      ['blobferry_server_side_objects_total', 'Objects that the service copied by itself.', 'serverSide'],
      ['blobferry_server_side_bytes_total', 'Bytes of these objects.', 'bytesServerSide'],
      [
        'blobferry_server_side_wrong_total',
        'Copies of the service that were not right, removed and read anew.',
        'serverCopiesWrong',
      ],
      ['blobferry_reused_bytes_total', 'Bytes of parts an interrupted run had sent.', 'bytesReused'],
    ];
    for (const [name, help, counter] of counters) {
      this.#counter(name, help, [], (add) => add({}, this.#counters?.count(counter)));
    }
    this.#addProofs();
    this.#counter(
      'blobferry_shards_split_total',
      'Shards that others gave away while they ran, so that no thread was idle.',
      [],
      (add) => add({}, this.#shards.split),
    );
    this.#counter(
      'blobferry_listed_objects_total',
      'Objects seen in listings.',
      ['backend', 'side'],
      (add) => {
        const { backends } = this.#options;
        add({ backend: backends.source, side: 'source' }, this.#counters?.count('listedSource'));
        add({ backend: backends.target, side: 'target' }, this.#counters?.count('listedTarget'));
      },
    );
  }

  #addProofs(): void {
    const help = 'Objects copied, by what they are known to be right.';
    this.#counter('blobferry_proved_objects_total', help, ['by'], (add) => {
      for (const [by, counter] of PROOFS) add({ by }, this.#counters?.count(counter));
    });
  }

  /** A counter that is told its values at each scrape; the sums only ever grow, as Prometheus expects. */
  #counter<L extends string>(name: string, help: string, labelNames: readonly L[], read: Read<L>): void {
    new Counter<L>({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        // What a second way through will find equal is taken from `skipped` in advance: for a while less than nothing.
        read((labels, value = 0) => this.inc(labels, Math.max(0, value)));
      },
    });
  }

  #gauge<L extends string>(name: string, help: string, labelNames: readonly L[], read: Read<L>): void {
    new Gauge<L>({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        read((labels, value = 0) => this.set(labels, value));
      },
    });
  }
}

const PROOFS = [
  ['digest', 'provedDigest'],
  ['service', 'provedService'],
  ['read_back', 'provedReadBack'],
  ['stored', 'provedStored'],
  ['twice', 'provedTwice'],
  ['none', 'unproved'],
] as const;

type Read<L extends string> = (
  put: (labels: Partial<Record<L, string>>, value: number | undefined) => void,
) => void;

/** Three of the package's own gauges end in `_total`, which Prometheus keeps for counters. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

function collectProcessMetrics(register: Registry): void {
  collectDefaultMetrics({ register });
  for (const name of MISNAMED) register.removeSingleMetric(name);
}

function pairs<A, B>(first: readonly A[], second: readonly B[]): readonly (readonly [A, B])[] {
  return first.flatMap((a) => second.map((b) => [a, b] as const));
}
