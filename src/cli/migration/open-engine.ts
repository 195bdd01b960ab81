/** The engine of a migration over the drivers there are. */
import { openEngine } from '../../platform/engine/engine.ts';
import type { EngineParts } from '../../platform/engine/parts.ts';
import type { EnginePort } from '../../platform/engine-port.ts';
import { openDriverTelling, tokenDeskOf } from '../composition.ts';
import { WORKER_URL } from '../own-files.ts';
import type { Environment } from '../storage/environment.ts';
import { probeForMigration } from './storage-findings.ts';

export interface MigrationEngineInput extends Pick<EngineParts, 'source' | 'target' | 'options'> {
  /** Told once of what was dealt with and should be known all the same, such as a bucket in another region. */
  readonly onNotice: (sentence: string) => void;
  readonly env: Environment;
}

export function openMigrationEngine({ onNotice, env, ...parts }: MigrationEngineInput): EnginePort {
  return openEngine({
    ...parts,
    openDriver: openDriverTelling((sentence, side) => onNotice(`${side}: ${sentence}`)),
    tokenDeskOf,
    workerUrl: WORKER_URL,
    probe: probeForMigration(env),
  });
}
