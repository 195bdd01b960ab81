/**
 * Names and sizes at the edge of what services hold: from one of them into each and back, byte for byte the same. What a
 * target cannot hold is refused by name, and nothing else suffers. Objects of more than 5 GiB and whole repositories of
 * 10,500 manifests are in `npm run campaign -- large-…` and `many-…`, the code of which is tried here with fewer.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runLarge } from '../campaign/extremes/large.ts';
import { runMany } from '../campaign/extremes/many.ts';
import { makePlace, type Place, SERVICES } from '../campaign/extremes/places.ts';
import { type CliEvent, type CliResult, runBlobferry } from '../support/cli.ts';
import {
  type FiveServices,
  type Kind,
  missingServices,
  startFiveServices,
} from '../support/five-services.ts';
import { fillStore, folderStore, readStore } from '../support/object-store.ts';
import { fieldsOf, summaryOf } from '../support/run-checks.ts';
import { seededBytes } from '../support/seeded.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { compareTrees, type Tree, without } from '../support/tree.ts';

/** What an escape too many or too few, a normalisation or a pattern would change. */
const ODD_NAMES = [
  'a b',
  'a+b',
  'a%b',
  'a%20b',
  'a%2Fb',
  '100%',
  'a?b',
  'a#b',
  'a&b',
  'a;b',
  'a=b',
  'a*b',
  'a~b',
  'a,b:c@d$e!f',
  '<a>"b\'`',
  '(a)[b]{c}|^',
  'trailing ',
  ' leading',
  'in /side',
  '-',
  '日本語',
  'caf\u00e9',
  'cafe\u0301',
  '\u{1f600}',
  '\u{1f468}\u200d\u{1f469}',
  '\u{10fffd}',
  '\ufffd',
  'ordinary',
].map((name) => `odd/${name}`);

/** Of exactly so many bytes, in folders that every file system holds. */
function longName(bytes: number): string {
  return 'long/'.padEnd(bytes, `${'n'.repeat(199)}/`).replace(/\/$/, 'n');
}

/** Held by object stores: no folders lie behind them. */
const FLAT_NAMES = ['flat//two', 'folder/'];
const BACKSLASH = 'azure/back\\slash';
const DOT = 'azure/dot.';
const DOT_FOLDER = 'azure/folder./x';
const WIDE = `wide/${'w'.repeat(256)}`;
const BREAK = 'gcs/line\nbreak';

const ALL_NAMES = [
  ...ODD_NAMES,
  longName(1_018),
  longName(1_024),
  ...FLAT_NAMES,
  BACKSLASH,
  DOT,
  DOT_FOLDER,
  WIDE,
  BREAK,
];

/** What each kind refuses of them, and the words it does so in. */
const REFUSED: Readonly<Record<Kind, readonly (readonly [name: string, why: RegExp])[]>> = {
  s3: [],
  azure: [
    [BACKSLASH, /a backslash in it, which Azure takes for a slash/],
    [DOT, /ends with a dot, which Azure does not keep/],
    [DOT_FOLDER, /ends with a dot, which Azure does not keep/],
    [BREAK, /a control character/],
  ],
  gcs: [[BREAK, /a line break in it/]],
  // Behind `files/` it has 1,030 bytes.
  swift: [[longName(1_024), /1030 bytes, Swift takes 1 to 1024/]],
  filesystem: [
    ['flat//two', /holds "\/\/"/],
    ['folder/', /names a folder/],
    [WIDE, /more than 255 bytes/],
  ],
};

describe('names and sizes at the edge', { skip: missingServices() }, () => {
  let folder: TempFolder;
  let services: FiveServices;
  let source: Place;
  let written: Tree;

  before(async () => {
    folder = await makeTempFolder('extremes');
    await mkdir(join(folder.path, 'servers'));
    services = await startFiveServices(join(folder.path, 'servers'));
    source = await makePlace(services, 's3', folder.path, 'source');
    // Every third is empty: objects of no bytes go every way as well.
    await fillStore(
      source.store,
      ALL_NAMES.map((name, at) => [name, seededBytes('odd', name, at % 3 === 0 ? 0 : 10 + at)]),
    );
    written = await readStore(source.store, '');
    assert.deepEqual([...written.keys()].sort(), [...ALL_NAMES].sort());
    assert.ok([...written.values()].filter(({ sizeBytes }) => sizeBytes === 0).length > 10);
  });

  after(async () => {
    await services?.stop();
    await folder?.remove();
  });

  const copy = (from: string, to: string): Promise<CliResult> =>
    runBlobferry(['copy', '--layout', 'raw', '--from', from, '--to', to, '--json'], { env: services.env });

  /** Each refused name is an exception with the reason, and nothing else is. */
  function assertRefused(summary: CliEvent, refused: (typeof REFUSED)[Kind]): void {
    const exceptions = summary['exceptions'] as readonly {
      readonly path: string;
      readonly error: { readonly message: string };
    }[];
    const paths = exceptions.map(({ path }) => path).sort();
    assert.deepEqual(paths, refused.map(([name]) => name).sort());
    for (const [name, why] of refused) {
      const { error } = exceptions.find(({ path }) => path === name) ?? assert.fail(name);
      assert.match(error.message, why);
    }
  }

  describe('names', { concurrency: 2 }, () => {
    for (const kind of [...SERVICES, 'filesystem'] as const) {
      it(`go from S3 to ${kind} and back, as they are`, async () => {
        const root = join(folder.path, 'there');
        if (kind === 'filesystem') await mkdir(root);
        const place: Place =
          kind === 'filesystem'
            ? { settings: `file://${root}`, store: folderStore(root), prefix: '' }
            : await makePlace(services, kind, folder.path, 'there');
        const refused = REFUSED[kind];
        const result = await copy(source.settings, place.settings);
        const summary = summaryOf(result, refused.length === 0 ? 0 : 1);
        const lost = new Set(refused.map(([name]) => name));
        const kept = without(written, (name) => lost.has(name));
        assertRefused(summary, refused);
        assert.equal(summary['objectsCopied'], kept.size);
        assert.deepEqual(compareTrees(kept, await readStore(place.store, place.prefix)), []);

        const back = await makePlace(services, 's3', folder.path, `back-from-${kind}`);
        const home = summaryOf(await copy(place.settings, back.settings), 0);
        const whole = { objectsCopied: kept.size, objectsFailed: 0, exceptions: [] };
        assert.deepEqual(fieldsOf(home, whole), whole);
        assert.deepEqual(compareTrees(kept, await readStore(back.store, '')), []);
        const again = summaryOf(await copy(place.settings, back.settings), 0);
        assert.equal(again['objectsCopied'], 0);
      });
    }
  });

  describe('sizes', { concurrency: 2 }, () => {
    for (const service of SERVICES) {
      it(`a sparse object of many parts and pages of names come through ${service}`, async () => {
        const large = await runLarge(services, {
          service,
          folder: folder.path,
          sizeBytes: 20 * 1024 ** 2 + 1,
          seed: 'slice',
        });
        assert.deepEqual(large.problems, []);
        const many = await runMany(services, { service, folder: folder.path, entries: 150 });
        assert.deepEqual(many.problems, []);
      });
    }
  });
});
