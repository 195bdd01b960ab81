/** A storage as MSR's settings have it: the section of the YAML file, with the registry's own parameters as they are. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { ConfigError } from '../../core/errors.ts';
import type { StorageSpec } from '../../drivers/spec.ts';
import { storageName } from '../../drivers/spec-name.ts';
import type { JsonRecord, StorageSection } from '../../platform/msr/registry-settings.ts';
import { type Environment, substitute } from '../storage/environment.ts';
import { schemeOf } from '../storage/url-storage.ts';

const DRIVERS = ['filesystem', 's3', 's3aws', 'azure', 'gcs', 'swift'];
/** What blobferry knows and the registry's drivers in MSR 2.9 do not. */
const UNKNOWN_TO_MSR = ['sessiontoken', 'sastoken', 'connectionstring'];

/** Where MSR is to find it, or finds it now: enough to tell two places apart. */
export async function placeSection(
  given: string,
  spec: StorageSpec,
  env: Environment,
): Promise<StorageSection> {
  return schemeOf(given) === undefined ? await yamlSection(given, env) : sectionOfSpec(spec);
}

/**
 * With the credentials that MSR is to use.
 * @throws ConfigError where MSR could not be told how to reach it.
 */
export async function settingsSection(
  given: string,
  spec: StorageSpec,
  env: Environment,
): Promise<StorageSection> {
  if (schemeOf(given) !== undefined) {
    throw new ConfigError(
      `The target ${storageName(spec)} is given as a URL, which says nothing of MSR's own credentials`,
      {
        hint: "Write it as a YAML file, with the parameters that MSR's settings are to have",
      },
    );
  }
  const { driver, parameters } = await yamlSection(given, env);
  const unknown = UNKNOWN_TO_MSR.find((name) => parameters[name] !== undefined);
  if (unknown !== undefined) {
    throw new ConfigError(`${given}: MSR 2.9 does not know "${unknown}", and could not use this storage`);
  }
  if (parameters['keyrule'] === 'plain') {
    throw new ConfigError(`${given}: with keyrule plain MSR would find nothing there`);
  }
  const { keyrule: _, ...own } = parameters;
  return { driver, parameters: own };
}

async function yamlSection(file: string, env: Environment): Promise<StorageSection> {
  const root = record(parse(await readFile(file, 'utf8')));
  const storage = root['storage'];
  const sections =
    typeof storage === 'string' ? { [storage]: {} } : storage === undefined ? root : record(storage);
  const name = DRIVERS.find((driver) => Object.hasOwn(sections, driver)) ?? '';
  // The file was read before, and found to name one.
  const parameters = substituted(sections[name] ?? {}, env);
  return { driver: name === 's3aws' ? 's3' : name, parameters: record(parameters) as JsonRecord };
}

function substituted(value: unknown, env: Environment): unknown {
  if (typeof value === 'string') {
    const result = substitute(value, env);
    return result.ok ? result.text : value;
  }
  if (Array.isArray(value)) return value.map((item) => substituted(item, env));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, substituted(item, env)]));
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function sectionOfSpec(spec: StorageSpec): StorageSection {
  switch (spec.kind) {
    case 'fs':
      return { driver: 'filesystem', parameters: {} };
    case 's3': {
      const { bucket, rootDirectory, endpoint } = spec;
      return {
        driver: 's3',
        parameters: { bucket, rootdirectory: rootDirectory, regionendpoint: endpoint ?? '' },
      };
    }
    case 'gcs':
      return { driver: 'gcs', parameters: { bucket: spec.bucket, rootdirectory: spec.rootDirectory } };
    case 'azure': {
      const { accountName, container, rootDirectory } = spec;
      return {
        driver: 'azure',
        parameters: { accountname: accountName, container, rootdirectory: rootDirectory },
      };
    }
    case 'swift': {
      const { container, prefix, access } = spec;
      return { driver: 'swift', parameters: { authurl: access.authUrl, container, prefix } };
    }
    case 'memory':
      return { driver: 'inmemory', parameters: {} };
  }
}
