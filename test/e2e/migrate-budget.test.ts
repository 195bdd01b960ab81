/**
 * What the window of a whole `migrate` asks of the new storage, counted at its server from the call that makes the registry
 * read-only to the one that switches it: 20,000 objects, of which 200 have changed since the last live pass.
 */
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import pLimit from 'p-limit';
import type { RequestRecord } from '../../bench/s3-server/request-log.ts';
import { blobPath } from '../support/msr/metadata.ts';
import { type Gate, type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { assertBudget } from '../support/request-budget.ts';
import { seededUuid, sha256Hex } from '../support/seeded.ts';
import { missingTools } from '../support/tools.ts';

/** Tags in files, as they are left from before the metadata store: they change in place. */
const TAGS = 100;
const OBJECTS = 20_000;
const BLOBS = OBJECTS - TAGS;
const CHANGED = { blobs: 170, tagsMoved: 20, tagsGone: 10 };

type Content = readonly [path: string, bytes: Buffer];

const blob = (at: number): Content => [blobPath(seededUuid('budget', `${at}`)), Buffer.from(`blob ${at}`)];
const tag = (at: number, version = 0): Content => [
  `docker/registry/v2/repositories/team/app-${at % 10}/_manifests/tags/v${at}/current/link`,
  Buffer.from(`sha256:${sha256Hex(`layer ${at} ${version}`)}`),
];

/** Requests between the first call of the window and the one behind it. */
class WindowLog implements Gate {
  requests: readonly RequestRecord[] | undefined;
  #take: (() => Promise<readonly RequestRecord[]>) | undefined;

  listenTo({ s3 }: MigrateWorld): void {
    this.#take = () => s3.takeRequests();
  }

  async asked({ call }: { readonly call: string }): Promise<boolean> {
    if (call === 'POST /api/v0/meta/settings') await this.#take?.();
    if (call === 'PUT /api/v0/admin/settings/registry') this.requests ??= await this.#take?.();
    return true;
  }

  async answered(): Promise<boolean> {
    return true;
  }
}

/** Past every push: into the old storage, and rows for what is a blob. */
async function add({ msr: { state }, storage }: MigrateWorld, objects: readonly Content[]): Promise<void> {
  const limit = pLimit(16);
  const write = async ([path, bytes]: Content): Promise<void> => {
    const [, id] = /\/blobs\/id\/..\/([^/]+)\/data$/.exec(path) ?? [];
    if (id !== undefined) {
      await state.metadata.addBlob(state.storage, bytes, id);
      return;
    }
    await mkdir(dirname(join(storage, path)), { recursive: true });
    await writeFile(join(storage, path), bytes);
  };
  await Promise.all(objects.map((object) => limit(() => write(object))));
}

describe('the window of a whole migration', { skip: missingTools('registry') }, () => {
  it('asks the new storage no more than its budget', async (t) => {
    const log = new WindowLog();
    const world = await startMigrateWorld({
      procedure: 'reconfigure',
      more: ['passes: 1'],
      msr: { replicas: 1 },
      gate: log,
      logsRequests: true,
    });
    t.after(() => world.stop());
    const { s3, storage } = world;
    await add(world, [blob(0), tag(0)]);
    const live = await world.migrate(['--yes', '--until', 'live']);
    assert.equal(live.code, 0, live.stderr);
    // As more live passes would have left it.
    const equal = [
      ...Array.from({ length: BLOBS - 1 }, (_, at) => blob(at + 1)),
      ...Array.from({ length: TAGS - 1 }, (_, at) => tag(at + 1)),
    ];
    await add(world, equal);
    await s3.put(
      'registry',
      equal.map(([path, body]) => ({ key: `msr/${path}`, body })),
    );
    await add(world, [
      ...Array.from({ length: CHANGED.blobs }, (_, at) => blob(BLOBS + at)),
      ...Array.from({ length: CHANGED.tagsMoved }, (_, at) => tag(at, 1)),
    ]);
    for (let at = CHANGED.tagsMoved; at < CHANGED.tagsMoved + CHANGED.tagsGone; at += 1)
      await rm(join(storage, tag(at)[0]));

    log.listenTo(world);
    const done = await world.migrate(['--yes', '--yes-forward']);
    assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
    const { requests = [] } = log;
    const changed = CHANGED.blobs + CHANGED.tagsMoved + CHANGED.tagsGone;
    const puts = requests.filter(({ operation }) => operation === 'PutObject');
    assert.equal(puts.length, CHANGED.blobs + CHANGED.tagsMoved);
    const shards = shardsIn(join(world.folder, 'journal/copy/journal.sqlite'));
    assert.ok(shards > 0 && shards < 1_000, `${shards} shards`);
    t.diagnostic(JSON.stringify({ requests: counted(requests), shards }));
    // A folder lists no MD5, so tags are read to be compared.
    assertBudget('target', requests, { objects: OBJECTS, changed, mutableWithoutMd5: TAGS, shards });
    assert.deepEqual(
      (await s3.keys('registry')).length,
      OBJECTS + CHANGED.blobs - CHANGED.tagsGone,
      'all of it is there, and nothing else',
    );
  });
});

/** Of its last pass. */
function shardsIn(journal: string): number {
  const database = new DatabaseSync(journal, { readOnly: true });
  try {
    return Number(database.prepare('SELECT count(*) AS n FROM shard').get()?.['n']);
  } finally {
    database.close();
  }
}

function counted(requests: readonly RequestRecord[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { operation } of requests) counts[operation] = (counts[operation] ?? 0) + 1;
  return counts;
}
