import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { makeCertificate } from '../../bench/support/certificate.ts';
import { SlabPool } from '../../src/copy/slab-pool.ts';
import { isStorageError } from '../../src/core/errors.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import { S3Driver } from '../../src/drivers/s3/s3-driver.ts';
import { seededBytes } from '../support/seeded.ts';
import {
  type BadServer,
  behaviourOf,
  contentOf,
  EARLY_SUCCESS_BYTES,
  keyOf,
  type ObjectKey,
  READ_BEHAVIOURS,
  startBadServer,
  WRITE_BEHAVIOURS,
} from './bad-server.ts';

const SEED = 'bad-server';
const AT_ONCE = 16;
/** Every so many requests one is answered with success before its body is there; it takes a large body to show. */
const EARLY_SUCCESS_EVERY = 400;
const CREDENTIALS = { accessKeyId: 'key', secretAccessKey: 'secret' };
const HERE = makeCertificate({ names: ['127.0.0.1'] });

/** By the seed: which request comes as the n-th. */
function requestOf(number: number): ObjectKey & { readonly isRead: boolean } {
  if (number % EARLY_SUCCESS_EVERY === 1)
    return { behaviour: 'early-success', sizeBytes: EARLY_SUCCESS_BYTES, number, isRead: false };
  const dice = seededBytes(SEED, String(number), 8);
  const isRead = dice.readUInt8(0) % 5 < 3;
  const names = isRead ? READ_BEHAVIOURS : WRITE_BEHAVIOURS;
  const behaviour = names[dice.readUInt8(1) % names.length] ?? '';
  // Mostly as small as manifests, some larger than any slice or read, none empty: a wrong length needs one to be wrong about.
  const sizeBytes = 1 + (dice.readUInt32LE(4) % (dice.readUInt8(2) % 8 === 0 ? 400_000 : 4_000));
  return { behaviour, sizeBytes, number, isRead };
}

function driverFor(server: BadServer, isTls: boolean): S3Driver {
  const spec = {
    kind: 's3',
    bucket: 'bucket',
    rootDirectory: '',
    region: 'us-east-1',
    endpoint: `${isTls ? 'https' : 'http'}://127.0.0.1:${server.raw.port}`,
    isPathStyle: true,
    skipsTlsVerify: isTls,
    credentials: CREDENTIALS,
    encrypt: false,
  } as const;
  return new S3Driver(spec, undefined, { credentials: CREDENTIALS });
}

interface World {
  readonly server: BadServer;
  readonly driver: S3Driver;
  readonly slabs: SlabPool;
  readonly signal: AbortSignal;
}

/** @returns whether the bytes arrived, by what the client says; throws where what it says is not so. */
async function attempt({ driver, slabs, signal, server }: World, number: number): Promise<boolean> {
  const { isRead, ...object } = requestOf(number);
  const key = keyOf(object);
  const content = contentOf(object);
  const slab = await slabs.acquire(object.sizeBytes, signal);
  try {
    if (isRead) {
      const read = await driver.read({ signal }, key, slab.bytes, { isWhole: true });
      if (read.bytesRead !== content.length || read.totalBytes !== content.length) return false;
      assert.ok(content.equals(slab.bytes), `${key}: the bytes read are those of the object`);
    } else {
      slab.bytes.set(content);
      const sha256 = hash('sha256', slab.bytes, 'hex');
      await driver.write({ signal }, key, bodyOfBytes(slab.bytes), { sha256 });
      assert.ok(server.stored.has(key), `${key}: what is called written was stored whole`);
    }
    return true;
  } finally {
    slab.release();
  }
}

interface Sent {
  /** Right requests that failed because a kept connection had ended. */
  readonly stale: number;
  /** All that may have met one, those whose own answer would have been wrong among them: the server saw them not always. */
  readonly unseenMax: number;
}

/** Sends so many requests, and judges each of them. */
async function sendAll(world: World, count: number): Promise<Sent> {
  let next = 0;
  let stale = 0;
  let unseenMax = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const number = next;
      next += 1;
      const { behaviour } = requestOf(number);
      const expected = behaviourOf(behaviour).outcome;
      try {
        const isRight = await attempt(world, number);
        assert.equal(isRight ? 'right' : 'wrong', expected, `request ${number}: ${behaviour}`);
      } catch (error) {
        if (!isStorageError(error)) throw error;
        if (/^wire-(stale|truncated)$/.test(error.details.backendCode ?? '')) unseenMax += 1;
        if (expected === 'wrong') continue;
        // No fault of this request: the server ended the connection behind the one before, or in the middle of this one.
        const { backendCode = '', isTransient } = error.details;
        assert.match(
          backendCode,
          /^wire-(stale|truncated)$/,
          `request ${number}: ${behaviour}: ${error.message}`,
        );
        assert.ok(isTransient);
        stale += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return { stale, unseenMax };
}

function sockets(): number {
  return process.getActiveResourcesInfo().filter((name) => /^(TCPSocketWrap|TLSWrap|TLSSocket)$/.test(name))
    .length;
}

function descriptors(): number {
  return existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0;
}

/** Handles go a few turns after their sockets: a leak never does, and the test runs out of time. */
async function downTo(count: number, present: () => number): Promise<void> {
  while (present() > count) await turn();
}

function unsaidEnds(count: number): number {
  const numbers = Array.from({ length: count }, (_, number) => number);
  return numbers.filter((number) => behaviourOf(requestOf(number).behaviour).leavesStale).length;
}

for (const { scheme, count } of [
  { scheme: 'http', count: 10_000 },
  { scheme: 'https', count: 600 },
]) {
  describe(`The direct engine and a server without manners, over ${scheme}`, () => {
    it(`gets ${count} requests right or told as wrong, and has nothing left of them in the end`, async () => {
      const isTls = scheme === 'https';
      const before = { sockets: sockets(), descriptors: descriptors() };
      const server = await startBadServer(isTls ? HERE : undefined);
      const driver = driverFor(server, isTls);
      const slabs = new SlabPool(4 * EARLY_SUCCESS_BYTES);
      const { signal } = new AbortController();
      const { stale, unseenMax } = await sendAll({ server, driver, slabs, signal }, count).catch(
        async (error: unknown) => {
          await Promise.all([driver.close(), server.raw.close()]);
          throw error;
        },
      );
      // A failed connection takes all kept ones with it, so each unsaid end is met by one request at most.
      assert.ok(stale <= unsaidEnds(count), `${stale} requests met a connection that had ended`);
      assert.ok(
        server.requests() >= count - unseenMax,
        `${server.requests()} requests came, ${unseenMax} may be missing`,
      );
      assert.equal(slabs.usedBytes, 0);
      const largest = await slabs.acquire(slabs.slabBytesMax, signal);
      largest.release();
      await driver.close();
      await server.raw.allClosed();
      await server.raw.close();
      assert.equal(getEventListeners(signal, 'abort').length, 0);
      await downTo(before.sockets, sockets);
      await downTo(before.descriptors, descriptors);
    });
  });
}
