/** A root folder of its own for each test, drivers over it, and the few ways in which tests look at them. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isStorageError, type StorageErrorDetails } from '../../../src/core/errors.ts';
import type { CallContext, ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';
import { FileCalls } from '../../../src/drivers/fs/fs-calls.ts';
import { openFsDriver } from '../../../src/drivers/fs/fs-driver.ts';
import type { FileSystemSpec } from '../../../src/drivers/spec.ts';
import { tempFolderFor } from '../../support/temp.ts';

export const ctx: CallContext = { signal: new AbortController().signal };

interface Test {
  after(fn: () => Promise<void>): void;
}

export interface World {
  /** Holds the root and what lies beside it. */
  readonly outside: string;
  readonly root: string;
  /** Makes a file below `outside`, with the folders on its way. */
  file(path: string, content?: string): Promise<string>;
  /** Opens a driver that is closed with the test. */
  open(role: 'source' | 'target', options?: OpenOptions): Promise<StorageDriver>;
}

interface OpenOptions {
  readonly calls?: FileCalls;
  readonly spec?: Partial<FileSystemSpec>;
}

export async function makeWorld(test: Test): Promise<World> {
  const outside = await tempFolderFor(test, 'fs');
  const root = join(outside, 'root');
  await mkdir(root);
  return {
    outside,
    root,
    file: async (path, content = path) => {
      const full = join(outside, path);
      await mkdir(dirname(full), { recursive: true });
      await writeFile(full, content);
      return full;
    },
    open: async (role, { calls, spec } = {}) => {
      const driver = await openFsDriver(
        { kind: 'fs', rootDirectory: root, ...spec },
        { role, calls: calls ?? new FileCalls('local') },
      );
      test.after(async () => {
        if (existsSync(root)) await driver.close();
      });
      return driver;
    },
  };
}

export async function keysOf(
  driver: StorageDriver,
  query: Partial<ListQuery> = {},
): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const page of driver.list(ctx, { prefix: '', ...query })) {
    keys.push(...page.prefixes, ...page.objects.map((object) => object.key));
  }
  return keys;
}

export async function textOf(driver: StorageDriver, key: string): Promise<string> {
  const bytes = Buffer.alloc(1_000);
  const { bytesRead } = await driver.read(ctx, key, bytes, {});
  return bytes.subarray(0, bytesRead).toString();
}

/** Everything below a folder, relative to it, folders with a `/` behind them. */
export async function treeOf(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .map(
      (entry) =>
        `${join(entry.parentPath, entry.name).slice(folder.length + 1)}${entry.isDirectory() ? '/' : ''}`,
    )
    .sort();
}

/** Expects a `StorageError` with these details, and gives back its message and hint. */
export async function refusalOf(
  call: Promise<unknown>,
  expected: Partial<StorageErrorDetails>,
): Promise<{ readonly message: string; readonly hint: string }> {
  try {
    await call;
  } catch (error) {
    if (!isStorageError(error)) throw error;
    const actual = Object.fromEntries(
      Object.entries(error.details).filter(([name]) => Object.hasOwn(expected, name)),
    );
    assert.deepEqual(actual, expected, error.message);
    assert.ok(error.details.backend.startsWith('file:///'));
    return { message: error.message, hint: error.hint ?? '' };
  }
  return assert.fail('The call succeeded where it had to be refused');
}
