/** What the server has done since it started. */
import type { OperationName } from './s3/route.ts';

/** `Name`: of operations. */
export interface S3ServerStats<Name extends string = OperationName | 'Unknown'> {
  readonly requests: number;
  readonly requestsByOperation: Readonly<Partial<Record<Name, number>>>;
  readonly responsesByStatus: Readonly<Record<string, number>>;
  /** Counts of the codes that were answered, such as `BadDigest`: what the server refused. */
  readonly errorsByCode: Readonly<Record<string, number>>;
  /** On the wire, heads included (and without TLS's own). */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly connections: number;
  readonly openConnections: number;
  /** At once, from a request's head to the end of its answer: the most there ever were. */
  readonly requestsInFlightMax: number;
  /** Of the server's thread, or of its whole process where it has one of its own. */
  readonly cpuSeconds: number;
  /** Of the process that it runs in. */
  readonly rssBytes: number;
  /** Since the server began to count. */
  readonly uptimeSeconds: number;
  /** Answers in each second since then; the last one is not over. */
  readonly seconds: readonly SecondCounts[];
  /** Bodies of 1 MiB and more: their bytes, and for how long they were on their way, all together. */
  readonly largeBodiesIn: Transfers;
  readonly largeBodiesOut: Transfers;
}

export interface SecondCounts {
  readonly accepted: number;
  /** Answered 503. */
  readonly refused: number;
}

export interface Transfers {
  readonly bytes: number;
  readonly seconds: number;
}

const LARGE_BODY_BYTES_MIN = 1024 ** 2;

export class StatsCounter<Name extends string = OperationName | 'Unknown'> {
  readonly #operations = new Map<Name | 'Unknown', number>();
  readonly #statuses = new Map<number, number>();
  readonly #codes = new Map<string, number>();
  readonly #startedMs = performance.now();
  readonly #seconds: { accepted: number; refused: number }[] = [];
  readonly #bodies = { in: { bytes: 0, seconds: 0 }, out: { bytes: 0, seconds: 0 } };
  bytesIn = 0;
  bytesOut = 0;
  connections = 0;
  #inFlight = 0;
  #inFlightMax = 0;

  began(): void {
    this.#inFlight += 1;
    this.#inFlightMax = Math.max(this.#inFlightMax, this.#inFlight);
  }

  ended(): void {
    this.#inFlight -= 1;
  }

  answered(operation: Name | undefined, status: number, code: string | undefined): void {
    add(this.#operations, operation ?? 'Unknown');
    add(this.#statuses, status);
    if (code !== undefined) add(this.#codes, code);
    const counts = this.#second(Math.floor((performance.now() - this.#startedMs) / 1000));
    if (status === 503) counts.refused += 1;
    else counts.accepted += 1;
  }

  /** @param sinceMs of `performance.now()`. */
  moved(direction: 'in' | 'out', bytes: number, sinceMs: number): void {
    if (bytes < LARGE_BODY_BYTES_MIN) return;
    this.#bodies[direction].bytes += bytes;
    this.#bodies[direction].seconds += (performance.now() - sinceMs) / 1000;
  }

  #second(index: number): { accepted: number; refused: number } {
    while (this.#seconds.length <= index) this.#seconds.push({ accepted: 0, refused: 0 });
    const counts = this.#seconds[index];
    if (!counts) throw new RangeError(`There is no second ${index}`);
    return counts;
  }

  snapshot(openConnections: number, cpuSeconds: number): S3ServerStats<Name> {
    let requests = 0;
    for (const count of this.#operations.values()) requests += count;
    return {
      requests,
      requestsByOperation: Object.fromEntries(this.#operations) as S3ServerStats<Name>['requestsByOperation'],
      responsesByStatus: Object.fromEntries(this.#statuses),
      errorsByCode: Object.fromEntries(this.#codes),
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      connections: this.connections,
      openConnections,
      requestsInFlightMax: this.#inFlightMax,
      cpuSeconds,
      rssBytes: process.memoryUsage.rss(),
      uptimeSeconds: (performance.now() - this.#startedMs) / 1000,
      seconds: this.#seconds,
      largeBodiesIn: this.#bodies.in,
      largeBodiesOut: this.#bodies.out,
    };
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
