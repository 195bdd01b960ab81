/** What a request to the direct engine's HTTP client looks like, and what comes back. */

export interface Origin {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
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
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Size of the body; 0 without one. */
  readonly bodyBytes: number;
  /** Takes the body of a 2xx answer; other answers are collected. */
  readonly into?: Uint8Array;
  /** How many bytes of a collected body are acceptable. */
  readonly collectBytesMax: number;
  /** How long the answer's head may take, counted from the end of sending. */
  readonly headTimeoutMs: number;
  /** A connection of its own, not one that was used before. */
  readonly isFresh?: boolean;
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
  constructor(fault: WireFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'WireError';
    this.fault = fault;
  }
}
