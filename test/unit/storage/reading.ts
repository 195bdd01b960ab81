import assert from 'node:assert/strict';
import { readYamlStorage, type StorageReading } from '../../../src/cli/storage/yaml-storage.ts';
import { ConfigError } from '../../../src/core/errors.ts';

type Env = Readonly<Record<string, string>>;

export function readYaml(text: string, env: Env = {}, role: 'source' | 'target' = 'target'): StorageReading {
  return readYamlStorage({ text, file: 'old.yml', env, isWritten: role === 'target' });
}

/** Message and hint of the ConfigError that reading must end in. */
export async function refusalOf(read: () => unknown): Promise<{ message: string; hint: string | undefined }> {
  let result: unknown;
  try {
    result = await read();
  } catch (error) {
    assert.ok(error instanceof ConfigError, `Not a ConfigError: ${String(error)}`);
    return { message: error.message, hint: error.hint };
  }
  assert.fail(`Not refused: ${JSON.stringify(result)}`);
}

/** An s3 section with these lines below bucket (line 2) and region (line 3). */
export function s3Yaml(...lines: readonly string[]): string {
  return ['s3:', '  bucket: registry', '  region: eu-west-1', ...lines.map((line) => `  ${line}`), ''].join(
    '\n',
  );
}
