/** Faults in single objects: reads, writes, removals, errors, signals. */
import assert from 'node:assert/strict';
import { StorageError } from '../../src/core/errors.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { CallContext } from '../../src/drivers/driver.ts';
import { deaf, type Fault, pagesOf, refusal } from './fault.ts';

export const OBJECT_FAULTS: readonly Fault[] = [
  {
    name: 'remove() does nothing',
    noticedBy: ['remove() takes away the object it names and no other', 'a removed key can be written again'],
    plant: () => ({ remove: async (ctx) => ctx.signal.throwIfAborted() }),
  },
  {
    name: 'remove() takes away everything below the key, too',
    noticedBy: ['a key and keys below it are different objects'],
    plant: (driver) => ({
      remove: async (ctx, key) => {
        await driver.remove(ctx, key);
        for (const page of await pagesOf(driver, ctx, { prefix: `${key}/` })) {
          for (const object of page.objects) await driver.remove(ctx, object.key);
        }
      },
    }),
  },
  {
    name: 'remove() of a missing key fails',
    noticedBy: ['a key that is missing is not found, and remove() of it succeeds'],
    plant: (driver) => ({
      remove: async (ctx, key) => {
        await driver.stat(ctx, key);
        await driver.remove(ctx, key);
      },
    }),
  },
  {
    name: 'ranges begin one byte late',
    noticedBy: ['read() gives ranges inside, to the end and over the end, and says how long the object is'],
    plant: (driver) => ({
      read: (ctx, key, into, options) => {
        const offset = options.offset === undefined || options.offset === 0 ? 0 : options.offset + 1;
        return driver.read(ctx, key, into, { ...options, offset });
      },
    }),
  },
  {
    name: 'ranges end one byte early',
    noticedBy: ['read() gives ranges inside, to the end and over the end, and says how long the object is'],
    plant: (driver) => ({
      read: async (ctx, key, into, options) => {
        const cut = into.byteLength > 1 && options.isWhole !== true ? into.subarray(0, -1) : into;
        return driver.read(ctx, key, cut, options);
      },
    }),
  },
  {
    name: 'read() behind the end fails',
    noticedBy: ['read() from behind the end gives no bytes and says how long the object is'],
    plant: (driver) => ({
      read: async (ctx, key, into, options) => {
        const read = await driver.read(ctx, key, into, options);
        if (options.offset !== undefined && read.bytesRead === 0) throw refusal(driver, 'corrupt', key);
        return read;
      },
    }),
  },
  {
    name: 'read() says that the object is as long as the range',
    noticedBy: ['read() gives ranges inside, to the end and over the end, and says how long the object is'],
    plant: (driver) => ({
      read: async (ctx, key, into, options) => {
        const read = await driver.read(ctx, key, into, options);
        return { ...read, totalBytes: read.bytesRead };
      },
    }),
  },
  {
    name: 'read() flips a bit',
    noticedBy: ['read() gives back what write() took, from memory, at every size'],
    plant: (driver) => ({
      read: async (ctx, key, into, options) => {
        const read = await driver.read(ctx, key, into, options);
        if (read.bytesRead > 50) into[50] = (into[50] ?? 0) ^ 1;
        return read;
      },
    }),
  },
  {
    name: 'read() of a version ignores which one it gets',
    noticedBy: ['read() of one version refuses another one'],
    plant: (driver) => ({
      read: (ctx, key, into, { version: _ignored, ...options }) => driver.read(ctx, key, into, options),
    }),
  },
  {
    name: 'versions are made of the size alone',
    noticedBy: ['write() of other bytes of the same size is seen by its version and by its bytes'],
    plant: (driver) => ({
      stat: async (ctx, key) => {
        const info = await driver.stat(ctx, key);
        return { ...info, version: `size-${info.sizeBytes}` };
      },
    }),
  },
  {
    name: 'an existing object is not overwritten',
    noticedBy: ['write() replaces an object, with a shorter one too, and gives it another version'],
    plant: (driver) => ({
      write: async (ctx, key, body, options) => {
        const there = await driver.stat(ctx, key).catch(() => undefined);
        return there === undefined ? driver.write(ctx, key, body, options) : {};
      },
    }),
  },
  {
    name: 'pieces of a body are kept after the next one was asked for',
    noticedBy: ['read() gives back what write() took in pieces that share one buffer'],
    plant: (driver) => ({
      write: async (ctx, key, body) => {
        const pieces: Uint8Array[] = [];
        for await (const piece of body.open()) pieces.push(piece);
        const bytes = Buffer.concat(pieces);
        return driver.write(ctx, key, { ...bodyOfBytes(bytes), sizeBytes: body.sizeBytes }, {});
      },
    }),
  },
  {
    name: 'half an object is visible while it is written',
    noticedBy: [
      'write() that is aborted in the middle of its body leaves nothing',
      'write() passes on what a body throws, and leaves nothing',
    ],
    plant: (driver) => ({
      write: async (ctx, key, body, options) => {
        ctx.signal.throwIfAborted();
        await driver.write(ctx, key, bodyOfBytes(new Uint8Array(Math.floor(body.sizeBytes / 2))), {});
        return driver.write(ctx, key, body, options);
      },
    }),
  },
  {
    name: 'a short body is padded',
    noticedBy: ['write() refuses a body that is shorter or longer than it says, and leaves nothing'],
    plant: (driver) => ({
      write: async (ctx, key, body, options) => {
        if (body.bytes !== undefined) return driver.write(ctx, key, body, options);
        const bytes = new Uint8Array(body.sizeBytes);
        let at = 0;
        for await (const piece of body.open()) {
          if (at + piece.byteLength > bytes.byteLength) throw refusal(driver, 'corrupt', key);
          bytes.set(piece, at);
          at += piece.byteLength;
        }
        return driver.write(ctx, key, bodyOfBytes(bytes), {});
      },
    }),
  },
  {
    name: 'a wrong sha256 is not noticed',
    noticedBy: ['write() refuses bytes that do not have the sha256 that came with them, and leaves nothing'],
    plant: (driver) => ({ write: (ctx, key, body) => driver.write(ctx, key, body, {}) }),
  },
  {
    name: 'write() ignores its signal',
    noticedBy: [
      'a signal that is aborted before the call lets nothing begin',
      'write() that is aborted in the middle of its body leaves nothing',
      'write() that is aborted at the end of its body leaves nothing, or the whole',
    ],
    plant: (driver) => ({ write: (_ctx, key, body, options) => driver.write(deaf(), key, body, options) }),
  },
  {
    name: 'read(), stat() and remove() ignore their signals',
    noticedBy: ['a signal that is aborted before the call lets nothing begin'],
    plant: (driver) => ({
      read: (_ctx, key, into, options) => driver.read(deaf(), key, into, options),
      stat: (_ctx, key) => driver.stat(deaf(), key),
      remove: (_ctx, key) => driver.remove(deaf(), key),
    }),
  },
  {
    name: 'list() ignores its signal',
    noticedBy: ['list() that is aborted between pages gives no further page'],
    plant: (driver) => ({ list: (_ctx, query) => driver.list(deaf(), query) }),
  },
  {
    name: 'an aborted call rejects with an error of its own',
    noticedBy: ['a signal that is aborted before the call lets nothing begin'],
    plant: (driver) => ({
      stat: (ctx, key) => {
        if (ctx.signal.aborted) return Promise.reject(new Error('aborted'));
        return driver.stat(ctx, key);
      },
    }),
  },
  {
    name: 'an error names neither key nor backend',
    noticedBy: ['a key that is missing is not found, and remove() of it succeeds'],
    plant: (driver) => ({
      stat: async (ctx, key) => {
        try {
          return await driver.stat(ctx, key);
        } catch (error) {
          if (!(error instanceof StorageError)) throw error;
          const { key: _lost, ...details } = error.details;
          throw new StorageError(error.message, details);
        }
      },
    }),
  },
  {
    name: 'a missing key is an error of another kind',
    noticedBy: ['a key that is missing is not found, and remove() of it succeeds'],
    plant: (driver) => ({
      read: (ctx, key, into, options) =>
        driver.read(ctx, key, into, options).catch((error: unknown) => {
          throw error instanceof StorageError && error.kind === 'not-found'
            ? new StorageError(error.message, { ...error.details, kind: 'unexpected' })
            : error;
        }),
    }),
  },
  {
    name: 'owner and mode are forgotten',
    noticedBy: [
      'owner and mode come back as they were given',
      'complete() gives the object the owner and mode of its source',
    ],
    plant: (driver) => ({
      read: async (ctx, key, into, options) => {
        const { attributes: _forgotten, ...read } = await driver.read(ctx, key, into, options);
        return read;
      },
    }),
  },
  {
    name: 'binding.probe() leaves its object behind',
    noticedBy: ['binding.probe() leaves nothing behind'],
    plant: (driver) => {
      const inner = driver.binding;
      assert.ok(inner);
      const probe = async (ctx: CallContext, prefix: string) => {
        const binding = await inner.probe(ctx, prefix);
        await driver.write(ctx, `${prefix}left`, bodyOfBytes(new Uint8Array(1)), {});
        return binding;
      };
      return { binding: { probe } };
    },
  },
];
