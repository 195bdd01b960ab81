/**
 * Reads a migration file. All mistakes in its values are told at once, each as `file:line: sentence`; what can only be
 * judged when those are right follows. Secrets are never in the file: it names the environment variables that hold them.
 */
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { ConfigError } from '../../core/errors.ts';
import type { Migration } from '../../platform/migration.ts';
import type { Environment } from '../storage/environment.ts';
import { type ReadSection, Remarks, readSection, type Section } from '../storage/section.ts';
import { readTextFile } from '../storage/text-file.ts';
import { schemeOf } from '../storage/url-storage.ts';
import { parseYaml, type YamlEntry, type YamlValue } from '../storage/yaml-file.ts';
import { migrationParameters, mkeParameters, platformParameters } from './parameters.ts';
import { checkPlatform, type GivenPlatform } from './platform-section.ts';

export interface MigrationReading {
  readonly migration: Migration;
  /** What was given and has no effect: a sentence each. */
  readonly notes: readonly string[];
}

/** @throws ConfigError naming the file, and the lines of what is wrong. */
export async function readMigrationFile(file: string, env: Environment): Promise<MigrationReading> {
  const text = await readTextFile(file, { failed: 'Cannot read the migration', hint: EXPECTED });
  return readMigration(text, file, env);
}

const EXPECTED = 'give a YAML file with source, target, procedure and platform';

/** @param file as the user named it: the beginning of every message, and what paths are relative to. */
export function readMigration(text: string, file: string, env: Environment): MigrationReading {
  const root = parseYaml(text, file);
  if (root.kind !== 'map') {
    const is = root.kind === 'nothing' ? 'the file is empty' : 'this is no migration';
    throw new ConfigError(`${file}:1: ${is}`, { hint: EXPECTED });
  }
  return new Reading(file, env).read(root.entries);
}

type Given<S extends z.ZodObject> = ReadSection<z.infer<S>>;

/** Names under which somebody may put the secret itself. */
const SECRET_NAMES =
  /^(?:ucp|mke|msr|dtr|api|access|refresh|auth)?[-_]?(?:password|passwd|token|secret|key)$/i;
const SECRET_HINT =
  'put it into an environment variable and name that: passwordEnv: MSR_PASSWORD, or tokenEnv';

class Reading {
  readonly #file: string;
  readonly #folder: string;
  readonly #env: Environment;
  readonly #remarks: Remarks;

  constructor(file: string, env: Environment) {
    this.#file = resolve(file);
    this.#folder = dirname(this.#file);
    this.#env = env;
    this.#remarks = new Remarks(file);
  }

  read(entries: readonly YamlEntry[]): MigrationReading {
    const around = entries.find(({ name }) => name === 'platform');
    const rest = entries.filter((entry) => entry !== around);
    const given = this.#section('the migration', 1, rest, migrationParameters);
    const platform = this.#platformEntries(around);
    const mke = platform.entries.find(({ name }) => name === 'mke');
    const others = platform.entries.filter((entry) => entry !== mke);
    const msr = this.#section('platform', platform.line, others, platformParameters);
    const mkeEntries = this.#map(mke, 'mke');
    const cluster = this.#section('mke', mke?.line ?? platform.line, mkeEntries, mkeParameters);
    this.#remarks.throwIfAny();
    if (!given || !msr || !cluster) throw new TypeError('No problem was named');
    const migration = this.#migration(given, {
      line: around?.line,
      given: msr,
      mke: mke && cluster,
    });
    this.#remarks.throwIfAny();
    return { migration, notes: this.#remarks.notes };
  }

  /** `platform: none` is short for a section with that kind alone. */
  #platformEntries(entry: YamlEntry | undefined): {
    readonly line: number;
    readonly entries: readonly YamlEntry[];
  } {
    const value = entry?.value();
    const line = entry?.line ?? 1;
    if (value?.kind !== 'text') return { line, entries: this.#map(entry, 'platform') };
    return { line, entries: [{ name: 'kind', line, value: (): YamlValue => value }] };
  }

  #map(entry: YamlEntry | undefined, name: string): readonly YamlEntry[] {
    const value = entry?.value();
    if (!entry || value?.kind === 'nothing') return [];
    if (value?.kind === 'map') return value.entries;
    this.#remarks.problem(entry.line, `"${name}" must be a section of names and values`);
    return [];
  }

  #section<S extends z.ZodObject>(
    name: string,
    line: number,
    entries: readonly YamlEntry[],
    schema: S,
  ): Given<S> | undefined {
    const secrets = entries.filter((entry) => SECRET_NAMES.test(entry.name));
    for (const entry of secrets) {
      const sentence = `"${entry.name}" of ${name} would hold a secret, which this file must not`;
      this.#remarks.problem(entry.line, sentence, SECRET_HINT);
    }
    const section: Section = {
      backend: name,
      line,
      entries: entries.filter((entry) => !secrets.includes(entry)),
      remarks: this.#remarks,
      env: this.#env,
      isWritten: true,
    };
    return readSection(section, schema);
  }

  #migration(
    { values, lineOf }: Given<typeof migrationParameters>,
    platform: Omit<GivenPlatform, 'procedure' | 'procedureLine'>,
  ): Migration {
    const { source, target } = values;
    if (source === undefined) this.#remarks.problem(1, '"source" is missing');
    if (target === undefined) this.#remarks.problem(1, '"target" is missing');
    if (source !== undefined && source === target) {
      this.#remarks.problem(lineOf('target'), '"target" is the same as "source"');
    }
    return {
      file: this.#file,
      source: this.#place(source ?? ''),
      target: this.#place(target ?? ''),
      passes: values.passes ?? 'auto',
      platform: checkPlatform(
        { ...platform, procedure: values.procedure, procedureLine: lineOf('procedure') },
        { remarks: this.#remarks, env: this.#env, folder: this.#folder },
      ),
      backups: resolve(this.#folder, values.backups ?? 'backups'),
      journal: resolve(this.#folder, values.journal ?? 'journal'),
      report: resolve(this.#folder, values.report ?? 'report'),
      windowMsMax: values.windowMax,
    };
  }

  /** A URL as it is, a path from where the file lies. */
  #place(given: string): string {
    return schemeOf(given) === undefined ? resolve(this.#folder, given) : given;
  }
}
