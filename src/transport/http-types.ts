/** What a request to the direct engine's HTTP client looks like, and what comes back. */
import { BlockList, isIP } from 'node:net';

/** Names are looked up for new connections only: a run of hours must notice that a service has moved. */
export const CONNECTION_AGE_MS_MAX = 5 * 60_000;

export interface Origin {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
}

/** Are these two texts one IP address? There are several ways to write one of IPv6. */
export function isSameAddress(one: string, other: string): boolean {
  const family = isIP(one);
  if (family === 0 || family !== isIP(other)) return false;
  const list = new BlockList();
  list.addAddress(one, family === 6 ? 'ipv6' : 'ipv4');
  return list.check(other, family === 6 ? 'ipv6' : 'ipv4');
}

/** `host:port`, with brackets around an address of IPv6. */
export function authorityOf({ host, port }: Pick<Origin, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export interface TlsSettings {
  /** False for `skipverify`. */
  readonly verifies: boolean;
  /** PEM; undefined keeps Node's own set, NODE_EXTRA_CA_CERTS included. */
  readonly ca?: readonly string[];
}

export interface HttpRequest {
  readonly method: string;
  /** Path and query as they go on the wire, already encoded. */
  readonly target: string;
  /** Header lines, each ending in CRLF, `Host` included, `Content-Length` not. */
  readonly headerLines: string;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Size of the body; 0 without one. */
  readonly bodyBytes: number;
  /** Takes the body of a 2xx answer; other answers are collected. */
  readonly into?: Uint8Array | undefined;
  /** How many bytes of a collected body are acceptable. */
  readonly collectBytesMax: number;
  /** How long the answer's head may take, counted from the end of sending. */
  readonly headTimeoutMs: number;
  /** A connection of its own, not one that was used before. */
  readonly isFresh?: boolean | undefined;
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  /** Lower-case names; a repeated header keeps its last value. */
  readonly headers: ReadonlyMap<string, string>;
  /** The collected body; empty where the body went into `into`. */
  readonly body: Buffer;
  /** Bytes written to `into`. */
  readonly intoBytes: number;
  /** The body is larger than `into`: it was cut there and the connection given up. */
  readonly isOverflow: boolean;
}

/** What went wrong on the wire, before any meaning is given to it. */
export type WireFault =
  | 'connect'
  | 'tls'
  /** The proxy was not reached, or not in order, or did not reach the server: that may pass. */
  | 'proxy'
  /** The proxy refuses, and would again. */
  | 'proxy-refused'
  | 'reset'
  | 'stale'
  | 'truncated'
  | 'timeout'
  | 'too-slow'
  | 'malformed'
  | 'too-large';

/** The exchange broke; the driver turns this into its own error. `stale`: a kept connection was closed before any answer. */
export class WireError extends Error {
  readonly fault: WireFault;
  /** What to do about it, where that is known here. */
  readonly hint: string | undefined;
  constructor(fault: WireFault, message: string, cause?: unknown, hint?: string) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'WireError';
    this.fault = fault;
    this.hint = hint;
  }
}
