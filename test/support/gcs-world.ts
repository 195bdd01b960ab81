/** A driver over the fake of Cloud Storage, and what unit tests share. */

import type { Binding, StorageDriver } from '../../src/drivers/driver.ts';
import { type GcsDriverOptions, openGcsDriver } from '../../src/drivers/gcs/gcs-driver.ts';
import type { GcsSpec } from '../../src/drivers/spec.ts';
import { type GcsFake, type GcsFakeOptions, startGcsFake } from './gcs-fake.ts';

export const CTX = { signal: new AbortController().signal };

export interface GcsWorld {
  readonly fake: GcsFake;
  readonly driver: StorageDriver;
  open(options?: GcsDriverOptions, binding?: Binding): StorageDriver;
}

export function gcsSpecFor(endpoint: string, more: Partial<GcsSpec> = {}): GcsSpec {
  return {
    kind: 'gcs',
    bucket: 'bucket',
    rootDirectory: '',
    endpoint,
    access: { kind: 'default' },
    skipsTlsVerify: false,
    ...more,
  };
}

/** Closed when the test ends. */
export async function gcsWorldFor(
  t: { after(work: () => Promise<void>): void },
  more: Partial<GcsSpec> = {},
  fakeOptions: GcsFakeOptions = {},
): Promise<GcsWorld> {
  const fake = await startGcsFake(fakeOptions);
  const opened: StorageDriver[] = [];
  const open = (options: GcsDriverOptions = {}, binding?: Binding): StorageDriver => {
    const storage = gcsSpecFor(fake.endpoint, more);
    const bound = binding ? { binding } : {};
    const all = { tokens: async () => ({ token: 'token' }), ...options };
    const driver = openGcsDriver({ storage, engine: 'direct', ...bound }, all);
    opened.push(driver);
    return driver;
  };
  t.after(async () => {
    for (const driver of opened) await driver.close();
    await fake.close();
  });
  return { fake, driver: open(), open };
}

export async function allOf<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
