/** Which storages can be spoken to through a library of their maker (`--engine sdk`). */
import { ConfigError } from '../core/errors.ts';
import type { StorageSpec } from './spec.ts';

/** By the direct engine alone. */
const WITHOUT = { swift: 'Swift', gcs: 'Cloud Storage' } as const;

type Without = keyof typeof WITHOUT;

export function hasSdkEngine({ kind }: StorageSpec): boolean {
  return kind === 's3' || kind === 'azure';
}

export function noSdkNotice(kind: Without): string {
  return `${WITHOUT[kind]} has no SDK engine; the direct one moves its bytes`;
}

/**
 * @param storages of one command.
 * @throws ConfigError where the SDK engine was asked for, and there is none for any of them.
 */
export function demandSdkEngine(engine: 'direct' | 'sdk', storages: readonly StorageSpec[]): void {
  if (engine === 'direct' || storages.some(hasSdkEngine)) return;
  const without = storages.map(({ kind }) => kind).find((kind): kind is Without => kind in WITHOUT);
  if (without === undefined) return;
  throw new ConfigError(`--engine sdk is for S3 and Azure: ${WITHOUT[without]} has no SDK engine`, {
    hint: 'Leave --engine out',
  });
}
