/**
 * The registry's own settings as MSR gives and takes them: either the object with a section `storage`, or (older) with
 * the same as YAML in a text `config`, or both. Which keys 2.9 uses is not documented: so nothing is made up here, what
 * came is edited and put back. It holds secrets: whatever prints it gets the masked one.
 */
import { inspect } from 'node:util';
import { parse, stringify } from 'yaml';
import { hiddenTexts, isRecord, type Json, masked } from './masked-settings.ts';

export interface JsonRecord {
  readonly [name: string]: Json;
}

/** A storage driver of the registry and its parameters: `s3`, `azure`, `swift`, `gcs`, `filesystem`. */
export interface StorageSection {
  readonly driver: string;
  readonly parameters: JsonRecord;
}

/** As servers write it: `********`, `<redacted>`. */
const SERVERS_MASK =
  /^(?:[*•●]+|x{6,}|[<[(]?(?:redacted|hidden|masked|secret|removed|omitted)[>\])]|redacted|hidden|masked)$/i;

/** Sections beside the driver's own in `storage`. */
const NOT_DRIVERS = ['delete', 'redirect', 'cache', 'maintenance', 'tag'];

export class RegistrySettings {
  readonly #body: JsonRecord;

  constructor(body: JsonRecord) {
    this.#body = body;
  }

  /** What MSR is using; undefined where the settings name none, or several. */
  get storage(): StorageSection | undefined {
    const [found, ...more] = Object.entries(this.#section).filter(([name]) => !NOT_DRIVERS.includes(name));
    if (!found || more.length > 0) return undefined;
    const [driver, parameters] = found;
    return { driver, parameters: isRecord(parameters) ? parameters : {} };
  }

  /** Undefined: the settings do not say. */
  get isReadOnly(): boolean | undefined {
    const enabled = at(this.#section, 'maintenance', 'readonly', 'enabled');
    return typeof enabled === 'boolean' ? enabled : undefined;
  }

  /** Are clients sent to the storage itself for blobs? Undefined: the settings do not say, and the registry does. */
  get disablesRedirects(): boolean | undefined {
    const disable = at(this.#section, 'redirect', 'disable');
    return typeof disable === 'boolean' ? disable : undefined;
  }

  /** What no message may repeat; a text of three characters would black out every other word and is no secret. */
  get secrets(): readonly string[] {
    const { config, ...rest } = this.#body;
    const parsed = configOf(config);
    const texts = [...hiddenTexts(rest), ...(parsed ? hiddenTexts(parsed) : [])];
    return [...new Set(texts)].filter((text) => text.length > 3);
  }

  /**
   * Has the server put something in the place of a secret? Whoever puts such settings back, to switch or to take a switch
   * back, writes that over the secret.
   */
  get masksSecrets(): boolean {
    const { config, ...rest } = this.#body;
    const parsed = configOf(config);
    const texts = [...hiddenTexts(rest), ...(parsed ? hiddenTexts(parsed) : [])];
    return texts.some((text) => SERVERS_MASK.test(text));
  }

  /** For people: secrets are masked. */
  get printable(): JsonRecord {
    const { config, ...rest } = this.#body;
    const parsed = configOf(config);
    const shown = masked(rest) as JsonRecord;
    return config === undefined ? shown : { ...shown, config: masked(parsed ?? config, 'config') };
  }

  /** The parameters that say where the objects are; none of them is a secret. */
  get place(): JsonRecord {
    const { storage } = this;
    const shown = storage ? (masked(storage.parameters) as JsonRecord) : {};
    return Object.fromEntries((PLACE[storage?.driver ?? ''] ?? []).map((name) => [name, shown[name] ?? '']));
  }

  /**
   * Where it is what the other one is: same driver, and the same value of each parameter that says where the objects are.
   * Two tenants of one Swift may each have a container of the same name: what the other one names of those counts, too.
   */
  isAt({ driver, parameters }: StorageSection): boolean {
    const { storage } = this;
    if (storage?.driver !== driver) return false;
    const named = (OWNER[driver] ?? []).filter((name) => (parameters[name] ?? '') !== '');
    const places = [...(PLACE[driver] ?? Object.keys(parameters)), ...named];
    return places.every((name) => sameText(storage.parameters[name], parameters[name]));
  }

  /**
   * The body that switches to another storage: everything else as it is, `keep_metadata` so that no tag is lost, and
   * read-only as it is now, which leaving it out would end.
   * @throws RangeError where the settings have no place for a storage.
   */
  switchedTo(storage: StorageSection, isReadOnly: boolean): JsonRecord {
    const { storage: section, config } = this.#body;
    const parsed = configOf(config);
    const inConfig = parsed?.['storage'];
    if (!isRecord(section) && !isRecord(inConfig)) {
      throw new RangeError('neither the field "storage" nor the field "config" holds a storage section');
    }
    return {
      ...this.#body,
      ...(isRecord(section) ? { storage: edited(section, storage, isReadOnly) } : {}),
      ...(parsed && isRecord(inConfig)
        ? { config: yamlOf({ ...parsed, storage: edited(inConfig, storage, isReadOnly) }) }
        : {}),
      keep_metadata: true,
    };
  }

  toJSON(): JsonRecord {
    return this.printable;
  }

  [inspect.custom](): string {
    return `RegistrySettings ${inspect(this.printable, { depth: 8 })}`;
  }

  get #section(): JsonRecord {
    const { storage, config } = this.#body;
    const section = isRecord(storage) ? storage : configOf(config)?.['storage'];
    return isRecord(section) ? section : {};
  }
}

/** The parameters that say where the objects are, as opposed to how they are reached. */
const PLACE: Readonly<Record<string, readonly string[]>> = {
  s3: ['bucket', 'rootdirectory', 'regionendpoint'],
  azure: ['accountname', 'container', 'rootdirectory'],
  gcs: ['bucket', 'rootdirectory'],
  swift: ['authurl', 'container', 'prefix'],
  filesystem: [],
};

/** Parameters that say whose container it is, each of which may be left out. */
const OWNER: Readonly<Record<string, readonly string[]>> = {
  azure: ['realm'],
  swift: ['tenant', 'tenantid', 'domain', 'domainid', 'region'],
};

/** Roots and addresses are the same with or without slashes around them; what is left out is empty. */
function sameText(one: Json | undefined, other: Json | undefined): boolean {
  const plain = (value: Json | undefined): string => String(value ?? '').replace(/^\/+|\/+$/g, '');
  return plain(one) === plain(other);
}

function edited(
  section: JsonRecord,
  { driver, parameters }: StorageSection,
  isReadOnly: boolean,
): JsonRecord {
  const kept = Object.fromEntries(Object.entries(section).filter(([name]) => NOT_DRIVERS.includes(name)));
  const maintenance = isRecord(kept['maintenance']) ? kept['maintenance'] : {};
  const readonly = isRecord(maintenance['readonly']) ? maintenance['readonly'] : {};
  return {
    ...kept,
    maintenance: { ...maintenance, readonly: { ...readonly, enabled: isReadOnly } },
    [driver]: parameters,
  };
}

/** Texts in quotes: the registry reads YAML 1.1, to which a password such as `yes` or `1_000` would be none. */
function yamlOf(config: JsonRecord): string {
  return stringify(config, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' });
}

function configOf(config: Json | undefined): JsonRecord | undefined {
  if (isRecord(config)) return config;
  if (typeof config !== 'string') return undefined;
  try {
    const parsed = parse(config) as Json;
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    // Its message quotes the text, secrets and all.
    return undefined;
  }
}

function at(record: JsonRecord, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((value, name) => (isRecord(value) ? value[name] : undefined), record);
}
