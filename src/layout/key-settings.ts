/** What to set so that a storage's keys begin with something that was found: parameters, and their values, in words. */
import type { AzureSpec, GcsSpec, S3Spec, StorageSpec, SwiftSpec } from '../drivers/spec.ts';
import { type KeyRule, keyPrefixOf, keyRuleOf } from './key-rule.ts';

/** Storages whose keys follow a rule. */
export type RuledSpec = S3Spec | GcsSpec | AzureSpec | SwiftSpec;

export interface KeySettings {
  readonly rule: KeyRule;
  /** Of `rootdirectory`; Swift calls it `prefix`. */
  readonly root: string;
}

export function isRuled(spec: StorageSpec): spec is RuledSpec {
  return spec.kind !== 'fs' && spec.kind !== 'memory';
}

/** The settings under which keys begin so: the registry's own where its driver can be brought to it. */
export function settingsFor(spec: RuledSpec, keyPrefix: string): KeySettings {
  const now = keySettingsOf(spec);
  const root = keyPrefix.replace(/^\/|\/$/g, '');
  const bare = spec.kind === 'swift' ? keyPrefix.replace(/\/?files\/$/, '') : root;
  const candidates: readonly KeySettings[] = [
    now,
    // The same root comes first: another rule is what differs most often.
    ...rulesOf(spec).flatMap((rule) => [now.root, bare].map((one) => ({ rule, root: one }))),
    { rule: 'plain', root: keyPrefix },
  ];
  const found = candidates.find((one) => keyPrefixOf(withKeySettings(spec, one)) === keyPrefix);
  return found ?? { rule: 'plain', root: keyPrefix };
}

/** The rules that this kind of storage knows, the registry's own first. */
export function rulesOf({ kind }: Pick<RuledSpec, 'kind'>): readonly KeyRule[] {
  return kind === 'azure' ? ['distribution-3', 'distribution-2', 'plain'] : ['distribution', 'plain'];
}

function keySettingsOf(spec: RuledSpec): KeySettings {
  const root = spec.kind === 'swift' ? spec.prefix : spec.rootDirectory;
  return { rule: keyRuleOf(spec) ?? 'plain', root };
}

export function withKeySettings(spec: RuledSpec, { rule, root }: KeySettings): RuledSpec {
  const { keyRule: _, ...rest } = spec;
  const plain = rule === 'plain' ? { keyRule: 'plain' as const } : {};
  if (rest.kind === 'swift') return { ...rest, prefix: root, ...plain };
  if (rest.kind !== 'azure') return { ...rest, rootDirectory: root, ...plain };
  return { ...rest, rootDirectory: root, hasSlashRoot: rule === 'distribution-2', ...plain };
}

/** `keyrule: plain and rootdirectory: "/"; in a URL s3://bucket//?keyrule=plain`: what differs from the settings. */
export function settingsText(spec: RuledSpec, wanted: KeySettings): string {
  const now = keySettingsOf(spec);
  const rootName = spec.kind === 'swift' ? 'prefix' : 'rootdirectory';
  const changes = [
    ...(wanted.rule === now.rule ? [] : [`keyrule: ${wanted.rule}`]),
    ...(wanted.root === now.root ? [] : [`${rootName}: ${JSON.stringify(wanted.root)}`]),
  ];
  return `${changes.join(' and ')}; in a URL ${urlOf(spec, wanted)}`;
}

/** Its other parameters stay as they are, and are left out here: some name a person's own files. */
function urlOf(spec: RuledSpec, { rule, root }: KeySettings): string {
  const path = root === '' ? '' : `/${root.split('/').map(encodeURIComponent).join('/')}`;
  return `${placeOf(spec)}${path}?keyrule=${rule}`;
}

function placeOf(spec: RuledSpec): string {
  if (spec.kind === 's3') return `s3://${encodeURIComponent(spec.bucket)}`;
  if (spec.kind === 'gcs') return `gs://${spec.bucket}`;
  if (spec.kind === 'azure') return `azure://${spec.accountName}/${encodeURIComponent(spec.container)}`;
  return `swift://${encodeURIComponent(spec.container)}`;
}
