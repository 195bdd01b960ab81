/** What follows `--from` and `--to`: a URL, or a file with the registry's storage configuration. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../../core/errors.ts';
import type { Environment } from './environment.ts';
import { readUrlStorage, schemeOf } from './url-storage.ts';
import { readYamlStorage, type StorageReading } from './yaml-storage.ts';

export interface ReadStorageOptions {
  /** A source is never written, so attributes of written objects mean nothing there. */
  readonly role: 'source' | 'target';
}

/** Far above any configuration, far below what would hurt. */
const FILE_BYTES_MAX = 1024 * 1024;

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

async function readText(file: string, options: ReadStorageOptions): Promise<string> {
  const bytes = await readBytes(file, options);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ConfigError(`Cannot read the ${options.role}'s settings from "${file}": not UTF-8 text`, {
      cause,
    });
  }
}

/** Also from a pipe, as of `<(…)` in a shell, whose size is not known beforehand. */
async function readBytes(file: string, { role }: ReadStorageOptions): Promise<Uint8Array> {
  const failed = `Cannot read the ${role}'s settings from "${file}"`;
  try {
    await using handle = await open(file, 'r');
    if ((await handle.stat()).isDirectory()) {
      const url = pathToFileURL(resolve(file)).href.replace(/\/$/, '');
      throw new ConfigError(`${failed}: it is a folder`, {
        hint: `for the registry stored in it write ${url}`,
      });
    }
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
    let filled = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled);
      filled += bytesRead;
      if (bytesRead === 0) return buffer.subarray(0, filled);
      if (filled > FILE_BYTES_MAX) throw new ConfigError(`${failed}: more than ${FILE_BYTES_MAX} bytes`);
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${failed}: ${whyNot(error)}`, { hint: EXPECTED, cause: error });
  }
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}
