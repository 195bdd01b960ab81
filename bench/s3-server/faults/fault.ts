/** Misbehaviour as data, so that it crosses threads and processes. */
import type { OperationName } from '../s3/route.ts';

export type Fault =
  /** Answers this much later than it could; jitter adds a seeded random part on top. */
  | { readonly kind: 'latency'; readonly ms: number; readonly jitterMs?: number }
  /** Bounds each connection's bytes per second from the request it matches on. */
  | {
      readonly kind: 'bandwidth';
      readonly bytesPerSecond: number;
      readonly direction?: 'up' | 'down' | 'both';
    }
  /** More requests than this are answered 503 SlowDown, before their body is read. `burst` defaults to one second's worth. */
  | {
      readonly kind: 'request-rate';
      readonly perSecond: number;
      readonly burst?: number;
      /** Default 1; 0: nothing is said of it. */
      readonly retryAfterSeconds?: number;
    }
  /** Any answer instead of the right one; `head` (default): at once, `body`: when the body has been received. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly code: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
      readonly headers?: readonly (readonly [string, string])[];
      readonly when?: 'head' | 'body';
    }
  /** Closes the connection behind this many bytes of the response's body. */
  | { readonly kind: 'cut-response'; readonly afterBytes: number }
  /** Resets the connection when this many bytes of the request's body have come. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number }
  /** Resets the connection when the head has come. */
  | { readonly kind: 'reset' }
  /** Reads and keeps silent; for ever, or resets after `ms`. */
  | { readonly kind: 'hang'; readonly ms?: number }
  /** Turns one bit of the response's body over. */
  | { readonly kind: 'flip-response'; readonly offset: number; readonly bit?: number }
  /** Turns one bit of the received payload over before anything is checked. */
  | { readonly kind: 'flip-request'; readonly offset: number; readonly bit?: number }
  /** Does what was asked, then resets the connection instead of answering. */
  | { readonly kind: 'lost-reply' }
  /** CopyObject and UploadPartCopy: turns one bit of what they make over; the ETag of CopyObject stays the source's. */
  | { readonly kind: 'flip-copy'; readonly offset: number; readonly bit?: number }
  /** Leaves keys out of listings that were written within this time. */
  | { readonly kind: 'stale-listing'; readonly hideWrittenWithinMs: number }
  /**
   * `page` (default): gives the entries of a page in descending order. `listing`: in an order that follows from a hash of
   * their names, over all pages, and takes no start, as S3's directory buckets do.
   */
  | { readonly kind: 'unordered-listing'; readonly over?: 'page' | 'listing' }
  /**
   * Answers a range with as many bytes from elsewhere in the object. `told`: Content-Range says where they are from;
   * `silent`: it says what was asked for. Cannot take effect where the whole object was asked for.
   */
  | { readonly kind: 'wrong-range'; readonly shiftBytes: number; readonly how: 'told' | 'silent' }
  /** Does what was asked twice, one after the other, and answers for the second time: a proxy that repeats requests. */
  | { readonly kind: 'duplicate-request' }
  /** Sends the whole answer twice over the same connection. */
  | { readonly kind: 'duplicate-response' }
  /** Answers 200 with an error for a body, and does nothing. */
  | { readonly kind: 'error-in-200'; readonly code: string; readonly message?: string }
  /** Replaces the object before the request is carried out: same size with every byte changed, or `content`. */
  | { readonly kind: 'replace-object'; readonly content?: Uint8Array };

export type FaultKind = Fault['kind'];

export interface FaultRule {
  readonly fault: Fault;
  readonly operation?: OperationName | readonly OperationName[];
  readonly method?: string;
  readonly bucket?: string;
  /** The whole key. */
  readonly key?: string;
  readonly keyPrefix?: string;
  /** Lets this many matching requests pass first. */
  readonly skip?: number;
  /**
   * How many requests it befalls. Default: all of them for latency, bandwidth, request-rate and listings and where a
   * probability is given; else one.
   */
  readonly times?: number;
  /** Chance of each matching request, from a generator that `seed` starts: the same seed, the same sequence. */
  readonly probability?: number;
  readonly seed?: number;
}

/** One rule, or several that are installed together. */
export type FaultScript = FaultRule | readonly FaultRule[];

export interface FaultHandle {
  /** How often each rule of the script took effect, in their order. */
  used(): Promise<readonly number[]>;
  /** Rejects unless every rule took effect as often as its `times` says (where that is unbounded: at least once). */
  assertUsedUp(): Promise<void>;
  /** Ends the misbehaviour; what it did stays counted. */
  remove(): Promise<void>;
}
