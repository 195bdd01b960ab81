/** Two findings of a probe: which key rule a container follows, and whether objects of it are archived. */
import { archivedText, findArchived, restoreHint, selfTieringText } from '../coordinator/archived.ts';
import type { CallContext, StorageDriver } from '../drivers/driver.ts';
import type { StorageSpec } from '../drivers/spec.ts';
import { type FoundRegistries, settingsHint } from '../layout/find-registry.ts';
import { keyPrefixOf, keyRuleText } from '../layout/key-rule.ts';
import type { Layout } from '../layout/layout.ts';
import { REGISTRY_ROOT } from '../layout/registry-paths.ts';
import { formatObjects } from './units.ts';

export interface Finding {
  readonly outcome: 'ok' | 'failed' | 'open';
  readonly text: string;
  readonly hint?: string | undefined;
}

/** A copy lists all of a source first; a person who waits gets an answer about the beginning. */
const TIERS_LOOKED_AT = 20_000;

export function keysFinding(
  storage: StorageSpec,
  role: 'source' | 'target',
  { isWhereSet, others, looked, unlisted }: FoundRegistries,
): Finding {
  const own = keyRuleText(storage);
  if (others.length === 0) {
    const unknown = unlisted.length === 0 ? '' : `; ${quoted(unlisted)} could not be listed`;
    if (isWhereSet) return { outcome: 'ok', text: `a registry is where ${own}${unknown}` };
    return { outcome: 'open', text: `no registry behind any of ${quoted(looked)}; ${own}${unknown}` };
  }
  const hint = settingsHint(others);
  const places = others.map(({ keyPrefix, rule }) => `"${keyPrefix}${REGISTRY_ROOT}" (keyrule: ${rule})`);
  if (isWhereSet) {
    const count = others.length + 1;
    const text = `${count} registries: the settings mean the one whose ${own}; another lies at ${places.join(' and ')}`;
    return { outcome: 'open', text, hint };
  }
  const text = `a registry lies at ${places.join(' and at ')}, but the settings say that ${own}`;
  return { outcome: role === 'source' ? 'failed' : 'open', text, hint };
}

function quoted(prefixes: readonly string[]): string {
  return prefixes.map((prefix) => `"${prefix}"`).join(', ');
}

/** Undefined where the storage has no archive, or holds nothing. Rejects with what a listing rejects with. */
export async function tiersFinding(
  ctx: CallContext,
  driver: StorageDriver,
  storage: StorageSpec,
  layout: Layout,
): Promise<Finding | undefined> {
  const found = await findArchived(ctx, {
    source: driver,
    storage,
    sourcePrefix: keyPrefixOf(storage),
    layout,
    threads: 1,
    objectsMax: TIERS_LOOKED_AT,
  });
  if (found === undefined || found.objectsListed === 0) return undefined;
  if (found.count > 0)
    return { outcome: 'failed', text: archivedText(driver.name, found), hint: restoreHint(storage.kind) };
  const text = `of the first ${formatObjects(found.objectsListed)} none is archived`;
  return { outcome: 'ok', text, hint: selfTieringText(found) };
}
