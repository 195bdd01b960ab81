import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Paint } from '../../../src/cli/output.ts';
import { verifySummaryText } from '../../../src/cli/verify-summary.ts';
import type { VerifySummary } from '../../../src/verify/summary.ts';

const plain: Paint = (_, text) => text;
const GIVEN = { from: 'old.yml', to: 'new.yml' };

function summary(more: Partial<VerifySummary> = {}): VerifySummary {
  return {
    event: 'summary',
    source: 'file:///srv/registry',
    target: 's3://bucket',
    layout: 'distribution',
    isDeep: true,
    allowsExtra: false,
    isComplete: true,
    isStopped: false,
    objectsCompared: 1230,
    objectsMatched: 1230,
    matchedBy: { digest: 1200, content: 30, md5: 0, size: 0 },
    matchedByClass: { blob: 400, link: 800, tag: 30, other: 0 },
    objectsMissing: 0,
    objectsExtra: 0,
    objectsWrongSize: 0,
    objectsWrongContent: 0,
    objectsDamaged: 0,
    objectsUnreadable: 0,
    objectsLeftOut: 0,
    objectsLeftOutTarget: 0,
    leftOut: [],
    bytesMatched: 1024 ** 3,
    bytesRead: 1024 ** 3,
    objectsReadAgain: 0,
    requestsRepeated: 0,
    seconds: 3,
    exceptions: [],
    ...more,
  };
}

function text(more: Partial<VerifySummary> = {}): string {
  return verifySummaryText(summary(more), GIVEN, plain);
}

describe('verifySummaryText()', () => {
  it('tells what is equal and how it is known', () => {
    assert.equal(
      text(),
      `✓ Equal: 1,230 objects, 1.0 GiB, after 3.0 s
  s3://bucket, compared with file:///srv/registry: distribution layout, every byte read back

  1,200  read back from the target: the bytes are what their path says
     30  read on both sides: the same bytes
  1.0 GiB were read`,
    );
  });

  it('says so where only size was compared, and how to do better', () => {
    const said = text({ isDeep: false, matchedBy: { digest: 0, content: 0, md5: 5, size: 9 }, bytesRead: 0 });
    assert.match(said, /5 {2}the same MD5 in both listings/);
    assert.match(said, /9 {2}the same path and size, nothing read: --deep reads everything back/);
  });

  const PROBLEMS = [
    { problem: 'missing', count: 'objectsMissing', next: /blobferry copy --from old\.yml --to new\.yml/ },
    { problem: 'wrong-size', count: 'objectsWrongSize', next: /remove it there and copy again/ },
    { problem: 'wrong-content', count: 'objectsWrongContent', next: /remove it there and copy again/ },
    { problem: 'damaged', count: 'objectsDamaged', next: /restore damaged objects from a backup/ },
    { problem: 'extra', count: 'objectsExtra', next: /--allow-extra/ },
  ] as const;
  for (const { problem, count, next } of PROBLEMS) {
    it(`names what is ${problem} and what to do`, () => {
      const exceptions = [{ problem, side: 'target', path: 'docker/x', detail: 'as found' }] as const;
      const said = text({ [count]: 1, exceptions });
      assert.match(said, /^✗ Not equal/);
      const detail = problem === 'missing' || problem === 'extra' ? '' : '\\n {4}as found';
      assert.match(said, new RegExp(`^${problem}: 1 object .*\\n {2}docker/x${detail}$`, 'm'));
      assert.match(said, next);
    });
  }

  it('does not say "not equal" where nothing is known', () => {
    const exceptions = [
      { problem: 'unreadable', side: 'target', path: 'docker/x', detail: 'denied' },
    ] as const;
    const said = text({ objectsUnreadable: 1, exceptions });
    assert.match(said, /^✗ Cannot tell/);
    assert.match(said, /then verify again/);
  });

  it('does not say "equal" of a comparison that was stopped or broke off', () => {
    assert.match(text({ isStopped: true, isComplete: false }), /^✗ Stopped/);
    const stoppedBy = { name: 'StorageError', message: 'Cannot list', hint: 'Wait' } as const;
    const broken = text({ isComplete: false, stoppedBy });
    assert.match(broken, /^✗ Cannot tell/);
    assert.match(broken, /ended early: Cannot list\n {2}Wait/);
  });

  it('counts allowed extra objects without alarm', () => {
    const said = text({ allowsExtra: true, objectsExtra: 2 });
    assert.match(said, /^✓ Equal/);
    assert.match(said, /extra: 2 objects only in the target, which is allowed/);
  });

  it('names left-out paths once although both sides have them, and mentions second reads', () => {
    const said = text({
      objectsLeftOut: 1,
      objectsLeftOutTarget: 1,
      leftOut: ['docker/_uploads/'],
      objectsReadAgain: 1,
    });
    assert.match(said, /: 1 in the source, 1 in the target\n {2}docker\/_uploads\/\n(?! {2}…)/);
    assert.match(said, /1 object read wrong once and right when read again/);
  });
});
