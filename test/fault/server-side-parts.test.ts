/** Objects larger than one copy takes: ranges that the service copies, put together and read back. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import type { CopyContext, CopyOutcome } from '../../src/copy/context.ts';
import { copyObject } from '../../src/copy/copy-object.ts';
import { ServerSide } from '../../src/copy/server-side.ts';
import type { ServerCopyFacet, StorageDriver } from '../../src/drivers/driver.ts';
import { S3Driver } from '../../src/drivers/s3/s3-driver.ts';
import { withRetries } from '../../src/drivers/wrap/retry.ts';
import { seededBytes } from '../support/seeded.ts';
import { CopyWorld } from '../unit/copy/copy-world.ts';
import { blobPath } from '../unit/copy/registry-names.ts';

const MIB = 1024 ** 2;
const BYTES = seededBytes('server-side parts', 'blob', 17 * MIB + 3);
const PATH = blobPath(BYTES);
const NO_WAIT = { attemptsMax: 3, delayMsMin: 0, delayMsMax: 0, random: () => 0 };
/** As if the service took no more in one copy. */
const COPY_BYTES_MAX = 6 * MIB;

type CopyPart = ServerCopyFacet['copyPart'];

interface Ground {
  readonly server: S3Server;
  readonly world: CopyWorld;
  copy(): Promise<CopyOutcome>;
}

async function ground(
  t: TestContext,
  copyPart?: (facet: ServerCopyFacet) => CopyPart,
  copyBytesMax = COPY_BYTES_MAX,
): Promise<Ground> {
  const server = await startS3Server({ buckets: ['old', 'new'], threads: 0 });
  const open = (bucket: string): StorageDriver => {
    const driver = new S3Driver(
      {
        kind: 's3',
        bucket,
        rootDirectory: '',
        region: 'us-east-1',
        endpoint: server.endpoint,
        isPathStyle: true,
        skipsTlsVerify: false,
        encrypt: false,
      },
      undefined,
      { credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' } },
    );
    const retried = withRetries(driver, NO_WAIT, () => undefined);
    assert.ok(retried.serverCopy);
    const facet = { ...retried.serverCopy, copyBytesMax };
    return { ...retried, serverCopy: copyPart ? { ...facet, copyPart: copyPart(facet) } : facet };
  };
  const ends = { source: open('old'), target: open('new') };
  const world = new CopyWorld({ partBytes: 5 * MIB, slabBudgetBytes: 20 * MIB });
  t.after(async () => {
    await Promise.all([ends.source.close(), ends.target.close()]);
    await server.close();
  });
  await server.put('old', [{ key: PATH, body: BYTES }]);
  const serverSide = new ServerSide({ reach: { bucket: 'old' }, computes: true });
  const ctx: CopyContext = { ...world.ctx, ...ends, serverSide };
  return {
    server,
    world,
    copy: async () =>
      copyObject(ctx, {
        path: PATH,
        classified: ctx.layout.classify(PATH),
        source: await ends.source.stat(ctx, PATH),
        targetKey: PATH,
        target: undefined,
      }),
  };
}

async function assertArrived({ server, world }: Ground): Promise<void> {
  const held = Buffer.from((await server.get('new', PATH)) ?? []);
  assert.ok(held.equals(BYTES), `${held.length} bytes`);
  assert.deepEqual((await server.keys('new')).length, 1);
  // The mark of the copy, and its parts: each upload that was told to be open was told to be closed.
  const told = world.reports.filter((report) => report.type === 'upload');
  const names = (state: string) => told.filter((one) => one.state === state).map(({ upload }) => upload.id);
  assert.deepEqual(names('open').sort(), names('closed').sort());
}

describe('an object larger than one copy takes', () => {
  it('is copied in ranges by the service, and read back', async (t) => {
    const here = await ground(t);
    const outcome = await here.copy();
    assert.deepEqual(outcome, {
      state: 'copied',
      bytes: BYTES.length,
      proof: 'readBack',
      isServerSide: true,
    });
    const { UploadPartCopy, UploadPart, CopyObject } = (await here.server.stats()).requestsByOperation;
    assert.deepEqual([UploadPartCopy, UploadPart, CopyObject], [3, undefined, undefined]);
    await assertArrived(here);
  });

  it('is streamed where it would be more ranges than an upload may have', async (t) => {
    const here = await ground(t, undefined, 1_000);
    const outcome = await here.copy();
    assert.deepEqual(outcome, { state: 'copied', bytes: BYTES.length, proof: 'digest' });
    await assertArrived(here);
  });

  it('is streamed where a range came out wrong', async (t) => {
    const here = await ground(t);
    const faults = await here.server.misbehave({
      fault: { kind: 'flip-copy', offset: 77 },
      operation: 'UploadPartCopy',
      skip: 1,
    });
    const outcome = await here.copy();
    await faults.assertUsedUp();
    assert.deepEqual(outcome, { state: 'copied', bytes: BYTES.length, proof: 'digest' });
    assert.equal(here.world.counters.count('serverCopiesWrong'), 1);
    await assertArrived(here);
  });

  it('is streamed where what was put together is shorter', async (t) => {
    const here = await ground(t, ({ copyPart }) => async (ctx, upload, source, part) => {
      const isEnd = part.offset + part.sizeBytes === BYTES.length;
      const shorter = { ...part, sizeBytes: part.sizeBytes - (isEnd ? 1 : 0) };
      // Parts that say that they are short would not be put together.
      return { ...(await copyPart(ctx, upload, source, shorter)), sizeBytes: part.sizeBytes };
    });
    const outcome = await here.copy();
    assert.deepEqual(outcome, { state: 'copied', bytes: BYTES.length, proof: 'digest' });
    assert.equal(here.world.counters.count('serverCopiesWrong'), 1);
    await assertArrived(here);
  });

  it('gets through an error in a 200, and leaves no upload where a range fails for good', async (t) => {
    const here = await ground(t);
    const passing = { kind: 'error-in-200', code: 'InternalError' } as const;
    const faults = await here.server.misbehave({ fault: passing, operation: 'UploadPartCopy' });
    assert.equal((await here.copy()).state, 'copied');
    await faults.assertUsedUp();
    await here.server.misbehave({ fault: passing, operation: 'UploadPartCopy', times: 1_000 });
    const outcome = await here.copy();
    assert.equal(outcome.state, 'failed');
    await assertArrived(here);
  });

  it('is copied anew, and stays marked, where nobody can tell whether what is there was put together from it', async (t) => {
    const here = await ground(t);
    const gone = { kind: 'status', status: 404, code: 'NoSuchUpload' } as const;
    const faults = await here.server.misbehave([
      { fault: { kind: 'lost-reply' }, operation: 'CompleteMultipartUpload' },
      { fault: gone, operation: 'CompleteMultipartUpload', skip: 1 },
      // As where tags are no MD5s: that the object is the one cannot be seen.
      { fault: { kind: 'status', status: 404, code: '' }, operation: 'HeadObject', bucket: 'new' },
    ]);
    const outcome = await here.copy();
    await faults.assertUsedUp();
    assert.equal(outcome.state, 'copied');
    assert.equal(here.world.counters.count('serverCopiesUnseen'), 1);
    assert.ok(BYTES.equals((await here.server.get('new', PATH)) ?? Buffer.alloc(0)));
    const told = here.world.reports.filter((report) => report.type === 'upload');
    const closed = new Set(told.filter(({ state }) => state === 'closed').map(({ upload }) => upload.id));
    const open = new Set(told.map(({ upload }) => upload.id).filter((id) => !closed.has(id)));
    assert.equal(open.size, 1, 'the first one may become visible yet');
  });
});
