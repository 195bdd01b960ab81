/** What can be wrong in a source, or become wrong while it is read, and the word for it in each kind of pass. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { CopySummary } from '../../src/core/job.ts';
import { seededBytes, sha256Hex } from '../support/seeded.ts';
import { blobPath, layerLinkPath, linkText, otherPath, tagPath } from '../unit/copy/registry-names.ts';
import {
  LARGE_BYTES,
  PART_BYTES,
  type Pass,
  type Script,
  type Servers,
  type Way,
  Words,
} from './words-world.ts';

const HEALTHY = seededBytes('words', 'healthy', 3_000);
const BEFORE = { small: seededBytes('words', 'a', 20_000), large: seededBytes('words', 'a', LARGE_BYTES) };
const AFTER = { small: seededBytes('words', 'b', 20_000), large: seededBytes('words', 'b', LARGE_BYTES) };
type Size = keyof typeof BEFORE;

type Word = 'copied' | 'unsettled' | 'damaged' | 'vanished' | 'failed';

/** What is to come of one object. */
interface Outcome {
  readonly word: Word;
  readonly exitCode: 0 | 1 | 3;
  readonly says?: RegExp;
}

interface Situation {
  readonly name: string;
  readonly sizes: readonly Size[];
  /** Puts the object, and gives its path. */
  readonly prepare: (words: Words, size: Size) => Promise<string>;
  readonly script?: (words: Words, path: string, size: Size) => Script;
  readonly live: Outcome;
  readonly frozen: Outcome;
  /** What the target must hold of it where it is copied. */
  readonly ends?: (size: Size) => Uint8Array;
  /** Reads that must have been asked for, so that what the script does came to pass. */
  readonly readsMin?: number;
}

const BOTH: readonly Size[] = ['small', 'large'];
const OTHER = otherPath('app/note');

async function putBlob(words: Words, size: Size): Promise<string> {
  const path = blobPath(BEFORE[size]);
  await words.put(path, BEFORE[size]);
  return path;
}

async function putOther(words: Words, size: Size): Promise<string> {
  await words.put(OTHER, BEFORE[size]);
  return OTHER;
}

/** The source changes just before the nth read of the object. */
function atRead(at: number, change: (words: Words, path: string, size: Size) => ReturnType<Script>) {
  return (words: Words, path: string, size: Size): Script =>
    (key, nth) =>
      key === path && nth === at ? change(words, path, size) : undefined;
}

const overwritten = (words: Words, path: string, size: Size) => words.source.put(path, AFTER[size]);
const deleted = (words: Words, path: string) => words.source.remove(path);

const UNSETTLED: Outcome = { word: 'unsettled', exitCode: 1, says: /was not copied/ };
const DAMAGED: Outcome = { word: 'damaged', exitCode: 3, says: /was not copied/ };
const COPIED: Outcome = { word: 'copied', exitCode: 0 };
const VANISHED = {
  live: { word: 'vanished', exitCode: 0, says: /is gone/ },
  frozen: { word: 'vanished', exitCode: 1, says: /is gone/ },
} as const;

export const SITUATIONS: readonly Situation[] = [
  {
    name: 'a blob with other bytes than its digest',
    sizes: BOTH,
    prepare: async (words, size) => {
      const path = blobPath(BEFORE[size]);
      await words.put(path, AFTER[size]);
      return path;
    },
    live: UNSETTLED,
    frozen: DAMAGED,
  },
  {
    name: 'a blob that is cut short',
    sizes: BOTH,
    prepare: async (words, size) => {
      const path = blobPath(BEFORE[size]);
      await words.put(path, BEFORE[size].subarray(0, -1));
      return path;
    },
    live: UNSETTLED,
    frozen: DAMAGED,
  },
  {
    name: 'an empty blob',
    sizes: ['small'],
    prepare: async (words, size) => {
      const path = blobPath(BEFORE[size]);
      await words.put(path, '');
      return path;
    },
    live: UNSETTLED,
    frozen: DAMAGED,
  },
  ...(
    [
      ['a link that holds no digest', 'x'.repeat(71)],
      ['an empty link', ''],
      ['a link to another digest', linkText('something else')],
      ['a link with a line end', `${linkText(HEALTHY)}\n`],
    ] as const
  ).map(([name, text]) => ({
    name,
    sizes: ['small'] as const,
    prepare: async (words: Words) => {
      const path = layerLinkPath('app', BEFORE.small);
      await words.put(path, text);
      return path;
    },
    live: UNSETTLED,
    frozen: DAMAGED,
  })),
  {
    name: 'a tag that names nothing',
    sizes: ['small'],
    prepare: async (words) => {
      await words.put(tagPath('app', 'broken'), '\0'.repeat(71));
      return tagPath('app', 'broken');
    },
    live: UNSETTLED,
    frozen: DAMAGED,
  },
  {
    name: 'a blob that is deleted after it was listed',
    sizes: BOTH,
    prepare: putBlob,
    script: atRead(1, deleted),
    readsMin: 1,
    ...VANISHED,
  },
  {
    name: 'a blob that is deleted between its ranges',
    sizes: ['large'],
    prepare: putBlob,
    script: atRead(2, deleted),
    readsMin: 2,
    ...VANISHED,
  },
  {
    name: 'a blob that is overwritten after it was listed',
    sizes: BOTH,
    prepare: putBlob,
    script: atRead(1, overwritten),
    readsMin: 1,
    live: UNSETTLED,
    frozen: DAMAGED,
  },
  {
    name: 'a blob that is overwritten between its ranges',
    sizes: ['large'],
    prepare: putBlob,
    script: atRead(2, overwritten),
    readsMin: 2,
    live: UNSETTLED,
    frozen: DAMAGED,
  },
  {
    name: 'an object without a digest that is overwritten between its ranges',
    sizes: ['large'],
    prepare: putOther,
    script: atRead(2, overwritten),
    readsMin: 2,
    live: COPIED,
    frozen: COPIED,
    ends: (size) => AFTER[size],
  },
  {
    name: 'an object without a digest that is overwritten before its last range',
    sizes: ['large'],
    prepare: putOther,
    script: atRead(3, overwritten),
    readsMin: 3,
    live: COPIED,
    frozen: COPIED,
    ends: (size) => AFTER[size],
  },
  {
    name: 'an object without a digest that is deleted between its ranges',
    sizes: ['large'],
    prepare: putOther,
    script: atRead(2, deleted),
    readsMin: 2,
    ...VANISHED,
  },
  {
    name: 'an object that grows after it was listed',
    sizes: BOTH,
    prepare: putOther,
    script: atRead(1, (words, path, size) =>
      words.source.put(path, Buffer.concat([BEFORE[size], AFTER.small])),
    ),
    readsMin: 2,
    live: COPIED,
    frozen: COPIED,
    ends: (size) => Buffer.concat([BEFORE[size], AFTER.small]),
  },
  {
    name: 'an object that shrinks between its ranges',
    sizes: ['large'],
    prepare: putOther,
    script: atRead(2, (words, path, size) =>
      words.source.put(path, BEFORE[size].subarray(0, PART_BYTES + 9)),
    ),
    readsMin: 3,
    live: COPIED,
    frozen: COPIED,
    ends: (size) => BEFORE[size].subarray(0, PART_BYTES + 9),
  },
  {
    name: 'a blob that shrinks after it was listed',
    sizes: BOTH,
    prepare: putBlob,
    script: atRead(1, (words, path, size) => words.source.put(path, BEFORE[size].subarray(0, -5_000))),
    readsMin: 2,
    live: UNSETTLED,
    frozen: DAMAGED,
  },
  {
    name: 'an object that changes with every read',
    sizes: ['large'],
    prepare: putOther,
    script: (words, path) => (key, nth) =>
      key === path
        ? words.source.put(path, seededBytes('words', `change ${nth}`, LARGE_BYTES + nth))
        : undefined,
    readsMin: 4,
    live: { word: 'unsettled', exitCode: 1, says: /changed each time it was read/ },
    frozen: { word: 'failed', exitCode: 1, says: /changed each time it was read/ },
  },
];

const COUNTED = {
  copied: 'objectsCopied',
  unsettled: 'objectsUnsettled',
  damaged: 'objectsDamaged',
  vanished: 'objectsVanished',
  failed: 'objectsFailed',
} as const satisfies Readonly<Record<Word, keyof CopySummary>>;

async function healthyRegistry(words: Words): Promise<readonly string[]> {
  const link = layerLinkPath('healthy', HEALTHY);
  const tag = tagPath('healthy', 'v1');
  await words.put(blobPath(HEALTHY), HEALTHY);
  await words.put(link, linkText(HEALTHY));
  await words.put(tag, linkText(HEALTHY));
  return [blobPath(HEALTHY), link, tag];
}

function assertOutcome({ summary, exitCode, tree, counters }: Pass, path: string, expected: Outcome): void {
  const { exceptions } = summary;
  const told = exceptions.map((one) => `${one.state} ${one.path}: ${one.error.message}`).join('\n');
  assert.equal(summary.stoppedBy?.message, undefined);
  assert.deepEqual(
    exceptions.map(({ state, path: name }) => `${state} ${name}`),
    expected.word === 'copied' ? [] : [`${expected.word} ${path}`],
    told,
  );
  for (const [word, field] of Object.entries(COUNTED)) {
    const healthy = word === 'copied' ? 3 : 0;
    assert.equal(summary[field], healthy + (word === expected.word ? 1 : 0), `${field}\n${told}`);
    assert.equal(counters.objects(word as Word), summary[field]);
  }
  if (expected.says) assert.match(told, expected.says);
  assert.equal(exitCode, expected.exitCode, told);
  assert.equal(summary.isComplete, expected.word !== 'failed');
  if (expected.word !== 'copied') assert.equal(tree.has(path), false, `the target shows ${path}`);
}

interface Trial {
  readonly way: Way;
  readonly servers: Servers;
  readonly situation: Situation;
  readonly size: Size;
  readonly isFrozen: boolean;
}

async function tryOut(t: TestContext, given: Trial): Promise<void> {
  const { way, servers, situation, size, isFrozen } = given;
  const words = await Words.between(t, way, servers);
  const healthy = await healthyRegistry(words);
  const path = await situation.prepare(words, size);
  const pass = await words.pass({ isFrozen }, situation.script?.(words, path, size));
  const expected = isFrozen ? situation.frozen : situation.live;
  assertOutcome(pass, path, expected);
  assert.ok((pass.reads.get(path) ?? 0) >= (situation.readsMin ?? 1), 'what was to happen did not');
  const there = [...healthy, ...(expected.word === 'copied' ? [path] : [])];
  assert.deepEqual([...pass.tree.keys()].sort(), there.sort(), 'the target holds something else');
  if (situation.ends && expected.word === 'copied') {
    assert.equal(pass.tree.get(path)?.sha256, sha256Hex(situation.ends(size)), 'bytes of two versions');
  }
}

/** Where an object must not be mixed from two versions, whatever it is written to. */
export function isBetweenRanges({ name }: Situation): boolean {
  return /between its ranges|before its last range/.test(name);
}

/** One test for each size and kind of pass. */
export function describeWords(way: Way, servers: Servers, situations: readonly Situation[]): void {
  describe(`words for what changes, from ${way.name}`, () => {
    for (const situation of situations) {
      for (const size of situation.sizes) {
        for (const isFrozen of [false, true]) {
          const { word } = isFrozen ? situation.frozen : situation.live;
          it(`${situation.name} (${size}) is ${word} in a ${isFrozen ? 'frozen' : 'live'} pass`, (t) =>
            tryOut(t, { way, servers, situation, size, isFrozen }));
        }
      }
    }
  });
}
