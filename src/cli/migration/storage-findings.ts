/** What `probe` finds out of a storage, as the steps of a migration ask it. */
import type { StorageSpec } from '../../drivers/spec.ts';
import type { ProbeStorage } from '../../platform/engine/parts.ts';
import type { RightFound, StorageFindings, StorageRight } from '../../platform/engine-port.ts';
import { openDriver } from '../composition.ts';
import { type ProbeFinding, type ProbeReport, probeStorage } from '../probe.ts';
import type { Environment } from '../storage/environment.ts';
import { bucketRules } from './bucket-rules.ts';
import { credentialsEnd } from './credentials-end.ts';
import { swiftRoom } from './swift-account.ts';

const CHECKS: readonly (readonly [StorageRight, ProbeFinding['check']])[] = [
  ['list', 'list'],
  ['read', 'read'],
  ['write', 'write'],
  ['delete', 'remove'],
];

/** A target belongs to one migration alone: whatever probes of this name lie there are its own. */
const PROBES = 'migration';

/** A target is written to, and what was written is removed again. */
export function probeForMigration(env: Environment): ProbeStorage {
  return async (storage, role, signal) => await probed(storage, role, env, signal);
}

async function probed(
  storage: StorageSpec,
  role: 'source' | 'target',
  env: Environment,
  signal: AbortSignal,
): ReturnType<ProbeStorage> {
  const isWriting = role === 'target';
  const report = await probeStorage({
    storage,
    role,
    layout: 'auto',
    engine: 'direct',
    isWriting,
    name: PROBES,
    openDriver,
    signal,
  });
  const findings = { ...findingsOf(report, storage, isWriting), ...credentialsEnd(storage, env) };
  if (!isWriting) return findings;
  const rules = await bucketRules(storage, signal);
  // Whoever cannot be asked for that has said why already.
  const room = storage.kind === 'swift' && report.isUsable ? await swiftRoom(storage, signal) : undefined;
  return {
    ...findings,
    ...(rules === undefined ? {} : { rules }),
    ...(room === undefined ? {} : { freeBytes: room }),
  };
}

function findingsOf(report: ProbeReport, storage: StorageSpec, isWriting: boolean): StorageFindings {
  if (storage.kind === 'memory') throw new TypeError('Stores in memory exist in tests only');
  const { clockSkewSeconds } = report;
  const asked = CHECKS.filter(([right]) => isWriting || right === 'list' || right === 'read');
  return {
    name: report.storage,
    kind: storage.kind,
    rights: asked.map(([right, check]) => rightOf(right, check, report.findings)),
    ...(clockSkewSeconds === undefined ? {} : { clockAheadMs: Math.round(clockSkewSeconds * 1000) }),
  };
}

function rightOf(
  right: StorageRight,
  check: ProbeFinding['check'],
  findings: readonly ProbeFinding[],
): RightFound {
  const found = findings.filter((finding) => finding.check === check);
  const failed = found.find(({ outcome }) => outcome === 'failed');
  // An object that was read to try it, and is archived, says nothing about rights; the survey names them all.
  const isArchived =
    right === 'read' && findings.some(({ check, outcome }) => check === 'tiers' && outcome === 'failed');
  if (failed) return { right, is: isArchived ? 'unknown' : 'refused', why: sentenceOf(failed) };
  if (found.some(({ outcome }) => outcome === 'ok')) return { right, is: 'granted' };
  // What came before it failed, or there was nothing to try it with.
  const why = found[0] ?? findings.find(({ outcome }) => outcome === 'failed');
  return { right, is: 'unknown', ...(why ? { why: sentenceOf(why) } : {}) };
}

function sentenceOf({ text, hint }: ProbeFinding): string {
  return hint === undefined ? text : `${text}. ${hint}`;
}
