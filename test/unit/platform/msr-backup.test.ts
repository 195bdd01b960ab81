import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { DigestIndex } from '../../../src/layout/digests/digest-index.ts';
import { BackupError, type BackupProblem } from '../../../src/platform/msr/backup/backup-error.ts';
import { indexBackup } from '../../../src/platform/msr/backup/index-backup.ts';
import {
  type BackupSummary,
  type BlobRow,
  readBackup,
} from '../../../src/platform/msr/backup/read-backup.ts';
import { backupPieces } from '../../support/msr/backup.ts';
import type { JsonRecord } from '../../support/msr/json.ts';
import type { Rows } from '../../support/msr/metadata.ts';
import { tarEnd, tarMember } from '../../support/msr/tar.ts';
import { mustRun } from '../../support/process.ts';
import { seededUuid, sha256Hex } from '../../support/seeded.ts';
import { tempFolderFor } from '../../support/temp.ts';

const ROOT = 'dtr-backup-v2.9.18-online';

function blobRows(count: number): readonly JsonRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const id = seededUuid('backup', String(index));
    return { id, sha256sum: `sha256:${sha256Hex(id)}`, mediaType: 'application/octet-stream' };
  });
}

function archiveOf(rows: Rows = {}, version = '2.9.18'): Buffer {
  const properties = [{ key: 'x', value: 'hush-property' }];
  return Buffer.concat([...backupPieces(version, { blobs: blobRows(5), properties, ...rows })]);
}

async function* inPieces(archive: Buffer, pieceBytes = 65_536): AsyncGenerator<Buffer> {
  for (let at = 0; at < archive.length; at += pieceBytes) yield archive.subarray(at, at + pieceBytes);
}

async function read(
  archive: AsyncIterable<Uint8Array>,
  version?: string,
): Promise<{ readonly summary: BackupSummary; readonly rows: readonly BlobRow[] }> {
  const rows: BlobRow[] = [];
  const onBlob = (row: BlobRow): void => void rows.push(row);
  const summary = await readBackup(archive, {
    name: 'b.tar',
    onBlob,
    ...(version === undefined ? {} : { version }),
  });
  return { summary, rows };
}

function isProblem(problem: BackupProblem, ...words: readonly RegExp[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof BackupError, inspect(error));
    assert.equal(error.problem, problem, error.message);
    for (const word of words) assert.match(`${error.message}; ${error.hint ?? ''}`, word);
    assert.match(error.message, /^"b\.tar" is no usable backup/);
    assert.doesNotMatch(inspect(error, { depth: 9 }), /hush/);
    return true;
  };
}

describe("a backup of MSR's metadata", () => {
  it('gives each blob with its digest, and what it holds', async () => {
    const crons = [{ id: 'c1', action: 'gc', schedule: '@daily' }];
    const before = Date.now() - 2_000;
    const archive = archiveOf({ crons, tags: [{}, {}] });
    const { summary, rows } = await read(inPieces(archive), '2.9.18');
    assert.deepEqual(
      rows,
      blobRows(5).map(({ id, sha256sum }) => ({ id, sha256: String(sha256sum).slice(7) })),
    );
    assert.equal(summary.version, '2.9.18');
    const { tables } = summary;
    assert.equal(tables.size, 26);
    assert.deepEqual([tables.get('blobs'), tables.get('tags'), tables.get('helm_charts')], [5, 2, 0]);
    assert.deepEqual([summary.blobs, summary.badRows, summary.tablesWithGaps], [5, 0, []]);
    assert.deepEqual(summary.cronActions, ['gc']);
    assert.ok((summary.oldestRowMs ?? 0) >= before && (summary.oldestRowMs ?? 0) <= Date.now());
    assert.deepEqual([summary.bytes, summary.sha256], [archive.length, sha256Hex(archive)]);
  });

  it('is the same however it comes in pieces', async () => {
    const archive = archiveOf();
    const whole = await read(inPieces(archive));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3_000 }), async (pieceBytes) => {
        assert.deepEqual(await read(inPieces(archive, pieceBytes)), whole);
      }),
      { numRuns: 15 },
    );
  });

  it('is never taken for whole when it was cut anywhere', async () => {
    const archive = archiveOf();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: archive.length - 1 }), async (bytes) => {
        await assert.rejects(
          read(inPieces(archive.subarray(0, bytes))),
          (error) => error instanceof BackupError,
        );
      }),
      { numRuns: 200 },
    );
    for (const bytes of [0, 1, 512, archive.length - 1_024, archive.length - 512]) {
      await assert.rejects(read(inPieces(archive.subarray(0, bytes))), isProblem('truncated', /anew/));
    }
  });

  it('lacks rows where one came twice and another one not at all, and gives no index then', async (t) => {
    const tags = [{ at: 0 }, { at: 1 }, { at: 2 }, { at: 3 }];
    const whole = archiveOf({ tags });
    const doubled = Buffer.from(whole);
    const header = tarMember(`${ROOT}/rethink/tags/1`, JSON.stringify({ at: 2 })).subarray(0, 512);
    const at = whole.indexOf(`${ROOT}/rethink/tags/2\0`);
    header.copy(doubled, at);
    assert.deepEqual((await read(inPieces(whole))).summary.tablesWithGaps, []);
    assert.deepEqual((await read(inPieces(doubled))).summary.tablesWithGaps, ['tags']);
    const directory = await tempFolderFor(t, 'gaps');
    const signal = new AbortController().signal;
    await assert.rejects(
      indexBackup(inPieces(doubled), { name: 'b.tar' }, { directory, name: 'b' }, signal),
      isProblem('incomplete', /its tables tags have gaps/, /Take it anew/),
    );
    assert.deepEqual(await readdir(directory), []);
  });

  it('is read as tar itself writes it, with its own padding and long names', async (t) => {
    const folder = await tempFolderFor(t, 'backup');
    const put = async (path: string, text: string): Promise<void> => {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    };
    for (const table of ['properties', 'repositories', 'tags', 'manifests', 'blob_links', 'crons', 'blobs']) {
      await put(`${ROOT}/rethink/${table}/0`, JSON.stringify(blobRows(1)[0]));
    }
    await put(`${ROOT}/etc/${'long/'.repeat(30)}name`, 'x');
    for (const format of ['ustar', 'gnu', 'pax']) {
      const archive = join(folder, `${format}.tar`);
      await mustRun('tar', [`--format=${format}`, '-cf', archive, '-C', folder, ROOT]);
      const { summary } = await read(createReadStream(archive));
      assert.deepEqual([summary.blobs, summary.cronActions], [1, ['unknown']], format);
    }
  });

  it('is refused when it is packed, and says how', async () => {
    const packed: readonly (readonly [Buffer, RegExp])[] = [
      [gzipSync(archiveOf()), /gzip/],
      [zstdCompressSync(archiveOf()), /zstd/],
      [Buffer.from('BZh91AY&SY'), /bzip2/],
    ];
    for (const [archive, word] of packed) {
      await assert.rejects(read(inPieces(archive)), isProblem('compressed', word, /plain tar/));
    }
  });

  it('is refused when it is something else', async () => {
    const text = Buffer.from('hush: this is no archive\n'.repeat(100));
    await assert.rejects(read(inPieces(text)), isProblem('no-archive', /not -it/));
    await assert.rejects(read(inPieces(Buffer.from('short'))), isProblem('truncated'));
    const flipped = archiveOf();
    flipped[3 * 512 + 5] = 0x41;
    await assert.rejects(read(inPieces(flipped)), isProblem('no-archive', /damaged/));
    // What a terminal makes of a line feed.
    const terminal = Buffer.from(
      archiveOf()
        .toString('latin1')
        .replace(/\0\0\0\0/, '\r\n\0\0\0\0'),
      'latin1',
    );
    await assert.rejects(read(inPieces(terminal)), isProblem('no-archive'));
    const twice = Buffer.concat([archiveOf(), archiveOf()]);
    await assert.rejects(read(inPieces(twice)), isProblem('truncated', /goes on/));
    const cases: readonly (readonly [string, BackupProblem])[] = [
      ['etc/passwd', 'foreign'],
      ['dtr-backup-v2.9.17-online/rethink/blobs/0', 'foreign'],
      [`${ROOT}/rethink/blobs/zero`, 'foreign'],
      [`${ROOT}/rethink/blobs/0/1`, 'foreign'],
      [`${ROOT}/rethink/blobs/00`, 'foreign'],
      [`${ROOT}/../../etc/passwd`, 'unsafe'],
      [`/${ROOT}/rethink/blobs/0`, 'unsafe'],
      [`${ROOT}/./rethink/blobs/0`, 'unsafe'],
      [`${ROOT}//rethink/blobs/0`, 'unsafe'],
    ];
    for (const [path, problem] of cases) {
      const archive = Buffer.concat([tarMember(`${ROOT}/`), tarMember(path, '{}'), tarEnd()]);
      await assert.rejects(read(inPieces(archive)), isProblem(problem), path);
    }
    for (const typeFlag of ['1', '2', '3', '6']) {
      const link = tarMember(`${ROOT}/rethink/blobs/0`, '', { typeFlag });
      if (typeFlag < '3') link.write('somewhere', 157);
      link.fill(' ', 148, 156);
      const sum = link.subarray(0, 512).reduce((total, byte) => total + byte, 0);
      link.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      const archive = Buffer.concat([tarMember(`${ROOT}/`), link, tarEnd()]);
      await assert.rejects(read(inPieces(archive)), isProblem('unsafe', /neither a file/), typeFlag);
    }
  });

  it('is refused when it is of another version, of settings alone, or of nothing', async () => {
    await assert.rejects(
      read(inPieces(archiveOf({}, '2.9.17')), '2.9.18'),
      isProblem('version', /2\.9\.17.*2\.9\.18/),
    );
    assert.equal((await read(inPieces(archiveOf({}, '2.9.17')))).summary.version, '2.9.17');
    const settings = Buffer.concat([
      tarMember(`${ROOT}/rethink/properties/0`, '{}'),
      tarMember(`${ROOT}/rethink/crons/`),
      tarEnd(),
    ]);
    await assert.rejects(
      read(inPieces(settings)),
      isProblem('incomplete', /tags, manifests, blobs/, /--config-only/),
    );
    await assert.rejects(
      read(inPieces(archiveOf({ properties: [] }))),
      isProblem('incomplete', /properties/),
    );
    await assert.rejects(read(inPieces(tarEnd())), isProblem('incomplete'));
  });

  it('reports rows that say nothing, and what is odd, and reads on', async () => {
    const good = blobRows(1)[0] ?? {};
    const bad: readonly (readonly [unknown, RegExp])[] = [
      [{ sha256sum: good['sha256sum'] }, /no id/],
      [{ id: 'aa' }, /no sha256sum/],
      [{ id: 'aa', sha256sum: 'sha256:hush' }, /its sha256sum is none/],
      [{ id: '../hush', sha256sum: good['sha256sum'] }, /cannot name a blob/],
      [['hush'], /no id/],
      ['hush', /no JSON object/],
    ];
    const members = bad.map(([json], index) =>
      tarMember(`${ROOT}/rethink/blobs/${index + 1}`, JSON.stringify(json)),
    );
    const large = JSON.stringify({ ...good, more: 'x'.repeat(300_000) });
    const archive = Buffer.concat([
      ...[...backupPieces('2.9.18', { blobs: [good], properties: [{}] })].slice(0, -1),
      ...members,
      tarMember(`${ROOT}/rethink/blobs/7`, '{"id": hush'),
      tarMember(`${ROOT}/rethink/blobs/9`, large),
      tarEnd(),
    ]);
    const { summary, rows } = await read(inPieces(archive));
    assert.equal(rows.length, 1);
    assert.deepEqual([summary.blobs, summary.badRows, summary.tablesWithGaps], [1, 8, ['blobs']]);
    const named = summary.badRowsNamed;
    assert.equal(named[0]?.member, `${ROOT}/rethink/blobs/1`);
    for (const [index, [, words]] of bad.entries()) assert.match(named[index]?.reason ?? '', words);
    assert.match(named.at(-1)?.reason ?? '', /bytes large/);
    assert.doesNotMatch(inspect(summary, { depth: 9 }), /hush/);
  });

  it('becomes an index, from which each blob has its digest', async (t) => {
    const directory = join(await tempFolderFor(t, 'backup'), 'journal');
    const blobs = blobRows(2_000);
    const name = { name: 'b.tar' };
    const options = { directory, name: 'backup-1', recordsInMemory: 300, runsMergedMax: 2 };
    const { signal } = new AbortController();
    const { backup, index } = await indexBackup(inPieces(archiveOf({ blobs })), name, options, signal);
    assert.deepEqual([backup.blobs, index.records, index.repeated, index.contradicted], [2_000, 2_000, 0, 0]);
    const opened = await DigestIndex.open(index.path);
    const cursor = opened.cursor();
    for (const id of blobs.map((row) => String(row['id'])).sort()) {
      assert.equal(await cursor.find(id), sha256Hex(id));
    }
    await opened.close();
  });

  it('leaves no index and no runs behind when it is none, or when told to stop', async (t) => {
    const directory = await tempFolderFor(t, 'backup');
    const options = { directory, name: 'backup-1', recordsInMemory: 10 };
    const { signal } = new AbortController();
    const archive = archiveOf({ blobs: blobRows(100) });
    const cut = inPieces(archive.subarray(0, -2_000));
    await assert.rejects(indexBackup(cut, { name: 'b.tar' }, options, signal), isProblem('truncated'));
    assert.deepEqual(await readdir(directory), []);
    const stop = new AbortController();
    const reason = new Error('stopped');
    async function* stopping(): AsyncGenerator<Buffer> {
      yield archive.subarray(0, 60_000);
      stop.abort(reason);
      yield archive.subarray(60_000);
    }
    await assert.rejects(indexBackup(stopping(), { name: 'b.tar' }, options, stop.signal), reason);
    assert.deepEqual(await readdir(directory), []);
  });
});
