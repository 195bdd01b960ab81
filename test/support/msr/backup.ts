/** Archives as `dtr backup` writes them: the names of their members were seen on 2.9.4, rows are JSON objects. */
import { isRecord, type JsonRecord } from './json.ts';
import { type Rows, TABLES, type TableName } from './metadata.ts';
import { readTar, tarEnd, tarMember } from './tar.ts';

/** @param version `2.9.18` */
export function* backupPieces(version: string, rows: Rows, nowMs = Date.now()): Generator<Buffer> {
  const root = `dtr-backup-v${version}-online`;
  yield tarMember(`${root}/`);
  yield tarMember(`${root}/rethink/`);
  for (const table of TABLES) {
    yield tarMember(`${root}/rethink/${table}/`);
    for (const [index, row] of (rows[table] ?? []).entries()) {
      yield tarMember(`${root}/rethink/${table}/${index}`, JSON.stringify(row), {
        modifiedMs: nowMs,
      });
    }
  }
  yield tarEnd();
}

export interface RestoredBackup {
  readonly version: string;
  readonly rows: Rows;
}

/** @throws Error as the restore command prints it. */
export function readBackup(archive: Buffer): RestoredBackup {
  const rows: Partial<Record<TableName, JsonRecord[]>> = {};
  let version = '';
  for (const { name, type, content } of readTar(archive)) {
    const match = /^dtr-backup-v(\d+\.\d+\.\d+)(?:-[a-z]+)?\/(?:rethink\/(?:([a-z_]+)\/(?:(\d+))?)?)?$/.exec(
      name,
    );
    if (!match) throw new Error(`unexpected file in backup: ${name}`);
    const [, found = '', table, row] = match;
    version = found;
    if (type !== 'file' || row === undefined) continue;
    const known = TABLES.find((one) => one === table);
    if (!known) throw new Error(`unexpected table in backup: ${table}`);
    const json: unknown = JSON.parse(content.toString('utf8'));
    if (!isRecord(json)) throw new Error(`unexpected row in backup: ${name}`);
    const list = rows[known] ?? [];
    rows[known] = list;
    list.push(json);
  }
  if ((rows.properties ?? []).length === 0) throw new Error('backup has no properties');
  return { version, rows };
}
