/**
 * Storage as the registry's configuration gives it:
 *
 *     version: 0.1                  a whole configuration: the section `storage` is read, the rest is not looked at
 *     storage:
 *       delete: { enabled: true }   concerns the registry's service; no meaning for a copy
 *       s3:                         exactly one backend
 *         bucket: registry
 *
 *     s3:                           or the content of `storage` alone
 *       bucket: registry
 */
import { ConfigError } from '../../core/errors.ts';
import type { StorageSpec } from '../../drivers/spec.ts';
import { readAzureSection } from './azure-section.ts';
import type { Environment } from './environment.ts';
import { readFilesystemSection } from './filesystem-section.ts';
import { readGcsSection } from './gcs-section.ts';
import { readS3Section } from './s3-section.ts';
import { Remarks, type Section } from './section.ts';
import { suggestion } from './suggest.ts';
import { readSwiftSection } from './swift-section.ts';
import { parseYaml, type YamlEntry, type YamlValue } from './yaml-file.ts';

export interface StorageReading {
  readonly spec: StorageSpec;
  /** What was given and has no effect, or was taken from elsewhere: a sentence each. */
  readonly notes: readonly string[];
}

export interface YamlSource {
  readonly text: string;
  /** As the user named it: the beginning of every message. */
  readonly file: string;
  readonly env: Environment;
  readonly isWritten: boolean;
}

type Backend =
  | { readonly read: (section: Section) => StorageSpec | undefined }
  | { readonly refusal: string; readonly hint?: string };

/** By the names of the registry's drivers. */
const BACKENDS: Readonly<Record<string, Backend>> = {
  filesystem: { read: readFilesystemSection },
  s3: { read: readS3Section },
  s3aws: { read: readS3Section },
  azure: { read: readAzureSection },
  gcs: { read: readGcsSection },
  swift: { read: readSwiftSection },
  oss: {
    refusal: 'is not supported: distribution 3 dropped this driver, and blobferry has none',
    hint: 'Alibaba Cloud OSS also answers S3 requests: describe it as s3 with its S3 endpoint as regionendpoint and forcepathstyle: false',
  },
  inmemory: {
    refusal: 'is not supported: it lives in the registry process alone, so there is nothing to copy',
  },
};

/** Sections beside the backend. They steer the registry's service. */
const SERVICE_SECTIONS: readonly string[] = ['cache', 'delete', 'maintenance', 'redirect', 'tag'];

/** @throws ConfigError naming file and line. */
export function readYamlStorage(source: YamlSource): StorageReading {
  const { file, env, isWritten } = source;
  const remarks = new Remarks(file);
  const { name, line, entries } = chooseBackend(file, remarks, storageEntries(source));
  const backend = BACKENDS[name];
  if (!backend) throw new TypeError(`No backend "${name}"`);
  if ('refusal' in backend) {
    throw new ConfigError(`${file}:${line}: ${name} ${backend.refusal}`, { hint: backend.hint });
  }
  const spec = backend.read({ backend: name, line, entries, remarks, env, isWritten });
  remarks.throwIfAny();
  if (!spec) throw new TypeError(`No problem was named for "${name}"`);
  return { spec, notes: remarks.notes };
}

/** The entries of the `storage` section, wherever it is. */
function storageEntries(source: YamlSource): readonly YamlEntry[] {
  const { file } = source;
  const root = parseYaml(source.text, file);
  if (root.kind === 'nothing') throw new ConfigError(`${file}: the file is empty`, { hint: FORM });
  if (root.kind !== 'map') throw new ConfigError(`${file}:1: not a storage description`, { hint: FORM });
  const storage = root.entries.find((entry) => entry.name === 'storage');
  if (!storage) {
    if (root.entries.some((entry) => isKnown(entry.name))) return root.entries;
    const names = root.entries.map((entry) => entry.name);
    const near =
      names.map((name) => suggestion(name, ['storage', ...Object.keys(BACKENDS)])).find(Boolean) ?? '';
    throw new ConfigError(`${file}: no section "storage"${near}`, { hint: FORM });
  }
  const twice = root.entries.find((entry) => Object.hasOwn(BACKENDS, entry.name));
  if (twice) {
    const where = `${file}:${twice.line}`;
    throw new ConfigError(
      `${where}: "${twice.name}" stands beside "storage" (line ${storage.line}) instead of in it`,
    );
  }
  const value = storage.value();
  if (value.kind === 'map') return value.entries;
  // The registry takes a name alone for a backend without parameters.
  if (value.kind === 'text') {
    return [{ name: value.text, line: storage.line, value: (): YamlValue => ({ kind: 'nothing' }) }];
  }
  throw new ConfigError(`${file}:${storage.line}: "storage" names no backend`, { hint: FORM });
}

const FORM =
  "expected is the registry's configuration with its storage section, or that section's content alone (filesystem:, s3:, azure:, gcs: or swift: and below it the parameters)";

interface Chosen {
  readonly name: string;
  readonly line: number;
  readonly entries: readonly YamlEntry[];
}

function chooseBackend(file: string, remarks: Remarks, entries: readonly YamlEntry[]): Chosen {
  for (const { name, line } of entries) {
    if (SERVICE_SECTIONS.includes(name)) {
      remarks.note(line, `"${name}" has no effect: it concerns the registry's service`);
    } else if (!Object.hasOwn(BACKENDS, name)) {
      const near = suggestion(name, [...Object.keys(BACKENDS), ...SERVICE_SECTIONS]);
      remarks.problem(line, `unknown storage backend "${name.slice(0, 40)}"${near}`);
    }
  }
  remarks.throwIfAny();
  const [first, second] = entries.filter((entry) => Object.hasOwn(BACKENDS, entry.name));
  if (!first) {
    const line = entries[0]?.line ?? 1;
    throw new ConfigError(`${file}:${line}: the storage section names no backend`, { hint: FORM });
  }
  if (second) {
    const where = `${file}:${second.line}`;
    throw new ConfigError(
      `${where}: "${second.name}" beside "${first.name}" (line ${first.line}); give one backend`,
    );
  }
  return { name: first.name, line: first.line, entries: parametersOf(file, first) };
}

function parametersOf(file: string, backend: YamlEntry): readonly YamlEntry[] {
  const value = backend.value();
  if (value.kind === 'map') return value.entries;
  if (value.kind === 'nothing') return [];
  const is = value.kind === 'text' ? 'a single value' : value.what;
  throw new ConfigError(
    `${file}:${backend.line}: "${backend.name}" must be a section of parameters, not ${is}`,
  );
}

function isKnown(name: string): boolean {
  return Object.hasOwn(BACKENDS, name) || SERVICE_SECTIONS.includes(name);
}
