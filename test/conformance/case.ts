/** What a conformance case is made of, and the few tools cases share. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type ErrorKind, isStorageError, type StorageError } from '../../src/core/errors.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type {
  Binding,
  Body,
  CallContext,
  ListPage,
  ListQuery,
  MultipartFacet,
  ObjectInfo,
  PartInput,
  PartReceipt,
  ReadOptions,
  ReadResult,
  StorageDriver,
  Upload,
} from '../../src/drivers/driver.ts';

/** What a case may need of a driver. A binding names those that its driver lacks; lacking another one is a failure. */
export type Requirement =
  | 'multipart'
  | 'streamUpload'
  | 'binding'
  | 'serverCopy'
  /** The target was seen to refuse a body that differs from its sha256. */
  | 'refusesWrongSha256'
  | 'refusesWrongPartCrc32'
  | 'refusesWrongObjectCrc32'
  | 'attributes'
  | 'byteOrder'
  | 'folders'
  | 'noFolders'
  /** Keys are paths of a file system: what no folder tree can hold is refused, and folders can be left out. */
  | 'filePaths'
  /** An aborted write can never become visible later. Servers may still carry out a request that came to its end. */
  | 'exactAborts'
  /** Of those who write one key at the same time none is told that it failed, and readers meet it at any moment. */
  | 'settledRaces';

export interface CaseHelpers {
  /** Another driver over the same storage, as another process would open it; closed by the runner. */
  readonly reopen: () => Promise<StorageDriver>;
  /** So many objects surely fill more than two pages of a listing. */
  readonly manyObjects: number;
  /** What the driver lacks, and what its server does not keep of what it says. */
  readonly lacks: readonly Requirement[];
  /** Keys that the service cannot keep as they are, and the driver therefore refuses. */
  readonly refusedKeys: readonly string[];
}

export interface DriverCase {
  readonly name: string;
  readonly requires?: readonly Requirement[];
  /** Begins with empty storage; what it leaves behind is removed by the runner. */
  run(driver: StorageDriver, ctx: CallContext, helpers: CaseHelpers): Promise<void>;
}

/** What does not show in the driver itself. */
export const INVISIBLE = [
  'exactAborts',
  'filePaths',
  'settledRaces',
] as const satisfies readonly Requirement[];
type VisibleRequirement = Exclude<Requirement, (typeof INVISIBLE)[number]>;

export function visiblePowers(
  driver: StorageDriver,
  binding: Binding | undefined,
): Readonly<Record<VisibleRequirement, boolean>> {
  return {
    multipart: driver.multipart !== undefined,
    streamUpload: driver.streamUpload !== undefined,
    binding: driver.binding !== undefined,
    serverCopy: driver.serverCopy !== undefined,
    refusesWrongSha256: binding?.payloadSha256 === true,
    refusesWrongPartCrc32: binding?.partCrc32 === true && driver.multipart !== undefined,
    refusesWrongObjectCrc32: binding?.objectCrc32 === true && driver.multipart !== undefined,
    attributes: driver.facts.keepsAttributes,
    byteOrder: driver.facts.listOrder === 'bytes',
    folders: driver.facts.hasFolders,
    noFolders: !driver.facts.hasFolders,
  };
}

/** Bytes that follow from a label and look like nothing else. */
export function bytesFor(label: string, sizeBytes: number): Uint8Array {
  const block = hash('sha512', label, 'buffer');
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += block.byteLength) {
    block[0] = ((block[0] ?? 0) + 1) & 0xff;
    bytes.set(block.subarray(0, Math.min(block.byteLength, sizeBytes - at)), at);
  }
  return bytes;
}

/** A body in pieces that all come in one reused buffer, as from a socket. */
export function bodyInPieces(bytes: Uint8Array, pieceBytes: number): Body {
  return {
    sizeBytes: bytes.byteLength,
    async *open() {
      const buffer = new Uint8Array(pieceBytes);
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
        const piece = bytes.subarray(at, at + pieceBytes);
        buffer.set(piece);
        yield buffer.subarray(0, piece.byteLength);
        buffer.fill(0xee);
      }
    },
  };
}

/** A body that is announced with another size than it has. */
export function lyingBody(bytes: Uint8Array, announcedBytes: number): Body {
  return { ...bodyInPieces(bytes, 1_000), sizeBytes: announcedBytes };
}

export function sha256Of(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** Writes bytes the way the copy engine does: with their sha256. */
export async function put(
  driver: StorageDriver,
  ctx: CallContext,
  key: string,
  bytes: Uint8Array,
): Promise<void> {
  await driver.write(ctx, key, bodyOfBytes(bytes), { sha256: sha256Of(bytes) });
}

/** Makes an object for each key whose bytes are the key itself. */
export async function putKeys(
  driver: StorageDriver,
  ctx: CallContext,
  keys: readonly string[],
): Promise<void> {
  const queue = keys.values();
  const writeQueue = async () => {
    for (const key of queue) await put(driver, ctx, key, Buffer.from(key));
  };
  await Promise.all(Array.from({ length: 8 }, writeQueue));
}

/** Keys in folders of ten, in byte order. */
export function manyKeys(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const number = String(index).padStart(6, '0');
    return `many/${number.slice(0, 5)}/${number.slice(5)}`;
  });
}

/** The whole object, whatever its size. */
export async function get(driver: StorageDriver, ctx: CallContext, key: string): Promise<Uint8Array> {
  const { sizeBytes } = await driver.stat(ctx, key);
  const { bytes, result } = await readInto(driver, ctx, key, sizeBytes, { isWhole: true });
  assert.equal(result.totalBytes, sizeBytes, `"${key}" has the size that stat() gave`);
  return bytes;
}

/** Reads into a buffer that lies inside a larger one, and sees to it that nothing around it is touched. */
export async function readInto(
  driver: StorageDriver,
  ctx: CallContext,
  key: string,
  bufferBytes: number,
  options: ReadOptions,
): Promise<{ readonly bytes: Uint8Array; readonly result: ReadResult }> {
  const around = new Uint8Array(bufferBytes + 16).fill(0xa5);
  const result = await driver.read(ctx, key, around.subarray(8, 8 + bufferBytes), options);
  assert.ok(result.bytesRead <= bufferBytes, 'no more is read than the buffer holds');
  assert.deepEqual([...around.subarray(0, 8), ...around.subarray(-8)], Array(16).fill(0xa5));
  return { bytes: around.slice(8, 8 + result.bytesRead), result };
}

export interface Listed {
  readonly pages: readonly ListPage[];
  readonly objects: readonly ObjectInfo[];
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
}

export async function listAll(
  driver: StorageDriver,
  ctx: CallContext,
  query: Partial<ListQuery> = {},
): Promise<Listed> {
  const pages: ListPage[] = [];
  for await (const page of driver.list(ctx, { prefix: '', ...query })) pages.push(page);
  const objects = pages.flatMap((page) => page.objects);
  const prefixes = pages.flatMap((page) => page.prefixes);
  return { pages, objects, keys: objects.map((object) => object.key), prefixes };
}

export async function assertAbsent(driver: StorageDriver, ctx: CallContext, key: string): Promise<void> {
  await assertRefused(driver.stat(ctx, key), driver, 'not-found', key);
  assert.ok(!(await listAll(driver, ctx, { prefix: key })).keys.includes(key), `"${key}" is not listed`);
}

export async function assertHolds(
  driver: StorageDriver,
  ctx: CallContext,
  key: string,
  expected: Uint8Array,
): Promise<void> {
  const actual = await get(driver, ctx, key);
  assert.equal(actual.byteLength, expected.byteLength, `"${key}" is as long as what was written`);
  assert.ok(Buffer.compare(actual, expected) === 0, `"${key}" holds the bytes that were written`);
}

/** No object and no open upload anywhere. */
export async function assertNothingLeft(driver: StorageDriver, ctx: CallContext): Promise<void> {
  assert.deepEqual((await listAll(driver, ctx)).keys, [], 'no object is left');
  const uploads = await driver.multipart?.listUploads(ctx, '');
  assert.deepEqual(uploads ?? [], [], 'no upload is left open');
}

/** Every refusal says what kind it is, where it happened and to what, and whether trying again makes sense. */
export async function assertRefused(
  call: Promise<unknown>,
  driver: StorageDriver,
  kind: ErrorKind,
  key: string,
): Promise<StorageError> {
  const error = await rejectionOf(call);
  if (!isStorageError(error)) {
    assert.fail(`Expected a StorageError of kind ${kind}, got ${String(error)}`);
  }
  assert.equal(error.kind, kind, error.message);
  assert.equal(error.details.backend, driver.name);
  assert.equal(error.details.key, key);
  assert.notEqual(error.details.operation, '');
  assert.equal(error.details.scope, 'object');
  const mayPass = kind === 'throttled' || kind === 'timeout' || kind === 'unavailable' || kind === 'corrupt';
  if (!mayPass) assert.equal(error.details.isTransient, false, `${kind} is not worth a retry`);
  return error;
}

export async function rejectionOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  return assert.fail('The call succeeded where it had to fail');
}

export function multipartOf(driver: StorageDriver): MultipartFacet {
  if (driver.multipart === undefined) throw new Error('A case about parts must require multipart');
  return driver.multipart;
}

/** The input of one part with whatever checksum the driver asks for. */
export function partOf(driver: StorageDriver, number: number, offset: number, bytes: Uint8Array): PartInput {
  const base = { number, offset, body: bodyOfBytes(bytes) };
  const { partChecksum } = multipartOf(driver);
  if (partChecksum === 'sha256') return { ...base, sha256: sha256Of(bytes) };
  return partChecksum === 'crc32' ? { ...base, crc32: crc32(bytes) } : base;
}

/** Cuts bytes into parts of the smallest size the driver takes (64 bytes at least), the last one being the rest. */
export function partsOf(driver: StorageDriver, bytes: Uint8Array): readonly PartInput[] {
  const partBytes = smallPart(driver);
  const parts: PartInput[] = [];
  for (let at = 0; at < bytes.byteLength; at += partBytes) {
    parts.push(partOf(driver, parts.length + 1, at, bytes.subarray(at, at + partBytes)));
  }
  return parts;
}

export function smallPart(driver: StorageDriver): number {
  return Math.max(64, multipartOf(driver).partBytesMin);
}

export function completeWith(
  driver: StorageDriver,
  ctx: CallContext,
  upload: Upload,
  receipts: readonly PartReceipt[],
  bytes: Uint8Array,
): Promise<unknown> {
  const needsCrc32 = multipartOf(driver).partChecksum === 'crc32';
  const sum = needsCrc32 ? { crc32: crc32(bytes) } : {};
  return multipartOf(driver).complete(ctx, upload, receipts, { sizeBytes: bytes.byteLength, ...sum });
}
