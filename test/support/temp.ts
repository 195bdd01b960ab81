/** Unique folders for tests, gone when the test is done. */
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TempFolder extends AsyncDisposable {
  /** Absolute path; the folder exists and is empty. */
  readonly path: string;
  /** Removes the folder and everything in it; may be called twice. */
  remove(): Promise<void>;
}

/** Anything with `after`: a test context, or the hooks of a suite. */
export interface Afterwards {
  after(fn: () => Promise<void>): void;
}

export async function makeTempFolder(label = 'test'): Promise<TempFolder> {
  const path = await mkdtemp(join(tmpdir(), `blobferry-${label}-`));
  const remove = async (): Promise<void> => {
    // Servers that were just stopped may still be unlinking files of their own, hence the retries.
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  return { path, remove, [Symbol.asyncDispose]: remove };
}

/** A folder that lives as long as the test: `const root = await tempFolderFor(t)`. */
export async function tempFolderFor(test: Afterwards, label = 'test'): Promise<string> {
  const folder = await makeTempFolder(label);
  test.after(folder.remove);
  return folder.path;
}

/** A folder that lives as long as this process, for what many tests of one file share. */
export function processTempFolder(label: string): string {
  const path = mkdtempSync(join(tmpdir(), `blobferry-${label}-`));
  process.once('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}
