import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Journal, STRANGERS_MAX } from '../../../src/coordinator/journal.ts';
import type { PassJournal } from '../../../src/coordinator/pass-journal.ts';
import { TargetUploads } from '../../../src/coordinator/target-uploads.ts';
import type { Shard } from '../../../src/copy/shard.ts';
import { StorageError } from '../../../src/core/errors.ts';
import type { MultipartFacet, StorageDriver, Upload } from '../../../src/drivers/driver.ts';
import { openMemoryDriver } from '../../../src/drivers/memory/memory-driver.ts';
import { forgetStore, storeNamed } from '../../../src/drivers/memory/memory-store.ts';
import type { S3Spec, StorageSpec } from '../../../src/drivers/spec.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { OPTIONS } from './journal-samples.ts';

const ctx = { signal: new AbortController().signal };
const BLOBS = 'docker/registry/v2/blobs/sha256/';
const BLOB = `${BLOBS}aa/${'a'.repeat(64)}/data`;
const LATER_BLOB = `${BLOBS}cc/${'c'.repeat(64)}/data`;
const FIRST_SHARD: Shard = { id: 'blobs-1', phase: 'blobs', range: { prefix: BLOBS, upTo: `${BLOBS}bb/` } };
const SECOND_SHARD: Shard = { id: 'blobs-2', phase: 'blobs', range: { prefix: BLOBS, after: `${BLOBS}bb/` } };
const NAMES: Shard = { id: 'names-1', phase: 'names', range: { prefix: '' } };

function denied(operation: string): StorageError {
  const details = {
    kind: 'denied',
    backend: 's3://b',
    operation,
    isTransient: false,
    scope: 'object',
  } as const;
  return new StorageError(`Cannot ${operation}: no permission`, details);
}

class World {
  readonly warnings: string[] = [];
  readonly driver: StorageDriver;
  readonly journal: Journal;
  readonly keyPrefix: string;
  listings = 0;
  refuses: 'list' | 'abort' | undefined;
  /** Logical paths that are not in the source. */
  readonly notInSource = new Set<string>();
  readonly isInSource = async (path: string): Promise<boolean> => !this.notInSource.has(path);
  readonly #store: ReturnType<typeof storeNamed>;
  #runs = 0;

  constructor(name: string, journal: Journal, keyPrefix: string) {
    this.journal = journal;
    this.keyPrefix = keyPrefix;
    this.#store = storeNamed(name);
    const inner = openMemoryDriver({ kind: 'memory', name });
    const { multipart } = inner;
    assert.ok(multipart);
    const watched: MultipartFacet = Object.assign(Object.create(multipart) as MultipartFacet, {
      listUploads: async (...given: Parameters<MultipartFacet['listUploads']>) => {
        this.listings += 1;
        if (this.refuses === 'list') throw denied('list uploads');
        return multipart.listUploads(...given);
      },
      abort: async (...given: Parameters<MultipartFacet['abort']>) => {
        if (this.refuses === 'abort') throw denied('abort');
        return multipart.abort(...given);
      },
    });
    this.driver = Object.assign(Object.create(inner) as StorageDriver, { multipart: watched });
  }

  /** Somebody begins an upload. */
  open(path: string, id: string = this.#store.newId()): Upload {
    const key = this.keyPrefix + path;
    this.#store.uploads.set(id, { key, parts: new Map() });
    return { key, id };
  }

  /** Somebody ends one. */
  close({ id }: Upload): void {
    this.#store.uploads.delete(id);
  }

  get ids(): readonly string[] {
    return [...this.#store.uploads.keys()];
  }

  /** The beginning of a run; the first one says whether the target is the job's own. */
  async begin(
    given: { readonly owns?: boolean; readonly aborts?: boolean; readonly storage?: StorageSpec } = {},
  ): Promise<{ readonly uploads: TargetUploads; readonly pass: PassJournal }> {
    const uploads = await TargetUploads.open({
      target: this.driver,
      storage: given.storage ?? { kind: 'memory', name: 'any' },
      keyPrefix: this.keyPrefix,
      openDriver: () => Promise.reject(new Error('no driver was to be opened')),
    });
    if (this.journal.ownsTarget === undefined)
      this.journal.claim(given.owns ?? true, await uploads.idsOpen(ctx));
    const runs = this.journal.runsUntidied;
    this.#runs += 1;
    const runId = `${this.#runs}`.padStart(12, 'f');
    const pass = this.journal.beginPass(runId, OPTIONS);
    await uploads.begin(ctx, {
      layout: distributionLayout,
      journal: this.journal,
      ownsTarget: this.journal.ownsTarget === true,
      runs,
      runId,
      isTidied: true,
      abortsStrangers: given.aborts ?? false,
      patient: this.driver,
      warn: (message) => this.warnings.push(message),
    });
    return { uploads, pass };
  }
}

async function worldFor(test: TestContext, keyPrefix = ''): Promise<World> {
  const name = `uploads ${test.name}`;
  const journal = Journal.open(await tempFolderFor(test, 'uploads'), 'a -> b');
  test.after(() => {
    journal.close();
    forgetStore(name);
  });
  return new World(name, journal, keyPrefix);
}

describe('TargetUploads', () => {
  it('takes what was open before the job began for a stranger’s, for ever, and names it', async (t) => {
    const world = await worldFor(t, 'root/');
    const theirs = world.open(BLOB);
    for (let run = 0; run < 2; run += 1) {
      const { uploads, pass } = await world.begin();
      assert.equal(uploads.strangersOpen, 1);
      assert.deepEqual(uploads.of(FIRST_SHARD), []);
      await uploads.finish(ctx, pass, world.isInSource);
      pass.stop();
      assert.deepEqual(world.ids, [theirs.id]);
      assert.match(
        world.warnings.at(-1) ?? '',
        /^1 upload is open in the target that this job did not begin; it takes up space there: "root\/docker.*\/data" \(--abort-uploads aborts/,
      );
    }
  });

  it('names ten of many strangers', async (t) => {
    const world = await worldFor(t);
    for (let at = 0; at < 12; at += 1) world.open(`${BLOB}-${at}`);
    const { uploads } = await world.begin();
    assert.equal(uploads.strangersOpen, 12);
    assert.equal(world.warnings[0]?.match(/"docker/g)?.length, 10);
    assert.match(world.warnings[0] ?? '', / and 2 more \(/);
  });

  it('aborts strangers’ uploads when it is told to, and says so', async (t) => {
    const world = await worldFor(t);
    world.open(BLOB);
    world.open(LATER_BLOB);
    const { uploads } = await world.begin({ aborts: true });
    assert.deepEqual(world.ids, []);
    assert.equal(uploads.strangersOpen, 0);
    assert.match(world.warnings.join(), /^2 uploads are aborted that this job had not begun: "docker/);
  });

  it('counts strangers that cannot be aborted as open, and says why', async (t) => {
    const world = await worldFor(t);
    world.open(BLOB);
    world.refuses = 'abort';
    const { uploads } = await world.begin({ aborts: true });
    assert.equal(uploads.strangersOpen, 1);
    assert.match(
      world.warnings.join(),
      /^1 upload is still open in the target; .*: Cannot abort: no permission$/,
    );
  });

  it('gives its own uploads of an earlier run to their shards, and aborts what is left of them', async (t) => {
    const world = await worldFor(t, 'root/');
    const theirs = world.open(BLOB);
    (await world.begin()).pass.stop();
    const first = world.open(BLOB);
    const second = world.open(LATER_BLOB);
    const tag = world.open('docker/registry/v2/repositories/app/_manifests/tags/v1/current/link');
    const { uploads, pass } = await world.begin();
    assert.deepEqual(uploads.of(FIRST_SHARD), [first]);
    assert.deepEqual(uploads.of(SECOND_SHARD), [second]);
    assert.deepEqual(uploads.of(NAMES), [tag]);
    assert.deepEqual(world.journal.openUploads, [], 'what is only likely ours is noted for certain');
    uploads.hear({ type: 'upload', upload: first, state: 'closed' });
    pass.upload(first, false);
    assert.deepEqual(uploads.of(FIRST_SHARD), []);
    await uploads.finish(ctx, pass, world.isInSource);
    pass.end({ event: 'summary' } as never, true);
    assert.deepEqual(world.ids, [theirs.id]);
    assert.deepEqual(world.journal.openUploads, []);
  });

  it('gives one that somebody else has aborted meanwhile to its shard as well: it marks what may be unproved', async (t) => {
    const world = await worldFor(t);
    const first = await world.begin();
    const ours = world.open(BLOB);
    first.pass.upload(ours, true);
    first.pass.end({ event: 'summary' } as never, false);
    world.close(ours);
    const second = await world.begin();
    assert.deepEqual(second.uploads.of(FIRST_SHARD), [ours]);
    second.pass.stop();
    const { uploads, pass } = await world.begin();
    assert.deepEqual(uploads.of(FIRST_SHARD), [ours], 'the run before did not come to it');
    await uploads.finish(ctx, pass, world.isInSource);
    pass.end({ event: 'summary' } as never, true);
    assert.deepEqual(world.journal.openUploads, []);
  });

  it('never takes a registry’s unfinished push for its own', async (t) => {
    const world = await worldFor(t);
    (await world.begin()).pass.stop();
    const push = world.open('docker/registry/v2/repositories/app/_uploads/1234/data');
    const { uploads, pass } = await world.begin();
    await uploads.finish(ctx, pass, world.isInSource);
    assert.deepEqual(world.ids, [push.id]);
    assert.equal(uploads.strangersOpen, 1);
  });

  it('takes no upload for its own that it has not noted, unless a run died, a thread did or an answer was lost', async (t) => {
    const world = await worldFor(t);
    (await world.begin()).pass.end({ event: 'summary' } as never, true);
    const move = world.open(BLOB);
    const { uploads, pass } = await world.begin();
    assert.deepEqual(uploads.of(FIRST_SHARD), []);
    assert.equal(uploads.strangersOpen, 1);
    const begunTwice = world.open(LATER_BLOB);
    uploads.lookAgain();
    await uploads.finish(ctx, pass, world.isInSource);
    assert.deepEqual(world.ids, [move.id], `${begunTwice.id} was to be aborted alone`);
  });

  it('aborts what was begun a second time for a key of its own', async (t) => {
    const world = await worldFor(t);
    const { uploads, pass } = await world.begin();
    const upload = world.open(BLOB);
    uploads.hear({ type: 'upload', upload, state: 'open' });
    uploads.hear({ type: 'upload', upload, state: 'closed' });
    const move = world.open(LATER_BLOB);
    await uploads.finish(ctx, pass, world.isInSource);
    assert.deepEqual(world.ids, [move.id], `${upload.id} was to be aborted alone`);
  });

  it('leaves open, after a run that died, what is of no object of the source, and says so', async (t) => {
    const world = await worldFor(t, 'root/');
    (await world.begin()).pass.stop();
    const pushed = world.open(BLOB);
    const ours = world.open(LATER_BLOB);
    const probe = world.open('.blobferry-probe/0123456789ab-0');
    world.notInSource.add(BLOB);
    const { uploads, pass } = await world.begin();
    assert.equal(uploads.strangersOpen, 1, 'a probe of another job');
    await uploads.finish(ctx, pass, world.isInSource);
    assert.deepEqual(
      new Set(world.ids),
      new Set([pushed.id, probe.id]),
      `${ours.id} was to be aborted alone`,
    );
    assert.equal(uploads.strangersOpen, 2);
    assert.match(world.warnings.at(-1) ?? '', /^1 upload is open .* this job did not begin; .*"root\/docker/);
  });

  it('knows whose a file is by its name alone', async (t) => {
    const world = await worldFor(t);
    (await world.begin()).pass.stop();
    const theirs = world.open(BLOB, `blobferry-upload-${'a'.repeat(32)}`);
    const { uploads, pass } = await world.begin({ storage: { kind: 'fs', rootDirectory: '/any' } });
    const ofDeadThread = world.open(BLOB, `blobferry-upload-${'2'.padStart(12, 'f')}${'0'.repeat(20)}`);
    uploads.lookAgain();
    await uploads.finish(ctx, pass, world.isInSource);
    assert.deepEqual(world.ids, [theirs.id], `${ofDeadThread.id} was to be aborted alone`);
  });

  it('takes only journaled uploads for its own in a target that was not empty, or where strangers are not known', async (t) => {
    const world = await worldFor(t);
    const first = await world.begin({ owns: false });
    const ours = world.open(BLOB);
    first.pass.upload(ours, true);
    first.pass.end({ event: 'summary' } as never, false);
    const theirs = world.open(LATER_BLOB);
    const { uploads, pass } = await world.begin();
    assert.deepEqual(uploads.of(FIRST_SHARD), [ours]);
    assert.equal(uploads.strangersOpen, 1);
    await uploads.finish(ctx, pass, world.isInSource);
    assert.deepEqual(world.ids, [theirs.id]);
  });

  it('knows its own by the name of the run in id or key, whoever owns the target, and aborts probes at once', async (t) => {
    const world = await worldFor(t);
    const run = '1'.padStart(12, 'f');
    (await world.begin({ owns: false })).pass.stop();
    const file = world.open(BLOB, `blobferry-upload-${run}${'0'.repeat(20)}`);
    world.open(`.blobferry-probe/${run}-0123`);
    const { uploads } = await world.begin();
    assert.deepEqual(uploads.of(FIRST_SHARD), [file]);
    assert.deepEqual(world.ids, [file.id]);
  });

  it('says what it cannot know where uploads may not be listed, and goes on with what the journal has', async (t) => {
    const world = await worldFor(t);
    const first = await world.begin();
    const ours = world.open(BLOB);
    const unknown = world.open(LATER_BLOB);
    first.pass.upload(ours, true);
    first.pass.end({ event: 'summary' } as never, false);
    world.refuses = 'list';
    const { uploads, pass } = await world.begin();
    assert.match(
      world.warnings.join(),
      /^Open uploads in the target cannot be listed, .*not known: Cannot list uploads: no permission$/,
    );
    assert.equal(await uploads.idsOpen(ctx), undefined);
    assert.deepEqual(uploads.of(FIRST_SHARD), [ours]);
    await uploads.finish(ctx, pass, world.isInSource);
    assert.deepEqual(world.ids, [unknown.id]);
  });

  it('goes on with what the journal has where there are more uploads than it lists', async (t) => {
    const world = await worldFor(t);
    for (let at = 0; at < 2 * STRANGERS_MAX; at += 1) world.open(`${BLOB}-${at}`);
    const first = await world.begin();
    assert.match(world.warnings[0] ?? '', /^At least 20000 uploads are open in the target/);
    const ours = world.open(BLOB);
    const unknown = world.open(LATER_BLOB);
    first.pass.upload(ours, true);
    first.pass.end({ event: 'summary' } as never, false);
    const { uploads, pass } = await world.begin();
    assert.deepEqual(uploads.of(FIRST_SHARD), [ours]);
    await uploads.finish(ctx, pass, world.isInSource);
    pass.end({ event: 'summary' } as never, true);
    assert.ok(!world.ids.includes(ours.id));
    assert.ok(world.ids.includes(unknown.id) && world.ids.length === 2 * STRANGERS_MAX + 1);
    assert.deepEqual(world.journal.openUploads, []);
  });

  it('lists no second time where no upload was begun, and does after a thread died', async (t) => {
    const world = await worldFor(t);
    const { uploads, pass } = await world.begin();
    const upload = world.open(BLOB);
    await uploads.finish(ctx, pass, world.isInSource);
    assert.equal(world.listings, 1);
    assert.deepEqual(world.ids, [upload.id], 'it aborts what nobody began');
    uploads.lookAgain();
    await uploads.finish(ctx, pass, world.isInSource);
    assert.equal(world.listings, 2);
    assert.deepEqual(world.ids, []);
  });

  it('aborts an upload whose begin was answered to nobody, although every one told of was seen to end', async (t) => {
    const world = await worldFor(t);
    const { uploads, pass } = await world.begin();
    const upload = world.open(BLOB);
    world.open(BLOB);
    uploads.hear({ type: 'upload', upload, state: 'open' });
    uploads.hear({ type: 'upload', upload, state: 'closed' });
    await uploads.finish(ctx, pass, world.isInSource);
    assert.equal(world.listings, 2);
    assert.deepEqual(world.ids, []);
  });

  it('keeps what cannot be aborted in the journal, and says so', async (t) => {
    const world = await worldFor(t);
    const { uploads, pass } = await world.begin();
    const upload = world.open(BLOB);
    uploads.hear({ type: 'upload', upload, state: 'open' });
    pass.upload(upload, true);
    world.refuses = 'abort';
    await uploads.finish(ctx, pass, world.isInSource);
    pass.end({ event: 'summary' } as never, false);
    assert.match(
      world.warnings.join(),
      /^1 unfinished upload of this job could not be aborted: Cannot abort/,
    );
    assert.deepEqual(world.journal.openUploads, [upload]);
  });

  it('asks through the direct engine where the one that copies cannot tell of uploads, and closes it', async (t) => {
    const world = await worldFor(t);
    const theirs = world.open(BLOB);
    let closed = 0;
    const direct = Object.assign(Object.create(world.driver) as StorageDriver, {
      close: async () => {
        closed += 1;
      },
    });
    const { multipart: _none, ...without } = { ...openMemoryDriver({ kind: 'memory', name: 'sdk' }) };
    const opened: unknown[] = [];
    const storage: S3Spec = {
      kind: 's3',
      bucket: 'b',
      rootDirectory: '',
      region: 'here',
      isPathStyle: true,
      skipsTlsVerify: false,
      encrypt: false,
    };
    const uploads = await TargetUploads.open({
      target: without as StorageDriver,
      storage,
      keyPrefix: '',
      openDriver: async (spec, role) => {
        opened.push([spec.engine, role]);
        return direct;
      },
    });
    assert.deepEqual(await uploads.idsOpen(ctx), [theirs.id]);
    await uploads.close();
    assert.deepEqual(opened, [['direct', 'target']]);
    assert.equal(closed, 1);
  });
});
