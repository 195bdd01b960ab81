/** All checks one after the other, each shown as it is done; a problem in any of them ends the migration before it begins. */
import { BlobferryError } from '../../core/errors.ts';
import type { Json } from '../saga/saga-log.ts';
import type { Effect, Step } from '../saga/step.ts';
import type { Finding, PreflightCheck } from './finding.ts';

export interface PreflightOptions {
  readonly checks: readonly PreflightCheck[];
  readonly onFinding: (finding: Finding) => void;
  /** Shows what somebody has to agree to and asks; a flag may answer. */
  readonly ask: (sentences: readonly string[]) => Promise<boolean>;
}

export function preflightStep({ checks, onFinding, ask }: PreflightOptions): Step {
  return {
    id: 'preflight',
    title: 'Look at everything that has to be in order',
    changes: 'Probes are written to the target and removed',
    kind: 'read',
    check: async ({ memory }) => ({ is: memory.get('text') === undefined ? 'todo' : 'done' }),
    do: async ({ signal, memory }) => {
      const findings = await lookAtAll(checks, signal, onFinding);
      memory.keep('findings', findings as unknown as Json);
      const problems = findings.filter(({ is }) => is === 'problem');
      if (problems.length > 0) {
        const told = problems.map(
          ({ item, text, hint }) => `${item}: ${text}${hint === undefined ? '' : ` (${hint})`}`,
        );
        throw new BlobferryError(
          `${problems.length === 1 ? 'One check' : `${problems.length} checks`} failed. ${told.join('. ')}`,
          {
            hint: 'Mend that and run again',
          },
        );
      }
      const asked = findings.filter(({ is }) => is === 'ask').map(({ item, text }) => `${item}: ${text}`);
      if (asked.length > 0 && !(await ask(asked))) {
        throw new BlobferryError(`Nobody agreed to this: ${asked.join('. ')}`);
      }
      const notes = findings.filter(({ is }) => is !== 'ok').length;
      memory.keep('text', `${findings.length} findings, ${notes} of them worth knowing`);
    },
    effect: async ({ memory }): Promise<Effect> => {
      const text = memory.get('text');
      return typeof text === 'string'
        ? { is: 'shown', evidence: text }
        : { is: 'missing', why: 'it was not done' };
    },
  };
}

async function lookAtAll(
  checks: readonly PreflightCheck[],
  signal: AbortSignal,
  onFinding: (finding: Finding) => void,
): Promise<readonly Finding[]> {
  const all: Finding[] = [];
  const failed = new Set<string>();
  for (const { item, needs, look } of checks) {
    if (needs !== undefined && failed.has(needs)) {
      failed.add(item);
      continue;
    }
    for (const found of await lookAt(look, signal)) {
      const finding = { item, ...found };
      if (found.is === 'problem') failed.add(item);
      all.push(finding);
      onFinding(finding);
    }
  }
  return all;
}

async function lookAt(
  look: PreflightCheck['look'],
  signal: AbortSignal,
): Promise<readonly Omit<Finding, 'item'>[]> {
  try {
    return await look(signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BlobferryError)) throw error;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    return [{ is: 'problem', text: error.message, ...hint }];
  }
}
