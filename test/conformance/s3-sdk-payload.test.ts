/** The compatibility engine never sends a body that nothing speaks for, also not over TLS and to servers without checksums. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { makeCertificate } from '../../bench/support/certificate.ts';
import { isStorageError } from '../../src/core/errors.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { Body, StorageDriver } from '../../src/drivers/driver.ts';
import { openS3SdkDriver } from '../../src/drivers/s3/s3-sdk-driver.ts';
import { seededBytes } from '../support/seeded.ts';

const CTX = { signal: new AbortController().signal };
const MIB = 1024 ** 2;
/** What lib-storage makes of a large body. */
const PART_BYTES = 8 * MIB;
const CERTIFICATE = makeCertificate({ names: ['127.0.0.1'] });
const ALL_REFUSED = {
  payloadSha256: true,
  contentMd5: true,
  partCrc32: true,
  objectCrc32: true,
  storesSha256: true,
};

interface World {
  readonly server: S3Server;
  readonly driver: StorageDriver;
}

async function open(t: TestContext, isTls: boolean, checksums: boolean): Promise<World> {
  const server = await startS3Server({
    buckets: ['bucket'],
    checksums,
    logsRequests: true,
    ...(isTls ? { tls: CERTIFICATE } : {}),
  });
  t.after(() => server.close());
  const driver = await openS3SdkDriver({
    storage: {
      kind: 's3',
      bucket: 'bucket',
      rootDirectory: '',
      region: 'us-east-1',
      endpoint: server.endpoint,
      isPathStyle: true,
      skipsTlsVerify: true,
      credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
      encrypt: false,
    },
    engine: 'sdk',
    ...(checksums ? { binding: ALL_REFUSED } : {}),
  });
  t.after(() => driver.close());
  return { server, driver };
}

/** Pieces that come one by one, of which the driver cannot know more than their sum. */
function streamed(bytes: Uint8Array): Body {
  return {
    sizeBytes: bytes.length,
    open: async function* () {
      for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000);
    },
  };
}

const SMALL = seededBytes('payload', 'small', 100_000);
const LARGE = seededBytes('payload', 'large', 2 * PART_BYTES + 5);
const BODIES: Readonly<Record<string, { readonly bytes: Buffer; readonly body: Body }>> = {
  'a PUT from memory': { bytes: SMALL, body: bodyOfBytes(SMALL) },
  'a streamed PUT': { bytes: SMALL, body: streamed(SMALL) },
  'parts from memory': { bytes: LARGE, body: bodyOfBytes(LARGE) },
  'streamed parts': { bytes: LARGE, body: streamed(LARGE) },
};

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** In the order of the body. */
function hashesOf(bytes: Buffer): readonly string[] {
  const hashes: string[] = [];
  for (let at = 0; at < bytes.length; at += PART_BYTES)
    hashes.push(sha256(bytes.subarray(at, at + PART_BYTES)));
  return hashes;
}

for (const isTls of [false, true]) {
  for (const checksums of [false, true]) {
    describe(`--engine sdk over ${isTls ? 'https' : 'http'} to a server ${checksums ? 'with' : 'without'} checksums`, () => {
      for (const [what, { bytes, body }] of Object.entries(BODIES)) {
        it(`signs the sha256 of ${what}`, async (t) => {
          const { server, driver } = await open(t, isTls, checksums);
          await driver.streamUpload?.upload(CTX, 'key', body, { sha256: sha256(bytes) });
          const bodies = (await server.takeRequests()).filter(
            ({ operation }) => operation === 'PutObject' || operation === 'UploadPart',
          );
          const inOrder = bodies.toSorted((a, b) => (a.partNumber ?? 0) - (b.partNumber ?? 0));
          assert.deepEqual(
            inOrder.map(({ payloadHash }) => payloadHash),
            hashesOf(bytes),
          );
          assert.deepEqual(
            await server.get('bucket', 'key').then((got) => got && sha256(got)),
            sha256(bytes),
          );
        });
      }

      it('has a flipped bit refused, in a PUT and in a part', async (t) => {
        const { server, driver } = await open(t, isTls, checksums);
        for (const [operation, body] of [
          ['PutObject', streamed(SMALL)],
          ['UploadPart', streamed(LARGE)],
        ] as const) {
          const faults = await server.misbehave({ fault: { kind: 'flip-request', offset: 77 }, operation });
          const upload = () => driver.streamUpload?.upload(CTX, operation, body, {});
          await assert.rejects(
            async () => upload(),
            (error) => {
              assert.ok(isStorageError(error), String(error));
              assert.equal(error.details.isTransient, true, 'nobody would try again');
              return true;
            },
          );
          await faults.assertUsedUp();
          assert.equal(await server.get('bucket', operation), undefined);
          await upload();
          assert.equal((await server.get('bucket', operation))?.length, body.sizeBytes);
        }
      });
    });
  }
}
