/**
 * Is the registry read-only? Pure: from what MSR says of its replicas. What is not said is unknown, and unknown is never
 * taken for a yes or a no.
 */
import type { ClusterStatus } from './msr-cluster.ts';

type ReplicaState = 'read-only' | 'writable' | 'unknown';

export interface ReadOnlyEvidence {
  readonly replicas: ReadonlyMap<string, ReplicaState>;
  /** `read-only` only where every replica is shown to be. */
  readonly is: ReplicaState;
  /** One sentence each: why it is not (yet) shown to be read-only. */
  readonly reasons: readonly string[];
}

/**
 * @param status undefined where it could not be read.
 * @param replicas those known from elsewhere (the settings, an earlier status): one that went missing is unknown.
 */
export function readOnlyEvidence(
  status: ClusterStatus | undefined,
  replicas: Iterable<string> = [],
): ReadOnlyEvidence {
  const ids = new Set([...replicas, ...(status?.health?.keys() ?? []), ...(status?.readOnly?.keys() ?? [])]);
  const states = new Map([...ids].sort().map((id) => [id, stateOf(status, id)]));
  const reasons = [...(status ? [] : ['The state of the cluster could not be read'])];
  if (states.size === 0) reasons.push('MSR names no replica');
  for (const [id, state] of states) if (state !== 'read-only') reasons.push(sentenceOf(status, id, state));
  return { replicas: states, is: overall(states), reasons };
}

function stateOf(status: ClusterStatus | undefined, id: string): ReplicaState {
  const isReadOnly = status?.readOnly?.get(id);
  if (isReadOnly === undefined) return 'unknown';
  if (!isReadOnly) return 'writable';
  // What is known of a replica that is not well may be old.
  return isWell(status, id) ? 'read-only' : 'unknown';
}

/** Where MSR tells the health of replicas, one that it leaves out is not well. */
function isWell(status: ClusterStatus | undefined, id: string): boolean {
  return status?.health === undefined || status.health.get(id) === 'OK';
}

function overall(states: ReadonlyMap<string, ReplicaState>): ReplicaState {
  const found = [...states.values()];
  if (found.includes('writable')) return 'writable';
  return found.length > 0 && found.every((state) => state === 'read-only') ? 'read-only' : 'unknown';
}

function sentenceOf(status: ClusterStatus | undefined, id: string, state: ReplicaState): string {
  if (state === 'writable') return `Replica ${id} still takes writes`;
  const health = status?.health?.get(id) ?? 'missing';
  const why = isWell(status, id) ? 'MSR does not say' : `it is not well: "${health}"`;
  return `Whether replica ${id} is read-only is not known: ${why}`;
}
