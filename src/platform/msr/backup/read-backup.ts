/**
 * The metadata backup that `dtr backup` writes: a plain tar with a folder for each table and a file of JSON for each row.
 *
 *     dtr-backup-v2.9.4-online/
 *       rethink/
 *         blobs/            0, 1, 2 …   {"id": …, "sha256sum": "sha256:…", "mediaType": …}
 *         repositories/ …               and some twenty tables more, each a folder even when it is empty
 *
 * It is read as it streams by and never held. It has keys and passwords in it: of the rows only those of `blobs` and
 * `crons` are looked at, and nothing of any row gets into a message.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isBlobId } from '../../../layout/digests/digest-record.ts';
import { jsonOf } from '../../json-of.ts';
import { BackupError } from './backup-error.ts';
import { type TarMember, tarMembers } from './tar-members.ts';

export interface BlobRow {
  readonly id: string;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
}

export interface BackupOptions {
  /** For messages: the file's name. */
  readonly name: string;
  /** The version that MSR runs: a backup of another one cannot be restored. Default: any. */
  readonly version?: string;
  /** Takes each blob; a promise holds the reading up. */
  readonly onBlob: (row: BlobRow) => void | Promise<void>;
}

/** A row of `blobs` that says nothing. */
interface BadRow {
  /** Path in the archive. */
  readonly member: string;
  readonly reason: string;
}

export interface BackupSummary {
  /** `2.9.4` */
  readonly version: string;
  /** Rows by table; 0 for an empty one. */
  readonly tables: ReadonlyMap<string, number>;
  /** Tables whose files are not numbered without a gap: rows may be missing. */
  readonly tablesWithGaps: readonly string[];
  /** Blobs with an id and a sha256. */
  readonly blobs: number;
  readonly badRows: number;
  /** The first ten of them. */
  readonly badRowsNamed: readonly BadRow[];
  /** What a restore would have MSR do by the clock again. */
  readonly cronActions: readonly string[];
  /** When its oldest row was written, as the archive says. */
  readonly oldestRowMs: number | undefined;
  readonly bytes: number;
  /** Of the whole archive, in hex: what is restored later must be what was read here. */
  readonly sha256: string;
}

/** What every backup has; without them it is one of something else, or of settings alone (`--config-only`). */
const REQUIRED = ['properties', 'repositories', 'tags', 'manifests', 'blobs', 'blob_links', 'crons'];

const MEMBER = /^dtr-backup-v(\d+\.\d+\.\d+)(?:-[a-z]+)?(?:\/(.*))?$/s;
const TABLE = /^rethink\/([A-Za-z0-9_]+)(?:\/(.*))?$/s;
const ROW = /^(?:0|[1-9]\d*)$/;
const ROW_BYTES_MAX = 256 * 1024;
const NAMED_MAX = 10;

const BLOB = z.object({ id: z.string(), sha256sum: z.string() });
const SHA256 = /^(?:sha256:)?([0-9a-f]{64})$/;
const CRON = z.object({ action: z.string().regex(/^[\w-]{1,64}$/) });

/** @throws BackupError for an archive that is no whole backup of MSR. */
export async function readBackup(
  archive: AsyncIterable<Uint8Array>,
  options: BackupOptions,
): Promise<BackupSummary> {
  const reader = new BackupReader(options);
  const counted = reader.counting(archive);
  for await (const members of tarMembers(counted, options.name, isLookedAt)) {
    for (const member of members) {
      const row = reader.take(member);
      if (row) await options.onBlob(row);
    }
  }
  return reader.finish();
}

function isLookedAt(path: string, sizeBytes: number): boolean {
  return /\/rethink\/(?:blobs|crons)\//.test(path) && sizeBytes <= ROW_BYTES_MAX;
}

interface Table {
  rows: number;
  highest: number;
  /** Of all its numbers: one that came twice must not stand for one that did not come. */
  sum: number;
}

class BackupReader {
  readonly #options: BackupOptions;
  readonly #tables = new Map<string, Table>();
  readonly #badRowsNamed: BadRow[] = [];
  readonly #cronActions = new Set<string>();
  #root: string | undefined;
  #version = '';
  #blobs = 0;
  #badRows = 0;
  #oldestRowMs: number | undefined;
  #bytes = 0;
  readonly #hash = createHash('sha256');

  constructor(options: BackupOptions) {
    this.#options = options;
  }

  async *counting(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of archive) {
      this.#bytes += piece.length;
      this.#hash.update(piece);
      yield piece;
    }
  }

  take(member: TarMember): BlobRow | undefined {
    const inside = this.#pathInside(member);
    const [, table, file] = TABLE.exec(inside) ?? [];
    if (table === undefined) return undefined;
    const known = this.#tables.get(table) ?? { rows: 0, highest: -1, sum: 0 };
    this.#tables.set(table, known);
    if (member.isFolder || file === undefined || file === '') return undefined;
    if (!ROW.test(file))
      throw this.#error('foreign', `a table of a backup has no file "${shown(member.path)}"`);
    known.rows += 1;
    known.highest = Math.max(known.highest, Number(file));
    known.sum += Number(file);
    const { modifiedMs } = member;
    if (modifiedMs !== undefined) this.#oldestRowMs = Math.min(modifiedMs, this.#oldestRowMs ?? modifiedMs);
    if (table === 'crons') this.#takeCron(member);
    return table === 'blobs' ? this.#takeBlob(member) : undefined;
  }

  finish(): BackupSummary {
    const missing = REQUIRED.filter((name) => !this.#tables.has(name));
    if (missing.length > 0) {
      throw this.#error('incomplete', `it has no table ${missing.join(', ')}`, {
        hint: 'Take the backup without --config-only',
      });
    }
    if (this.#tables.get('properties')?.rows === 0) {
      throw this.#error('incomplete', 'the table "properties", which is never empty, has no rows');
    }
    return {
      version: this.#version,
      tables: new Map([...this.#tables].map(([name, { rows }]) => [name, rows])),
      tablesWithGaps: [...this.#tables]
        .filter(([, { rows, highest, sum }]) => rows !== highest + 1 || sum !== (highest * rows) / 2)
        .map(([name]) => name),
      blobs: this.#blobs,
      badRows: this.#badRows,
      badRowsNamed: this.#badRowsNamed,
      cronActions: [...this.#cronActions],
      oldestRowMs: this.#oldestRowMs,
      bytes: this.#bytes,
      sha256: this.#hash.digest('hex'),
    };
  }

  /** Behind the folder that everything lies in. */
  #pathInside({ path, isOdd }: TarMember): string {
    const parts = path.replace(/\/$/, '').split('/');
    if (isOdd || path.startsWith('/') || parts.some((part) => ['', '.', '..'].includes(part))) {
      const what = isOdd ? 'is neither a file nor a folder' : 'points out of the archive';
      throw this.#error('unsafe', `its member "${shown(path)}" ${what}`);
    }
    const [, version = '', inside = ''] = MEMBER.exec(path) ?? [];
    const [root = ''] = parts;
    if (version === '' || (this.#root !== undefined && root !== this.#root)) {
      throw this.#error('foreign', `its member "${shown(path)}" belongs to no backup of MSR`);
    }
    this.#root = root;
    this.#version = version;
    const wanted = this.#options.version;
    if (wanted !== undefined && wanted !== version) {
      throw this.#error('version', `it is of version ${version}, and MSR is ${wanted}`, {
        hint: 'A backup can only be restored to the version that made it: take it anew',
      });
    }
    return inside;
  }

  #takeBlob(member: TarMember): BlobRow | undefined {
    const row = BLOB.safeParse(jsonOf(member.content));
    const [, sha256] = row.success ? (SHA256.exec(row.data.sha256sum) ?? []) : [];
    if (row.success && sha256 !== undefined && isBlobId(row.data.id)) {
      this.#blobs += 1;
      return { id: row.data.id, sha256 };
    }
    this.#badRows += 1;
    if (this.#badRowsNamed.length < NAMED_MAX) {
      this.#badRowsNamed.push({ member: shown(member.path), reason: whyBad(member, row.data, sha256) });
    }
    return undefined;
  }

  #takeCron({ content }: TarMember): void {
    const row = CRON.safeParse(jsonOf(content));
    // What cannot be read may be a garbage collection.
    this.#cronActions.add(row.success ? row.data.action : 'unknown');
  }

  #error(
    problem: ConstructorParameters<typeof BackupError>[1],
    reason: string,
    more: { readonly hint?: string } = {},
  ): BackupError {
    return new BackupError(this.#options.name, problem, reason, more);
  }
}

function whyBad(
  { content, sizeBytes }: TarMember,
  row: z.output<typeof BLOB> | undefined,
  sha256: string | undefined,
): string {
  if (!content) return `it is ${sizeBytes} bytes large`;
  const json = jsonOf(content);
  if (typeof json !== 'object' || json === null) return 'it is no JSON object';
  if (!row) return `it has no ${'id' in json && typeof json.id === 'string' ? 'sha256sum' : 'id'}`;
  return sha256 === undefined ? 'its sha256sum is none' : 'its id cannot name a blob';
}

/** Names come from a file that may be anything. */
function shown(path: string): string {
  const plain = path.replace(/[\p{Cc}\p{Cf}]/gu, '?');
  return plain.length > 120 ? `${plain.slice(0, 120)}…` : plain;
}
