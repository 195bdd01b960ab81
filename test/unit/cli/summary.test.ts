import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Paint } from '../../../src/cli/output.ts';
import { copySummaryText } from '../../../src/cli/summary.ts';
import type { ErrorKind } from '../../../src/core/errors.ts';
import { type CopySummary, exitCodeOf } from '../../../src/core/job.ts';

const plain: Paint = (_, text) => text;
const GIVEN = { from: 'file:///srv/registry', to: "s3://bucket/it's" };

function summary(more: Partial<CopySummary> = {}): CopySummary {
  return {
    event: 'summary',
    source: 'file:///srv/registry',
    target: 's3://bucket',
    layout: 'distribution',
    engine: 'direct',
    binding: 'the target was seen to refuse a wrong payload sha256',
    isFrozen: false,
    isComplete: true,
    isStopped: false,
    objectsCopied: 0,
    objectsSkipped: 0,
    objectsFailed: 0,
    objectsDamaged: 0,
    objectsUnproved: 0,
    objectsByProof: { digest: 0, service: 0, readBack: 0, stored: 0, twice: 0, none: 0 },
    serverSide: { way: 'none', why: 'not both sides are S3' },
    objectsServerSide: 0,
    bytesServerSide: 0,
    serverCopiesWrong: 0,
    readsWrong: 0,
    writesWrong: 0,
    serverCopiesUnseen: 0,
    objectsVanished: 0,
    objectsUnsettled: 0,
    objectsConflicting: 0,
    objectsLeftOut: 0,
    objectsDeleted: 0,
    objectsExtra: 0,
    extra: [],
    objectsExtraKept: 0,
    uploadsOpen: 0,
    leftOut: [],
    bytesCopied: 0,
    bytesSkipped: 0,
    bytesReused: 0,
    seconds: 10,
    shardsSplit: 0,
    objectsByClass: {
      blob: { copied: 0, skipped: 0 },
      link: { copied: 0, skipped: 0 },
      tag: { copied: 0, skipped: 0 },
      other: { copied: 0, skipped: 0 },
    },
    exceptions: [],
    warnings: [],
    journal: '/var/lib/blobferry/journal.sqlite',
    ...more,
  };
}

const COPIED = {
  objectsCopied: 1500,
  bytesCopied: 200 * 1024 ** 2,
  objectsByClass: {
    blob: { copied: 400, skipped: 30 },
    link: { copied: 1000, skipped: 0 },
    tag: { copied: 100, skipped: 0 },
    other: { copied: 0, skipped: 0 },
  },
};

function text(more: Partial<CopySummary>): string {
  return copySummaryText(summary(more), GIVEN, plain);
}

describe('copySummaryText()', () => {
  it('tells what was copied, how fast, how it was proved, and how to check it', () => {
    assert.equal(
      text(COPIED),
      `✓ Copied 1,500 objects, 200 MiB, in 10 s
  file:///srv/registry → s3://bucket

  blobs   400 copied, 30 already there
  links   1,000 copied
  tags    100 copied
  speed   20 MiB/s, 150 objects/s, direct engine
  layout  distribution, live pass

Proof
  source  all 1,500 objects copied were proved right as they passed
  target  the target was seen to refuse a wrong payload sha256

Next
  blobferry verify --deep --from file:///srv/registry --to 's3://bucket/it'\\''s'   reads everything back and compares`,
    );
  });

  it('says what an interrupted run had sent already', () => {
    assert.match(
      text({ ...COPIED, bytesReused: 64 * 1024 ** 2 }),
      /continued +64 MiB had been sent by an interr/,
    );
  });

  it('claims no proof where nothing was copied', () => {
    const said = text({ objectsSkipped: 1500 });
    assert.match(said, /^✓ Nothing to copy: the target already holds all 1,500 objects/);
    assert.doesNotMatch(said, /Proof/);
  });

  it('tells unproved from proved objects', () => {
    const said = text({ ...COPIED, objectsUnproved: 2 });
    assert.match(said, /1,498 of 1,500 objects copied were proved right/);
    assert.match(said, /2 objects are copied but unproved: no digest or checksum says/);
    assert.doesNotMatch(text({ ...COPIED, objectsUnproved: 1500 }), /were proved right/);
  });

  const STATES = [
    {
      state: 'failed',
      count: 'objectsFailed',
      code: 1,
      next: /run the same command again: it copies only what is missing/,
    },
    { state: 'unsettled', count: 'objectsUnsettled', code: 1, next: /with --frozen once nothing writes/ },
    { state: 'damaged', count: 'objectsDamaged', code: 3, next: /restore the damaged objects in the source/ },
    { state: 'conflict', count: 'objectsConflicting', code: 3, next: /find out which side is right/ },
  ] as const;
  for (const { state, count, code, next } of STATES) {
    it(`names what is ${state}, what to do, and where the rest is, and never shows a tick`, () => {
      const exceptions = [
        { state, path: 'docker/x\u001b[2J', error: { name: 'Error', message: 'bad luck' } },
      ] as const;
      const told = summary({ ...COPIED, [count]: 5, exceptions });
      assert.equal(exitCodeOf(told), code);
      const said = copySummaryText(told, GIVEN, plain);
      assert.match(said, /^✗ /);
      assert.match(said, new RegExp(`^${state}: 5 objects `, 'm'));
      assert.match(said, /^ {2}docker\/x%1B\[2J\n {4}bad luck\n {2}… and 4 more$/m);
      assert.match(said, next);
      assert.match(said, /every exception is in \/var\/lib\/blobferry\/journal\.sqlite/);
      assert.doesNotMatch(said, /✓|verify --deep --from/);
    });
  }

  describe('about objects that failed', () => {
    const failed = (kind: ErrorKind, path: string) =>
      ({
        state: 'failed',
        path,
        error: {
          name: 'StorageError',
          message: 'no',
          storage: { kind, backend: 'b', operation: 'write', isTransient: false, scope: 'object' },
        },
      }) as const;
    const AGAIN = /^ {2}run the same command again: it copies only/m;
    const nextOf = (more: Partial<CopySummary>) =>
      copySummaryText(summary({ ...COPIED, ...more }), GIVEN, plain).split('Next')[1] ?? '';

    for (const [kind, says] of [
      ['invalid-name', /2 of the failed objects have names that one side cannot hold, and fail each time/],
      ['denied', /2 of the failed objects may not be read or written: give the permission, then run/],
      ['unsupported', /2 of the failed objects need something that one side does not do/],
    ] as const) {
      it(`does not promise that running again helps where all are ${kind}`, () => {
        const next = nextOf({ objectsFailed: 2, exceptions: [failed(kind, 'a'), failed(kind, 'b')] });
        assert.match(next, says);
        assert.doesNotMatch(next, AGAIN);
      });
    }

    it('says to run again where some may pass, or are not all named', () => {
      const exceptions = [failed('denied', 'a'), failed('timeout', 'b')];
      assert.match(nextOf({ objectsFailed: 2, exceptions }), AGAIN);
      assert.match(nextOf({ objectsFailed: 3, exceptions: [failed('denied', 'a')] }), AGAIN);
    });
  });

  it('does not alarm about objects that vanished from a live source, and does from a frozen one', () => {
    const exceptions = [
      { state: 'vanished', path: 'docker/y', error: { name: 'Error', message: 'gone' } },
    ] as const;
    const live = text({ ...COPIED, objectsVanished: 1, exceptions });
    assert.match(live, /^✓ /);
    assert.match(live, /vanished: 1 object was deleted/);
    const frozen = text({ ...COPIED, objectsVanished: 1, exceptions, isFrozen: true });
    assert.match(frozen, /^✗ /);
    assert.match(frozen, /although the source should not change/);
  });

  it('says that a stopped pass goes on when it is run again', () => {
    const said = text({ ...COPIED, isStopped: true, isComplete: false });
    assert.match(said, /^✗ Stopped after 1,500 objects copied/);
    assert.match(said, /goes on where this one stopped/);
  });

  it('says why a pass ended early', () => {
    const stoppedBy = {
      name: 'StorageError',
      message: 'Cannot write: the disk is full',
      hint: 'Free space',
    } as const;
    const said = text({ ...COPIED, isComplete: false, stoppedBy });
    assert.doesNotMatch(said, /every exception is in/, 'no object is an exception');
    assert.match(said, /ended early: Cannot write: the disk is full\n {2}Free space/);
    assert.match(said, /^✗ Not complete/);
  });

  it('names what was left out, ten names at most, and passes warnings on', () => {
    const leftOut = Array.from({ length: 10 }, (_, index) => `docker/_uploads/${index}`);
    const said = text({ ...COPIED, objectsLeftOut: 4000, leftOut, warnings: ['listing out of order'] });
    assert.match(said, /left out, [^:]*: 4,000\n {2}docker\/_uploads\/0\n/);
    assert.match(said, /… and 3,990 more/);
    assert.match(said, /warning: listing out of order/);
  });

  it('tells that bytes were changed on their way, and where to look', () => {
    assert.doesNotMatch(text(COPIED), /changed bytes/);
    const said = text({ ...COPIED, readsWrong: 1, writesWrong: 3 });
    assert.match(said, /^ {2}1 time the source gave changed bytes: .*they were read again$/m);
    assert.match(said, /^ {2}3 times changed bytes reached the target: .*they were sent again$/m);
    assert.match(said, /check the network/);
  });

  it('tells what the service copied by itself, and how each object is proved', () => {
    const said = text({
      ...COPIED,
      objectsByProof: { digest: 1000, service: 390, readBack: 10, stored: 90, twice: 0, none: 10 },
      objectsUnproved: 10,
      objectsServerSide: 400,
      bytesServerSide: 150 * 1024 ** 2,
      serverCopiesWrong: 1,
    });
    assert.match(
      said,
      /^ {2}service +copied 400 objects, 150 MiB by itself; what was read back of them passed/m,
    );
    assert.match(said, /source {2}1,090 of 1,500 objects copied were proved right as they passed/);
    assert.match(
      said,
      /service 390 of 1,500 objects copied have their digest by the sha256 that the service computed/,
    );
    assert.match(said, /service 10 of 1,500 objects copied had their digest when they were read back/);
    assert.match(
      said,
      /1 object that the service copied by itself had other bytes than their path says: removed/,
    );
  });
});
