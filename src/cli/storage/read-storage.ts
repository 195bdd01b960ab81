/** What follows `--from` and `--to`: a URL, or a file with the registry's storage configuration. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../../core/errors.ts';
import type { Environment } from './environment.ts';
import { readTextFile } from './text-file.ts';
import { readUrlStorage, schemeOf } from './url-storage.ts';
import { readYamlStorage, type StorageReading } from './yaml-storage.ts';

export interface ReadStorageOptions {
  /** A source is never written, so attributes of written objects mean nothing there. */
  readonly role: 'source' | 'target';
}

/**
 * @param argument a URL or the path of a YAML file.
 * @param env where `${NAME}` in values and the region come from.
 * @throws ConfigError with one sentence for each mistake, `file:line:` first where there is a file.
 */
export async function readStorage(
  argument: string,
  env: Environment,
  options: ReadStorageOptions,
): Promise<StorageReading> {
  if (argument === '') {
    throw new ConfigError(`The ${options.role} is not named`, { hint: EXPECTED });
  }
  const reading =
    schemeOf(argument) === undefined
      ? readYamlStorage({
          text: await readText(argument, options),
          file: argument,
          env,
          isWritten: options.role === 'target',
        })
      : readUrlStorage(argument, env);
  return { spec: reading.spec, notes: [...reading.notes, ...environmentNotes(reading, env)] };
}

const EXPECTED = 'give a YAML file, or a URL such as file:///srv/registry or s3://bucket/root';

/** AWS tools would take these for both storages alike, and so send one of them to the other's server. */
function environmentNotes({ spec }: StorageReading, env: Environment): readonly string[] {
  if (spec.kind !== 's3' || spec.endpoint !== undefined) return [];
  return ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL']
    .filter((name) => env[name])
    .map((name) => `${name} is set and not used: an endpoint is taken from the storage's own settings`);
}

function readText(file: string, { role }: ReadStorageOptions): Promise<string> {
  const url = pathToFileURL(resolve(file)).href.replace(/\/$/, '');
  return readTextFile(file, {
    failed: `Cannot read the ${role}'s settings`,
    hintForFolder: `for the registry stored in it write ${url}`,
    hint: EXPECTED,
  });
}
