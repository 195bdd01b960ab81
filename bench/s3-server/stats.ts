/** What the server has done since it started. */
import type { OperationName } from './s3/route.ts';

export interface S3ServerStats {
  readonly requests: number;
  readonly requestsByOperation: Readonly<Partial<Record<OperationName | 'Unknown', number>>>;
  readonly responsesByStatus: Readonly<Record<string, number>>;
  /** Counts of the codes that were answered, such as `BadDigest`: what the server refused. */
  readonly errorsByCode: Readonly<Record<string, number>>;
  /** On the wire, heads included (and without TLS's own). */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly connections: number;
  readonly openConnections: number;
  /** Of the server's thread, or of its whole process where it has one of its own. */
  readonly cpuSeconds: number;
  /** Of the process that it runs in. */
  readonly rssBytes: number;
}

export class StatsCounter {
  readonly #operations = new Map<OperationName | 'Unknown', number>();
  readonly #statuses = new Map<number, number>();
  readonly #codes = new Map<string, number>();
  bytesIn = 0;
  bytesOut = 0;
  connections = 0;

  answered(operation: OperationName | undefined, status: number, code: string | undefined): void {
    add(this.#operations, operation ?? 'Unknown');
    add(this.#statuses, status);
    if (code !== undefined) add(this.#codes, code);
  }

  snapshot(openConnections: number, cpuSeconds: number): S3ServerStats {
    let requests = 0;
    for (const count of this.#operations.values()) requests += count;
    return {
      requests,
      requestsByOperation: Object.fromEntries(this.#operations),
      responsesByStatus: Object.fromEntries(this.#statuses),
      errorsByCode: Object.fromEntries(this.#codes),
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      connections: this.connections,
      openConnections,
      cpuSeconds,
      rssBytes: process.memoryUsage.rss(),
    };
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
