/** What each condition does to the servers while a copier runs. */

import type { Condition } from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';
import type { FaultHandle, FaultRule } from '../s3-server/faults/fault.ts';
import type { S3Server } from '../s3-server/s3-server.ts';

const SIDES = ['source', 'target'] as const;
type SideName = (typeof SIDES)[number];

/** What a limited server asks for, and the least it can ask for. */
const RETRY_AFTER_SECONDS = 1;

function rulesOf(
  condition: Condition,
  parameters: Parameters,
  { side, seed }: { readonly side: SideName; readonly seed: number },
): readonly FaultRule[] {
  switch (condition) {
    case 'loopback':
    case 'old-target':
    case 'one-put':
    case 'unbound':
      return [];
    case 'slow':
      return [
        { fault: { kind: 'latency', ms: parameters.latencyMs } },
        { fault: { kind: 'bandwidth', bytesPerSecond: parameters.bandwidthBytesPerSecond } },
      ];
    case 'refused':
      return [
        {
          fault: {
            kind: 'status',
            status: 503,
            code: 'SlowDown',
            message: 'Please reduce your request rate.',
          },
          probability: parameters.refusedShare,
          seed,
        },
      ];
    case 'limited':
    case 'limited-silent': {
      // One limit only: with two of them it would be unclear which of them was reached.
      if (side === 'source') return [];
      const retryAfterSeconds = condition === 'limited' ? RETRY_AFTER_SECONDS : 0;
      return [{ fault: { kind: 'request-rate', perSecond: parameters.limitPerSecond, retryAfterSeconds } }];
    }
  }
}

/** @returns what ends the condition. */
export async function impose(
  servers: Readonly<Record<SideName, S3Server | undefined>>,
  condition: Condition,
  parameters: Parameters,
  round: number,
): Promise<() => Promise<void>> {
  const handles: FaultHandle[] = [];
  for (const [index, side] of SIDES.entries()) {
    const rules = rulesOf(condition, parameters, { side, seed: round * SIDES.length + index });
    const server = servers[side];
    if (server && rules.length > 0) handles.push(await server.misbehave(rules));
  }
  return async () => {
    for (const handle of handles) await handle.remove();
  };
}

export function describeCondition(condition: Condition, parameters: Parameters): string {
  switch (condition) {
    case 'loopback':
      return 'this machine’s own loopback';
    case 'slow':
      return `${parameters.latencyMs} ms more per request, ${parameters.bandwidthBytesPerSecond / 1e6} MB/s per connection`;
    case 'refused':
      return `${parameters.refusedShare * 100} % of the requests answered 503`;
    case 'limited':
      return `a target that answers 503 with Retry-After above ${parameters.limitPerSecond} requests/s`;
    case 'limited-silent':
      return `a target that answers 503 without Retry-After above ${parameters.limitPerSecond} requests/s`;
    case 'old-target':
      return 'a target that knows no x-amz-checksum-*, as Ceph 16';
    case 'unbound':
      return 'blobferry sends the target no checksum of the service’s';
    case 'one-put':
      return 'blobferry may send each object by one PUT, with the memory that takes';
  }
}
