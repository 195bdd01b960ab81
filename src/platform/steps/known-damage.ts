/** Damage of the source that somebody has let be: kept by the final pass, and what everything after it goes by. */
import { z } from 'zod';
import type { KnownDamage } from '../engine-port.ts';
import type { StepMemory } from '../saga/step.ts';

export const FINAL_PASS = 'final-pass';
export const DAMAGE = 'damage';

const KEPT = z.array(z.object({ path: z.string(), digest: z.string().optional(), why: z.string() }));

/** @param memory of the final pass. */
export function keptDamage(memory: Pick<StepMemory, 'get'>): readonly KnownDamage[] {
  const kept = KEPT.safeParse(memory.get(DAMAGE));
  if (!kept.success) return [];
  return kept.data.map(({ path, digest, why }) => ({
    path,
    why,
    ...(digest === undefined ? {} : { digest }),
  }));
}

/** All of it, by name. */
export function damageText(damage: readonly KnownDamage[]): string {
  if (damage.length === 0) return '';
  const what = damage.length === 1 ? '1 object is' : `${damage.length} objects are`;
  const named = damage.map(({ path }) => path).join(', ');
  return `; ${what} damaged in the source and not in the target, which was agreed to: ${named}`;
}
