/** `meta/cluster_status`: how each replica is, and whether it takes writes. */
import { z } from 'zod';
import type { MsrConnection } from './msr-connection.ts';

export interface ClusterStatus {
  /** Undefined: the answer does not say. */
  readonly issues: number | undefined;
  /** MSR's word for each replica; `OK` when all is well. Undefined: the answer does not say. */
  readonly health: ReadonlyMap<string, string> | undefined;
  /** Undefined: this version does not say, which is not the same as `false`. */
  readonly readOnly: ReadonlyMap<string, boolean | undefined> | undefined;
}

const ISSUES = z.array(z.unknown()).nullish();
/** The issues of the database stand at the top in the manual and one level below in the clients of its API. */
const STATUS = z.object({
  current_issues: ISSUES,
  rethink_system_tables: z.object({ current_issues: ISSUES }).nullish(),
  replica_health: z.record(z.string(), z.string()).nullish(),
  replica_readonly: z.record(z.string(), z.boolean().nullable()).nullish(),
});

export async function readClusterStatus(msr: MsrConnection, signal: AbortSignal): Promise<ClusterStatus> {
  const answer = await msr.send(signal, {
    method: 'GET',
    operation: 'read the state of the cluster',
    path: '/api/v0/meta/cluster_status',
    bytesMax: 16 * 1024 * 1024,
  });
  const status = answer.read(STATUS);
  const nested = status.rethink_system_tables?.current_issues;
  const said = [status.current_issues, nested].filter((issues) => issues !== undefined && issues !== null);
  const readOnly = status.replica_readonly;
  return {
    issues: said.length === 0 ? undefined : Math.max(...said.map((issues) => issues.length)),
    health: status.replica_health ? new Map(Object.entries(status.replica_health)) : undefined,
    readOnly: readOnly
      ? new Map(Object.entries(readOnly).map(([id, is]) => [id, is ?? undefined]))
      : undefined,
  };
}

/** One sentence for each thing that is not in order; empty when every replica is well. */
export function clusterProblems(status: ClusterStatus, replicas: readonly string[] = []): readonly string[] {
  if (!status.health || status.health.size === 0) return ['MSR does not tell the health of its replicas'];
  const { health } = status;
  return [
    ...(status.issues === undefined || status.issues === 0
      ? []
      : [`The database of MSR reports ${status.issues} ${status.issues === 1 ? 'issue' : 'issues'}`]),
    ...[...health]
      .filter(([, word]) => word !== 'OK')
      .map(([id, word]) => `Replica ${id} is not well: "${word}"`),
    ...replicas
      .filter((id) => !health.has(id))
      .map((id) => `Replica ${id} is configured and does not report`),
  ];
}
