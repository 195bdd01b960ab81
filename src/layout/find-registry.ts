/**
 * Where in a storage is a registry, if not where its settings have it? Asked by looking: one page of a listing for each
 * place that some version of the driver, or a copier that knew no rule, would have put it.
 *
 *     s3, gcs    <root>/docker   docker   and each with a slash or two in front
 *     azure      the same: `/docker` is what distribution 2 writes, `docker` what version 3 does
 *     swift      <prefix>/files/docker   files/docker   and each without `files/`
 */
import { ConfigError, isStorageError } from '../core/errors.ts';
import type { LayoutChoice } from '../core/job.ts';
import type { CallContext, StorageDriver } from '../drivers/driver.ts';
import type { StorageSpec } from '../drivers/spec.ts';
import { type DetectedLayout, detectLayout } from './detect.ts';
import { type KeyRule, keyPrefixOf, keyRuleText } from './key-rule.ts';
import {
  isRuled,
  type RuledSpec,
  rulesOf,
  settingsFor,
  settingsText,
  withKeySettings,
} from './key-settings.ts';
import { leftOutOfRegistry } from './left-out.ts';
import { REGISTRY_ROOT } from './registry-paths.ts';

export interface FoundRegistry {
  /** What its keys begin with, before `docker/registry/v2/`. */
  readonly keyPrefix: string;
  readonly rule: KeyRule;
  /** Which parameters to set, to which values. */
  readonly settings: string;
}

export interface FoundRegistries {
  /** There is one where the settings have it. */
  readonly isWhereSet: boolean;
  /** Those elsewhere. */
  readonly others: readonly FoundRegistry[];
  /** Everything that was looked at, the place of the settings first. */
  readonly looked: readonly string[];
  /** Other places that could not be looked at: credentials may be good for one prefix alone. */
  readonly unlisted: readonly string[];
}

/** Empty where keys follow no rule. Rejects with what the listing of the settings' own place rejects with. */
export async function findRegistries(
  driver: StorageDriver,
  ctx: CallContext,
  spec: StorageSpec,
): Promise<FoundRegistries> {
  const own = keyPrefixOf(spec);
  const elsewhere = otherPrefixesOf(spec);
  const [isWhereSet, ...answers] = await Promise.all([
    holdsRegistry(driver, ctx, own),
    ...elsewhere.map((prefix) => holdsRegistryIfListed(driver, ctx, prefix)),
  ]);
  const answered = (wanted: boolean | 'unlisted'): readonly string[] =>
    elsewhere.filter((_, index) => answers[index] === wanted);
  const unlisted = answered('unlisted');
  const others = isRuled(spec) ? answered(true).map((prefix) => foundAt(spec, prefix)) : [];
  const looked = [own, ...elsewhere.filter((prefix) => !unlisted.includes(prefix))];
  return { isWhereSet, others, looked, unlisted };
}

/** Nothing that the settings mean lies there, so that no copy need end because it may not be listed. */
async function holdsRegistryIfListed(
  driver: StorageDriver,
  ctx: CallContext,
  keyPrefix: string,
): Promise<boolean | 'unlisted'> {
  try {
    return await holdsRegistry(driver, ctx, keyPrefix);
  } catch (error) {
    if (isStorageError(error) && !error.details.isTransient) return 'unlisted';
    throw error;
  }
}

function foundAt(spec: RuledSpec, keyPrefix: string): FoundRegistry {
  const wanted = settingsFor(spec, keyPrefix);
  return { keyPrefix, rule: wanted.rule, settings: settingsText(spec, wanted) };
}

/** What else keys may begin with, than the settings say. */
function otherPrefixesOf(spec: StorageSpec): readonly string[] {
  if (!isRuled(spec)) return [];
  const written = spec.kind === 'swift' ? spec.prefix : spec.rootDirectory;
  const trimmed = written.replace(/^\/+|\/+$/g, '');
  const roots = [written, trimmed, trimmed.replace(/\/+/g, '/'), ''];
  const ruled = rulesOf(spec).flatMap((rule) =>
    roots.map((root) => keyPrefixOf(withKeySettings(spec, { rule, root }))),
  );
  // Swift's own driver takes the slash away, and so do its clients.
  const slashed = spec.kind === 'swift' ? [] : ruled.map((prefix) => `/${prefix}`);
  const found = new Set([...ruled, ...slashed].filter((prefix) => !prefix.startsWith('///')));
  found.delete(keyPrefixOf(spec));
  return [...found];
}

/** An object that a copy would copy: unfinished uploads and marks of folders make no registry. */
async function holdsRegistry(driver: StorageDriver, ctx: CallContext, keyPrefix: string): Promise<boolean> {
  for await (const { objects } of driver.list(ctx, { prefix: keyPrefix + REGISTRY_ROOT })) {
    if (
      objects.some(
        ({ key, sizeBytes, isPlaceholder }) =>
          !leftOutOfRegistry(key.slice(keyPrefix.length), sizeBytes, isPlaceholder),
      )
    )
      return true;
  }
  return false;
}

export interface DetectedSource extends DetectedLayout {
  /** There is no object at all. */
  readonly isEmpty: boolean;
  /** What should be known before the copy of it is relied on: a sentence each. */
  readonly warnings: readonly string[];
}

/**
 * The layout of a source, by its settings' rule.
 * @throws ConfigError where nothing lies there; where a registry lies under another rule, with what to set.
 */
export async function detectSource(
  driver: StorageDriver,
  ctx: CallContext,
  spec: StorageSpec,
  choice: LayoutChoice,
): Promise<DetectedSource> {
  const keyPrefix = keyPrefixOf(spec);
  const elsewhereInstead = async (): Promise<ConfigError | undefined> => {
    if (!isRuled(spec)) return undefined;
    const { others } = await findRegistries(driver, ctx, spec);
    return others.length === 0 ? undefined : elsewhere(driver, spec, others);
  };
  const detected = await detectLayout(driver, ctx, keyPrefix, choice).catch(async (error: unknown) => {
    throw error instanceof ConfigError ? ((await elsewhereInstead()) ?? error) : error;
  });
  if (choice === 'raw') {
    const isEmpty = !(await holdsAnything(driver, ctx, keyPrefix));
    const instead = isEmpty ? await elsewhereInstead() : undefined;
    if (instead) throw instead;
    return { ...detected, isEmpty, warnings: [] };
  }
  // Only Azure's and Swift's rules are such that one container may well hold a registry under each.
  const mayHoldTwo = spec.kind === 'azure' || spec.kind === 'swift';
  const { others } = mayHoldTwo ? await findRegistries(driver, ctx, spec) : { others: [] };
  return { ...detected, isEmpty: false, warnings: others.map((other) => besideText(driver.name, other)) };
}

function besideText(name: string, { keyPrefix, settings }: FoundRegistry): string {
  return `${name} holds another registry, under "${keyPrefix}${REGISTRY_ROOT}", which these settings do not mean; to mean that one, set ${settings}`;
}

function elsewhere(driver: StorageDriver, spec: StorageSpec, others: readonly FoundRegistry[]): ConfigError {
  const places = others.map(({ keyPrefix }) => `"${keyPrefix}${REGISTRY_ROOT}"`).join(' and ');
  const message = `Nothing lies in ${driver.name} where its settings have it (its ${keyRuleText(spec)}), but a registry lies under ${places}`;
  return new ConfigError(message, { hint: settingsHint(others) });
}

export function settingsHint(others: readonly FoundRegistry[]): string {
  if (others.length === 1) return others.map(({ settings }) => `set ${settings}`).join('');
  const each = others.map(({ keyPrefix, settings }) => `for "${keyPrefix}": ${settings}`);
  return `one of them is meant; set ${each.join('. ')}`;
}

async function holdsAnything(driver: StorageDriver, ctx: CallContext, keyPrefix: string): Promise<boolean> {
  for await (const { objects } of driver.list(ctx, { prefix: keyPrefix })) {
    // The root's own mark is no object below it.
    if (objects.some(({ key, sizeBytes }) => key !== keyPrefix || sizeBytes > 0)) return true;
  }
  return false;
}
