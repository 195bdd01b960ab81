/** `admin/settings/registry`: which storage MSR uses. Never `…/simple`: whether that keeps the metadata is not known. */
import { z } from 'zod';
import type { Json } from './masked-settings.ts';
import type { MsrConnection } from './msr-connection.ts';
import { MsrError } from './msr-error.ts';
import { type JsonRecord, RegistrySettings, type StorageSection } from './registry-settings.ts';

const PATH = '/api/v0/admin/settings/registry';
const BODY = z.record(z.string(), z.json());

/** What comes holds secrets in clear: from then on none of them gets into a message. */
export async function readRegistrySettings(
  msr: MsrConnection,
  signal: AbortSignal,
): Promise<RegistrySettings> {
  const operation = 'read the settings of the registry';
  const answer = await msr.send(signal, { method: 'GET', operation, path: PATH });
  const settings = new RegistrySettings(answer.read(BODY) as JsonRecord);
  msr.learnSecrets(settings.secrets);
  return settings;
}

/**
 * Switches to another storage and keeps the metadata. MSR tries the storage first: it writes and removes a small object
 * with a UUID for a name at its root, and refuses (400) where that fails. Replicas restart: what is so afterwards is for
 * `readRegistrySettings` to say.
 * @param isReadOnly what the registry is now: the body carries it, and `false` would end it.
 */
export async function switchStorage(
  msr: MsrConnection,
  signal: AbortSignal,
  storage: StorageSection,
  isReadOnly: boolean,
): Promise<void> {
  const operation = `switch the registry to its new storage (${storage.driver})`;
  const before = await readRegistrySettings(msr, signal);
  let json: Json;
  try {
    json = before.switchedTo(storage, isReadOnly);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const details = { kind: 'malformed', server: msr.name, operation } as const;
    throw new MsrError(
      error.message,
      { ...details, isTransient: false, mayHaveActed: false },
      { hint: 'Switch under System > Storage in the web interface of MSR' },
    );
  }
  await put(msr, signal, operation, json as JsonRecord);
}

/** Puts settings back as `RegistrySettings.switchedTo` had made them. */
export async function putRegistrySettings(
  msr: MsrConnection,
  signal: AbortSignal,
  json: JsonRecord,
): Promise<void> {
  await put(msr, signal, 'put the settings of the registry back', json);
}

async function put(
  msr: MsrConnection,
  signal: AbortSignal,
  operation: string,
  json: JsonRecord,
): Promise<void> {
  msr.learnSecrets(new RegistrySettings(json).secrets);
  await msr.send(signal, { method: 'PUT', operation, path: PATH, json });
}
