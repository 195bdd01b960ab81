/** Faults in uploads of parts. */
import { type Fault, partsWith } from './fault.ts';

export const MULTIPART_FAULTS: readonly Fault[] = [
  {
    name: 'complete() ignores a missing part',
    noticedBy: ['complete() refuses parts that do not cover the object, and nothing becomes visible'],
    plant: (driver) =>
      partsWith(driver, (inner) => ({
        complete: (ctx, upload, parts) => {
          const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
          return inner.complete(ctx, upload, parts, { sizeBytes });
        },
      })),
  },
  {
    name: 'parts are joined in the order in which they came',
    noticedBy: ['parts may come in any order, side by side, and in pieces'],
    plant: (driver) => {
      const came: number[] = [];
      return partsWith(driver, (inner) => ({
        putPart: (ctx, upload, part) => {
          came.push(part.number);
          return inner.putPart(ctx, upload, part);
        },
        complete: (ctx, upload, parts, options) => {
          const turn = (number: number) => came.lastIndexOf(number);
          const inTurn = [...parts].sort((left, right) => turn(left.number) - turn(right.number));
          return inner.complete(ctx, upload, inTurn, options);
        },
      }));
    },
  },
  {
    name: 'parts are visible before the upload is complete',
    noticedBy: ['an upload is invisible until it is complete, and the old object stays until then'],
    plant: (driver) =>
      partsWith(driver, (inner) => ({
        putPart: async (ctx, upload, part) => {
          const receipt = await inner.putPart(ctx, upload, part);
          await driver.write(ctx, upload.key, part.body, {});
          return receipt;
        },
      })),
  },
  {
    name: 'abort() does nothing',
    noticedBy: ['abort() takes the upload away, and aborting it again succeeds'],
    plant: (driver) => partsWith(driver, () => ({ abort: async (ctx) => ctx.signal.throwIfAborted() })),
  },
  {
    name: 'aborting twice fails',
    noticedBy: ['abort() takes the upload away, and aborting it again succeeds'],
    plant: (driver) =>
      partsWith(driver, (inner) => ({
        abort: async (ctx, upload) => {
          await inner.listParts(ctx, upload);
          await inner.abort(ctx, upload);
        },
      })),
  },
  {
    name: 'open uploads are not listed',
    noticedBy: ['listUploads() gives open uploads below a prefix, to another driver too'],
    plant: (driver) => partsWith(driver, () => ({ listUploads: async () => [] })),
  },
  {
    name: 'listParts() names parts that never came',
    noticedBy: ['another driver goes on with an open upload from what listParts() gives'],
    plant: (driver) =>
      partsWith(driver, (inner) => ({
        listParts: async (ctx, upload) => {
          const parts = await inner.listParts(ctx, upload);
          return [...parts, ...parts.slice(-1).map((part) => ({ ...part, number: part.number + 1 }))];
        },
      })),
  },
];
