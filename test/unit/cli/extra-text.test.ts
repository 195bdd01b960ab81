import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { extraAdvice, extraText } from '../../../src/cli/extra-text.ts';

type About = Parameters<typeof extraText>[0];

const NOTHING: About = {
  objectsDeleted: 0,
  objectsExtra: 0,
  objectsExtraKept: 0,
  extra: [],
  exceptions: [],
};
const NAMES = Array.from({ length: 12 }, (_, at) => `tag ${at}`);

function text(more: Partial<About>): readonly string[] {
  const about = { ...NOTHING, ...more };
  return [...extraText(about, (_, words) => words), ...extraAdvice(about)];
}

describe('extraText()', () => {
  it('says nothing where nothing was asked for, or nothing was to do', () => {
    assert.deepEqual(text({}), []);
    assert.deepEqual(text({ deletion: { state: 'done', max: 1_000 } }), []);
  });

  it('tells what was removed, and which blobs are left to the registry', () => {
    assert.deepEqual(
      text({
        deletion: { state: 'done', max: 1_000 },
        objectsDeleted: 1_200,
        objectsExtra: 1_200,
        objectsExtraKept: 1,
      }),
      [
        'removed: 1,200 objects from the target that the source no longer has',
        "kept: 1 blob is in the target only; the registry's garbage collection knows whether one is needed",
      ],
    );
  });

  it('names the first ten where it is more than allowed, and what allows it', () => {
    const lines = text({ deletion: { state: 'too-many', max: 5 }, objectsExtra: 1_234, extra: NAMES });
    assert.equal(
      lines[0],
      'extra: 1,234 objects are in the target only; nothing was removed, as that is more than --max-delete 5',
    );
    assert.deepEqual(
      lines.slice(1, 12).map((line) => line.trim()),
      [...NAMES.slice(0, 10), '… and 1,224 more'],
    );
    assert.match(lines.at(-1) ?? '', /run the same command with --max-delete 1234$/);
    assert.equal(lines.length, 13);
  });

  it('promises no limit that would be refused', () => {
    const lines = text({ deletion: { state: 'too-many', max: 5 }, objectsExtra: 10_001, extra: NAMES });
    assert.match(lines.at(-1) ?? '', /one run removes at most 10,000 objects$/);
    assert.doesNotMatch(lines.at(-1) ?? '', /--max-delete/);
  });

  it('says that nothing was removed after a pass with faults', () => {
    const lines = text({ deletion: { state: 'unclean', max: 1_000 }, objectsExtra: 1, extra: ['a'] });
    assert.deepEqual(lines, [
      'extra: 1 object is in the target only; nothing was removed, as the pass was not without faults',
      '  a',
    ]);
  });

  it('names each object that should have gone and did not, with the reason', () => {
    const lines = text({
      deletion: { state: 'done', max: 1_000 },
      objectsExtra: 3,
      objectsDeleted: 2,
      exceptions: [
        { state: 'extra', path: 'tag 1', error: { name: 'Error', message: 'it is there' } },
        { state: 'unsettled', path: 'other', error: { name: 'Error', message: 'of no concern' } },
      ],
    });
    assert.deepEqual(lines, [
      'removed: 2 objects from the target that the source no longer has',
      'extra: 1 object is or may be in the target only, and was not removed',
      '  tag 1',
      '    it is there',
      'find out why those objects could not be removed; then run again',
    ]);
  });

  it('tells how many are left where the run ended before', () => {
    const lines = text({
      deletion: { state: 'ended', max: 9 },
      objectsExtra: 7,
      objectsDeleted: 2,
      extra: NAMES,
    });
    assert.deepEqual(lines, [
      'removed: 2 objects from the target that the source no longer has',
      'extra: 5 objects are in the target only; not removed, as the run ended before',
    ]);
  });
});
