import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planSummaryText } from '../../../src/cli/plan-summary.ts';
import { type Amount, PLAN_STATES, type PlanState, type PlanSummary } from '../../../src/plan/summary.ts';

const NONE: Amount = { objects: 0, bytes: 0 };

function amounts(given: Partial<Record<PlanState, Amount>> = {}): PlanSummary['objects'] {
  return Object.fromEntries(
    PLAN_STATES.map((state) => [state, given[state] ?? NONE]),
  ) as PlanSummary['objects'];
}

function summary(given: Partial<PlanSummary> & { blobs?: Partial<Record<PlanState, Amount>> }): PlanSummary {
  const { blobs = {}, ...fields } = given;
  const objects = amounts(blobs);
  return {
    event: 'summary',
    source: 'file:///old',
    target: 's3://new',
    layout: 'distribution',
    keyRules: { source: 'keys of the source', target: 'keys of the target' },
    keyPrefixes: { source: '', target: '' },
    targetIsEmpty: true,
    needsIntoNonempty: false,
    objects,
    objectsByClass: { blob: objects, link: amounts(), tag: amounts(), other: amounts() },
    objectsToCopy: objects.missing.objects + objects.differing.objects,
    bytesToCopy: objects.missing.bytes + objects.differing.bytes,
    objectsLeftOut: 0,
    listedSource: 0,
    listedTarget: 0,
    leftOut: [],
    differing: [],
    conflicting: [],
    impossible: [],
    extraByClass: { blob: NONE, link: NONE, tag: NONE, other: NONE },
    extra: [],
    objectsToDelete: 0,
    mayDeleteExtra: true,
    unlistable: { count: 0, named: [] },
    objectsUnseen: 0,
    requests: { source: { list: 1 }, target: { list: 1 } },
    possibleRequests: [],
    serverSide: { way: 'none', why: 'not both sides are S3' },
    objectsServerSide: 0,
    bytesServerSide: 0,
    bytesRead: { source: 0, target: 0 },
    threads: 1,
    memoryBytes: 192 * 1024 ** 2,
    partBytes: 8 * 1024 ** 2,
    listSeconds: 1,
    sample: {
      small: { objects: 0, bytes: 0, seconds: 0 },
      large: { objects: 0, bytes: 0, seconds: 0 },
      busyShare: 0,
      unreadable: [],
      vanished: 0,
    },
    warnings: [],
    seconds: 2,
    ...fields,
  };
}

function textOf(plan: PlanSummary): string {
  return planSummaryText(plan, { from: 'old.yml', to: 'my new.yml' }, (_style, text) => text);
}

describe('planSummaryText()', () => {
  it('says that there is nothing to copy, and how to be sure of it', () => {
    const text = textOf(summary({ blobs: { equal: { objects: 3, bytes: 30 } } }));
    assert.match(text, /^✓ Nothing to copy: the target already holds all 3 objects$/m);
    assert.match(text, /^ {2}the target is empty; nothing was written; this took 2\.0 s$/m);
    assert.match(text, /^ {2}blobs {2}3 equal, 30 B$/m);
    assert.match(text, /^Next\n {2}blobferry verify --from old\.yml --to 'my new\.yml'$/m);
    assert.doesNotMatch(text, /^Time|^Cost/m);
  });

  it('says which rules keys follow, where either side has one', () => {
    const keyPrefixes = { source: 'old/files/', target: '' };
    const text = textOf({ ...summary({}), keyPrefixes });
    assert.match(text, /^ {2}source: keys of the source\n {2}target: keys of the target$/m);
    assert.doesNotMatch(textOf(summary({})), /keys of/);
  });

  it('tells what only the target has, and what --delete-extra would make of it', () => {
    const extra = Array.from({ length: 10 }, (_, at) => `path ${at}`);
    const extraByClass = {
      blob: { objects: 1_000, bytes: 2048 },
      link: NONE,
      tag: { objects: 12, bytes: 852 },
      other: NONE,
    };
    const text = textOf(summary({ extra, extraByClass, objectsToDelete: 12 }));
    assert.match(
      text,
      /^Only in the target\n {2}blobs {2}1,000, 2\.0 KiB\n {2}tags {3}12, 852 B\n {4}path 0\n/m,
    );
    assert.match(text, /^ {4}path 9\n {4}… and 1,002 more\n {2}a copy leaves them; .* removes 12 of them/m);
    const refused = textOf(summary({ extra, extraByClass, mayDeleteExtra: false }));
    assert.match(refused, /a copy leaves them, and refuses --delete-extra, as the target was not empty/);
    assert.doesNotMatch(textOf(summary({})), /Only in the target/);
  });

  it('gives the copy to type, with the flag that it needs', () => {
    const text = textOf(
      summary({
        blobs: { missing: { objects: 1, bytes: 5 } },
        targetIsEmpty: false,
        needsIntoNonempty: true,
        targetHolds: 'other\u001b[2J',
      }),
    );
    assert.match(text, /it holds "other%1B\[2J"; a copy needs --into-nonempty$/m);
    assert.match(text, /^ {2}blobferry copy --from old\.yml --to 'my new\.yml' --into-nonempty$/m);
    assert.match(text, /^ {2}not estimated: the sample holds nothing like what is to be copied/m);
  });

  it('puts what stands in the way before everything else, with names and reasons', () => {
    const text = textOf(
      summary({
        blobs: {
          conflicting: { objects: 1, bytes: 5 },
          impossible: { objects: 2, bytes: 5 },
          differing: { objects: 1, bytes: 5 },
          undecided: { objects: 4, bytes: 5 },
        },
        conflicting: [{ path: 'c', why: '4 bytes in the target, 5 in the source' }],
        impossible: [{ path: 'i', why: 'the key holds "//"' }],
        differing: [{ path: 'd', why: 'the same size, and other content' }],
        sample: { ...summary({}).sample, unreadable: [{ path: 'u', why: 'Cannot read "u"' }] },
      }),
    );
    assert.match(text, /^✗ To copy: 1 object, 5 B$/m);
    assert.match(text, /^ {9}4 undecided: of the same size, to be compared by the copy, 5 B$/m);
    assert.match(text, /^conflict: 1 object in the target with other content.*\n {2}c\n {4}4 bytes in/m);
    assert.match(text, /^impossible: 2 objects cannot be held.*\n {2}i\n {4}the key.*\n {2}… and 1 more$/m);
    assert.match(text, /^unreadable: 1 object of the 1 object sampled could not be read\n {2}u\n/m);
    assert.match(text, /^replaced: 1 object in the target.*\n {2}d\n {4}the same size, and other content$/m);
    assert.doesNotMatch(text, /blobferry copy/);
    assert.match(text, /^Next\n {2}find out which side is right.*\n {2}choose a target.*\n {2}mend what/m);
  });

  it('shows sums of money that are small, and what is not in them', () => {
    const cost = {
      currency: 'USD',
      source: { requests: 0.00042, egress: 1234.5 },
      target: { requests: 0, egress: 0 },
      total: 1234.50042,
      unpriced: ['target write'],
    };
    const text = textOf(summary({ cost }));
    assert.match(text, /^Cost: 1,234\.50 USD, by the prices that were given$/m);
    assert.match(text, /^ {2}source {2}0\.00042 USD for requests, 1,234\.50 USD for egress$/m);
    assert.match(text, /^ {2}without a price, and not in it: target write$/m);
  });
});
