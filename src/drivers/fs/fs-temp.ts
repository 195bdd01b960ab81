/**
 * The folder of unfinished files, `.blobferry-tmp/` in the root: on the same file system as the objects, so that a
 * finished file gets its name by one rename, and in no repository, so that no registry meets half an object.
 *
 * Names are 12 hex digits of the run, 8 random ones of the driver, and a number counted within it:
 *
 *   blobferry-write-<32 hex>        a body on its way in
 *   blobferry-upload-<32 hex>       the parts of a multipart upload
 *   blobferry-upload-<32 hex>.key   the key that upload is for
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { codeOf, hasCode, refusal } from './fs-errors.ts';
import { TEMP_FOLDER } from './fs-keys.ts';
import type { FsRoot } from './fs-root.ts';

const OURS = /^blobferry-(write|upload)-[0-9a-f]{32}(\.key)?$/;
const UPLOAD = /^blobferry-upload-[0-9a-f]{32}$/;
const RUN_DIGITS = 12;
const STALE_MS = 24 * 60 * 60 * 1000;
/** Another process may remove the empty folder between our making it and our first file; not for ever, though. */
const ATTEMPTS = 20;

export interface TempFile {
  readonly name: string;
  readonly path: string;
  readonly fd: number;
}

export class TempFolder {
  readonly #root: FsRoot;
  readonly #ownNames: string;
  #files = 0;
  readonly path: string;

  /** @param runId 12 hex digits; random where nobody will ask whose the files were. */
  constructor(root: FsRoot, runId = randomBytes(RUN_DIGITS / 2).toString('hex')) {
    this.#root = root;
    this.#ownNames = runId + randomBytes(4).toString('hex');
    this.path = root.join(TEMP_FOLDER);
  }

  /** Refuses a link or a file in the folder's place: writing there would leave the root. */
  check(): void {
    const stats = lstatSync(this.path, { throwIfNoEntry: false });
    if (stats === undefined || stats.isDirectory()) return;
    throw refusal(this.#root.context('write'), {
      kind: 'denied',
      scope: 'backend',
      sentence: `"${TEMP_FOLDER}" is not a folder`,
      hint: `Remove "${this.path}"; blobferry keeps its temporary files in a folder of this name`,
    });
  }

  /** Removes what runs of the past left behind; files with other names, or touched within a day, are never removed. */
  removeStale(nowMs: number): void {
    for (const name of this.#names()) {
      if (!OURS.test(name)) continue;
      // An upload's key is written once, its data all the time.
      const touched = Math.max(this.#touchedMs(name), this.#touchedMs(name.replace(/\.key$/, '')));
      if (touched < nowMs - STALE_MS) this.#removeIfAllowed(name);
    }
  }

  /**
   * Removes what these runs, which are over for sure, have left: bodies on their way, and uploads of which one half is
   * missing. Whole uploads stay: whoever knows their keys continues or aborts them.
   */
  removeOf(runIds: readonly string[]): void {
    if (runIds.length === 0) return;
    const names = new Set(this.#names());
    for (const name of names) {
      const [, kind, run = ''] = /^blobferry-(write|upload)-([0-9a-f]{12})/.exec(name) ?? [];
      if (!OURS.test(name) || !runIds.includes(run)) continue;
      const partner = name.endsWith('.key') ? name.replace(/\.key$/, '') : `${name}.key`;
      if (kind === 'write' || !names.has(partner)) this.#removeIfAllowed(name);
    }
  }

  async create(kind: 'write' | 'upload'): Promise<TempFile> {
    for (let attempt = 1; ; attempt += 1) {
      this.#files += 1;
      const name = `blobferry-${kind}-${this.#ownNames}${this.#files.toString(16).padStart(12, '0')}`;
      const path = `${this.path}/${name}`;
      try {
        return { name, path, fd: await this.#root.calls.open(path, 'temp') };
      } catch (error) {
        // EEXIST: NFS may carry out a request twice and answer for the second time.
        if (!hasCode(error, 'ENOENT', 'EEXIST') || attempt >= ATTEMPTS) throw error;
        if (hasCode(error, 'ENOENT')) await this.#makeFolder();
      }
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await this.#root.calls.unlink(path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }

  /** The path of an upload's data; undefined for an id that no upload of ours can have. */
  uploadPath(id: string): string | undefined {
    return UPLOAD.test(id) ? `${this.path}/${id}` : undefined;
  }

  rememberKey(id: string, key: string): void {
    writeFileSync(`${this.path}/${id}.key`, key, { flag: 'wx', mode: 0o600 });
  }

  /** Never fails: a key without its data counts for nothing and is swept up after a day. */
  forgetKey(id: string): void {
    try {
      this.#removeNow(`${id}.key`);
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  }

  /** Uploads whose data is still there. */
  uploads(): readonly { readonly id: string; readonly key: string }[] {
    const names = new Set(this.#names());
    return [...names]
      .filter((name) => UPLOAD.test(name) && names.has(`${name}.key`))
      .flatMap((id) => {
        const key = this.#keyOf(id);
        return key === undefined ? [] : [{ id, key }];
      });
  }

  /** Removes the folder if nothing is left in it. */
  async close(): Promise<void> {
    try {
      await this.#root.calls.removeFolder(this.path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EACCES', 'EPERM', 'EROFS')) throw error;
    }
  }

  async #makeFolder(): Promise<void> {
    await this.#root.demandSameRoot('write');
    try {
      await this.#root.calls.makeFolder(this.path, 0o700);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }

  #names(): readonly string[] {
    try {
      return readdirSync(this.path);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  #keyOf(id: string): string | undefined {
    try {
      return readFileSync(`${this.path}/${id}.key`, 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #touchedMs(name: string): number {
    return statSync(`${this.path}/${name}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }

  /** What cannot be swept up is in nobody's way. */
  #removeIfAllowed(name: string): void {
    try {
      this.#removeNow(name);
    } catch (error) {
      if (!hasCode(error, 'EISDIR', 'EACCES', 'EPERM', 'EBUSY')) throw error;
    }
  }

  #removeNow(name: string): void {
    try {
      unlinkSync(`${this.path}/${name}`);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
}
