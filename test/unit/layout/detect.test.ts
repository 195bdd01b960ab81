import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../src/core/errors.ts';
import type { LayoutChoice } from '../../../src/core/job.ts';
import { detectLayout } from '../../../src/layout/detect.ts';
import { ListingDriver } from './listing-driver.ts';

const HEX = 'ab'.repeat(32);
const ROOT = 'docker/registry/v2/';
const BY_DIGEST = `${ROOT}blobs/sha256/ab/${HEX}/data`;
const BY_ID = `${ROOT}blobs/id/3f/3f2c/data`;
const TAG = `${ROOT}repositories/app/_manifests/tags/v1/current/link`;

async function detect(keys: readonly string[], choice: LayoutChoice = 'auto', keyPrefix = '') {
  const driver = new ListingDriver(keys);
  const ctx = { signal: new AbortController().signal };
  const { layout, reason } = await detectLayout(driver.asDriver(), ctx, keyPrefix, choice);
  return { name: layout.name, reason, listings: driver.queries.length, queries: driver.queries };
}

async function refusal(keys: readonly string[], choice: LayoutChoice = 'auto', keyPrefix = '') {
  const error = await detect(keys, choice, keyPrefix).then(
    ({ name }) => assert.fail(`Took it for ${name}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError);
  return { message: error.message, hint: error.hint };
}

describe('detecting the layout of a storage', () => {
  it('takes blobs named by their digests for distribution, with one listing', async () => {
    const found = await detect([BY_DIGEST, TAG]);
    assert.equal(found.name, 'distribution');
    assert.equal(found.reason, 'docker/registry/v2/blobs/sha256/ is there: blobs are named by their digests');
    assert.equal(found.listings, 1);
  });

  it('takes blobs named by ids for MSR', async () => {
    const found = await detect([BY_ID, TAG]);
    assert.equal(found.name, 'msr');
    assert.equal(found.reason, 'docker/registry/v2/blobs/id/ is there: blobs are named by ids');
  });

  it('takes both kinds together for MSR, and says so', async () => {
    const found = await detect([BY_ID, BY_DIGEST]);
    assert.equal(found.name, 'msr');
    assert.match(found.reason, /beside docker\/registry\/v2\/blobs\/sha256\//);
  });

  it('takes repositories without blobs for distribution', async () => {
    const found = await detect([TAG], 'registry');
    assert.equal(found.name, 'distribution');
    assert.match(
      found.reason,
      /tags\/v1\/current\/link is there, but nothing in docker\/registry\/v2\/blobs\//,
    );
  });

  it('finds algorithms other than sha256', async () => {
    assert.equal((await detect([`${ROOT}blobs/sha512/ab/${HEX}${HEX}/data`])).name, 'distribution');
  });

  it('looks below the root of the storage only', async () => {
    const found = await detect([BY_ID, `a/b/${BY_DIGEST}`], 'auto', 'a/b/');
    assert.equal(found.name, 'distribution');
    assert.ok(found.queries.every((query) => query.prefix.startsWith('a/b/') && query.delimiter === '/'));
  });

  it('does not look at all when raw is asked for', async () => {
    const found = await detect([BY_DIGEST], 'raw');
    assert.deepEqual([found.name, found.listings], ['raw', 0]);
  });

  it('refuses a root without a registry, says where it looked and offers raw', async () => {
    assert.deepEqual(await refusal(['root/photos/a.jpg', 'root/readme'], 'auto', 'root/'), {
      message:
        'Cannot find a registry in s3://bucket/root: nothing is stored under "root/docker/registry/v2/"',
      hint: 'the root holds "photos/", "readme"; to copy everything as it is, whatever it is, add --layout raw',
    });
  });

  it('refuses an empty root, and does not offer raw then: it is a name that was misspelt', async () => {
    for (const choice of ['auto', 'registry'] as const) {
      assert.deepEqual(await refusal([], choice), {
        message: 'Cannot find a registry in s3://bucket/root: nothing is stored under "docker/registry/v2/"',
        hint: 'the root is empty: check that it is written as in the settings of the registry',
      });
    }
  });

  it('does not take folders without content or unfinished uploads for a registry', async () => {
    const upload = `${ROOT}repositories/app/_uploads/0b1c/data`;
    const keys = [ROOT, `${ROOT}blobs/`, `${ROOT}repositories/app/`, upload];
    assert.match((await refusal(keys)).message, /Cannot find a registry/);
  });

  for (const [name, cut, levels] of [
    ['docker', 'docker/', 'one level up'],
    ['docker/registry', 'docker/registry/', 'two levels up'],
    ['docker/registry/v2', ROOT, 'three levels up'],
  ] as const) {
    it(`notices that the root is the folder ${name} itself`, async () => {
      const { hint } = await refusal([BY_DIGEST.slice(cut.length), TAG.slice(cut.length)]);
      assert.match(hint ?? '', new RegExp(`looks like the registry's "${name}" folder.* ${levels}`));
    });
  }

  it('notices that the registry lies one folder below the root', async () => {
    const { hint } = await refusal(['pre/x/file', `pre/old/${BY_DIGEST}`, `pre/old/${TAG}`], 'auto', 'pre/');
    assert.match(hint ?? '', /there is a registry in "old\/docker\/registry\/v2\/": give "pre\/old\/"/);
  });

  it('searches few folders, however many there are', async () => {
    const folders = Array.from({ length: 1000 }, (_, number) => `folder-${number}/file`);
    const driver = new ListingDriver(folders);
    const ctx = { signal: new AbortController().signal };
    await assert.rejects(detectLayout(driver.asDriver(), ctx, '', 'auto'), ConfigError);
    assert.ok(driver.queries.length <= 12, `${driver.queries.length} listings`);
  });

  it('passes on what the storage refuses', async () => {
    const controller = new AbortController();
    controller.abort(new Error('Stopped'));
    const listing = detectLayout(new ListingDriver([]).asDriver(), { signal: controller.signal }, '', 'auto');
    await assert.rejects(listing, /Stopped/);
  });
});
