/** Faults in listings: keys lost, repeated, out of order, or with the wrong size. */
import type { ObjectInfo } from '../../src/drivers/driver.ts';
import { type Fault, listingWith, pagesOf } from './fault.ts';

/** Objects on a page of the drivers that faults are planted in. */
export const PAGE_OBJECTS = 10;

export const LISTING_FAULTS: readonly Fault[] = [
  {
    name: 'the last page of a listing is lost',
    noticedBy: ['list() gives every key once with its size, over all pages'],
    plant: (driver) => ({
      async *list(ctx, query) {
        const pages = await pagesOf(driver, ctx, query);
        yield* pages.length > 1 ? pages.slice(0, -1) : pages;
      },
    }),
  },
  {
    name: 'each page repeats the last key of the page before',
    noticedBy: ['list() gives every key once with its size, over all pages'],
    plant: (driver) => {
      let last: ObjectInfo | undefined;
      return listingWith(driver, (objects) => {
        const repeated = last === undefined || objects.length < PAGE_OBJECTS ? objects : [last, ...objects];
        last = objects.at(-1);
        return repeated;
      });
    },
  },
  {
    name: 'listings ascend by UTF-16 units',
    noticedBy: ['list() ascends by the UTF-8 bytes of whole keys'],
    plant: (driver) => ({
      async *list(ctx, query) {
        const pages = await pagesOf(driver, ctx, query);
        const objects = pages.flatMap((page) => page.objects);
        const prefixes = pages.flatMap((page) => page.prefixes);
        objects.sort((left, right) => (left.key < right.key ? -1 : 1));
        if (objects.length + prefixes.length > 0) yield { objects, prefixes };
      },
    }),
  },
  {
    name: 'a folder is listed before its siblings whose names go on behind it',
    noticedBy: ['list() ascends by the UTF-8 bytes of whole keys'],
    plant: (driver) => ({
      async *list(ctx, query) {
        const objects = (await pagesOf(driver, ctx, query)).flatMap((page) => page.objects);
        const rank = (key: string) => key.replaceAll('/', '\0');
        if (query.delimiter !== undefined) yield* driver.list(ctx, query);
        else if (objects.length > 0) {
          objects.sort((left, right) =>
            Buffer.compare(Buffer.from(rank(left.key)), Buffer.from(rank(right.key))),
          );
          yield { objects, prefixes: [] };
        }
      },
    }),
  },
  {
    name: 'after is inclusive',
    noticedBy: [
      'list() with after leaves out that key and all before it, whether it exists or not',
      'list() from the last key of any page goes on without a gap or a repetition',
    ],
    plant: (driver) => ({
      async *list(ctx, query) {
        if (query.after === undefined) return yield* driver.list(ctx, query);
        const there = await driver.stat(ctx, query.after).catch(() => undefined);
        const isAsked = there?.key.startsWith(query.prefix) === true;
        if (there !== undefined && isAsked) yield { objects: [there], prefixes: [] };
        return yield* driver.list(ctx, query);
      },
    }),
  },
  {
    name: 'after is ignored',
    noticedBy: ['list() with after leaves out that key and all before it, whether it exists or not'],
    plant: (driver) => ({ list: (ctx, { after: _ignored, ...query }) => driver.list(ctx, query) }),
  },
  {
    name: 'a prefix is taken as a folder',
    noticedBy: ['list() takes prefixes that end in the middle of a name, and prefixes that are a key'],
    plant: (driver) =>
      listingWith(driver, (objects, { prefix }) => {
        const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
        return objects.filter(({ key }) => key === prefix || key.startsWith(folder));
      }),
  },
  {
    name: 'the delimiter is ignored',
    noticedBy: ['list() with a delimiter gives every group once, over all pages'],
    plant: (driver) => ({ list: (ctx, { delimiter: _ignored, ...query }) => driver.list(ctx, query) }),
  },
  {
    name: 'sizes in listings are wrong',
    noticedBy: ['list() gives every key once with its size, over all pages'],
    plant: (driver) =>
      listingWith(driver, (objects) =>
        objects.map((object) => ({ ...object, sizeBytes: object.sizeBytes + 1 })),
      ),
  },
  {
    name: 'sizes in listings are 0, as those of segmented objects in Swift',
    noticedBy: ['list() gives the size and, where it has one, the MD5 of what was last written'],
    plant: (driver) =>
      listingWith(driver, (objects) => objects.map((object) => ({ ...object, sizeBytes: 0 }))),
  },
  {
    name: 'keys are listed as they are in a URL',
    noticedBy: ['odd keys are kept as they are'],
    plant: (driver) =>
      listingWith(driver, (objects) => objects.map((object) => ({ ...object, key: encodeURI(object.key) }))),
  },
  {
    name: 'keys are normalised',
    noticedBy: ['odd keys are kept as they are'],
    plant: (driver) => ({
      write: (ctx, key, body, options) => driver.write(ctx, key.normalize('NFC'), body, options),
    }),
  },
];
