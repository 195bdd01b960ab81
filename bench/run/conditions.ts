/** What each condition does to the servers while a copier runs. */

import type { Condition } from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';
import type { FaultHandle, FaultRule } from '../s3-server/faults/fault.ts';
import type { S3Server } from '../s3-server/s3-server.ts';

function rulesOf(condition: Condition, parameters: Parameters, seed: number): readonly FaultRule[] {
  switch (condition) {
    case 'loopback':
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
  }
}

/** @returns what ends the condition. */
export async function impose(
  servers: readonly S3Server[],
  condition: Condition,
  parameters: Parameters,
  seed: number,
): Promise<() => Promise<void>> {
  const handles: FaultHandle[] = [];
  for (const [index, server] of servers.entries()) {
    const rules = rulesOf(condition, parameters, seed * servers.length + index);
    if (rules.length > 0) handles.push(await server.misbehave(rules));
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
  }
}
