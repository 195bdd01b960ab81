/** What the requests and the bytes of a copy cost, by prices that the user gave. Nothing is assumed. */
import { OPERATIONS, type Operation, SIDES, type Side } from '../core/counters.ts';
import type { RequestCounts } from './requests.ts';

export interface SidePrices {
  /** For 1,000 requests. */
  readonly requests: Readonly<Partial<Record<Operation, number>>>;
  /** For each GiB (2^30 bytes) that leaves this side. */
  readonly egressGib?: number;
}

export interface Prices extends Readonly<Record<Side, SidePrices>> {
  /** A word such as `USD`. */
  readonly currency: string;
}

interface SideCost {
  readonly requests: number;
  readonly egress: number;
}

export interface Cost extends Readonly<Record<Side, SideCost>> {
  readonly currency: string;
  readonly total: number;
  /** Requests that are made and have no price, such as `target list`; they are not in the total. */
  readonly unpriced: readonly string[];
}

const GIB = 1024 ** 3;

export function costOf(
  prices: Prices,
  requests: RequestCounts,
  bytesRead: Readonly<Record<Side, number>>,
): Cost {
  const unpriced: string[] = [];
  const costOfSide = (side: Side): SideCost => {
    let sum = 0;
    for (const operation of OPERATIONS) {
      const count = requests[side][operation] ?? 0;
      const price = prices[side].requests[operation];
      if (count > 0 && price === undefined) unpriced.push(`${side} ${operation}`);
      sum += (count * (price ?? 0)) / 1_000;
    }
    if (bytesRead[side] > 0 && prices[side].egressGib === undefined) unpriced.push(`${side} egress`);
    return { requests: sum, egress: (bytesRead[side] / GIB) * (prices[side].egressGib ?? 0) };
  };
  const sides = { source: costOfSide('source'), target: costOfSide('target') };
  const total = SIDES.reduce((sum, side) => sum + sides[side].requests + sides[side].egress, 0);
  return { currency: prices.currency, ...sides, total, unpriced };
}
