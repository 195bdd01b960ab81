/** One request and its answer under way over a connection, and the judgement whether its bytes move fast enough. */
import { type HttpRequest, type HttpResponse, WireError } from './http-types.ts';

/**
 * A body that moves less than this per window is cut: a trickle looks alive to an idle timeout (rclone #9841). It is
 * about 1 KiB/s for one connection, so that even a line of 1 Mbit/s shared by a hundred connections is left in peace.
 */
const WINDOW_MS = 30_000;
const WINDOW_BYTES_MIN = 32 * 1024;
/** A body that does not move at all needs not be given the whole window. */
const STALL_MS = 20_000;

export interface Exchange {
  readonly request: HttpRequest;
  readonly resolve: (response: HttpResponse) => void;
  readonly reject: (error: unknown) => void;
  /** The first byte of the request was handed to the socket; what comes before belongs to no request. */
  isBegun: boolean;
  /** The last byte of the request was handed to the socket. */
  isGiven: boolean;
  /** The last byte of the request left this process. */
  isSent: boolean;
  /** All that there was to send is sent, and the body has not given its next piece. */
  isWaitingForBody: boolean;
  sentAtMs: number;
  windowAtMs: number;
  /** What this connection had moved when the window began. */
  windowFromBytes: number;
  /** When something was last seen to have moved, and what had moved by then. */
  movedAtMs: number;
  movedBytes: number;
}

type Asked = Pick<Exchange, 'request' | 'resolve' | 'reject'>;

/** @param movedBytes what the connection had moved before. */
export function newExchange(asked: Asked, nowMs: number, movedBytes: number): Exchange {
  return {
    ...asked,
    isBegun: false,
    isGiven: false,
    isSent: false,
    isWaitingForBody: false,
    sentAtMs: nowMs,
    windowAtMs: nowMs,
    windowFromBytes: movedBytes,
    movedAtMs: nowMs,
    movedBytes,
  };
}

/** The time until now counts for nothing. */
export function openWindow(exchange: Exchange, nowMs: number, movedBytes: number): void {
  exchange.movedAtMs = nowMs;
  exchange.windowAtMs = nowMs;
  exchange.windowFromBytes = movedBytes;
}

/** @returns why the exchange is to be cut; undefined where it goes on. */
export function judgePace(exchange: Exchange, nowMs: number, movedBytes: number): WireError | undefined {
  if (movedBytes !== exchange.movedBytes) exchange.movedAtMs = nowMs;
  exchange.movedBytes = movedBytes;
  const { headTimeoutMs, into } = exchange.request;
  // What is collected is short, and a server may begin it before it is done: Complete sends white space meanwhile.
  const leastMs = exchange.isSent && into === undefined ? headTimeoutMs : 0;
  const stillMs = nowMs - exchange.movedAtMs;
  const windowMs = Math.max(WINDOW_MS, leastMs);
  const isOver = nowMs - exchange.windowAtMs >= windowMs;
  if (stillMs >= Math.max(STALL_MS, leastMs))
    return new WireError('too-slow', `Nothing moved for ${Math.round(stillMs / 1000)} s`);
  if (!isOver) return undefined;
  if (movedBytes - exchange.windowFromBytes < WINDOW_BYTES_MIN) {
    const what = `Fewer than ${WINDOW_BYTES_MIN} bytes moved in ${Math.round(windowMs / 1000)} s`;
    return new WireError('too-slow', what);
  }
  exchange.windowAtMs = nowMs;
  exchange.windowFromBytes = movedBytes;
  return undefined;
}
