/**
 * People push, move tags and delete tags and a whole repository while `migrate` copies: in the middle of each live pass,
 * right behind each, and up to the moment at which the registry is made read-only. All of it in one run of the program.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isUnknown, pullAll } from '../support/image-pull.ts';
import { pushImages, setTag } from '../support/image-push.ts';
import { buildImages, type ImageSet, type TestImage } from '../support/images.ts';
import {
  type Gate,
  type MigrateWorld,
  startMigrateWorld,
  type WorldCall,
} from '../support/msr/migrate-world.ts';
import { readStore } from '../support/object-store.ts';
import type { RegistryStorage } from '../support/registry.ts';
import { type Swift, startSwift } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { compareTrees, readTree, type Tree } from '../support/tree.ts';

const GC = { action: 'onlinegc', schedule: '0 0 1 * * 0', retries: 2, deadline: '30m', stopTimeout: '30s' };
const PASSES = 3;

/** Where in the run something happens: while the program waits for the answer to one of its own calls. */
type Moment = `in pass ${number}` | `behind pass ${number}` | 'before read-only' | 'in the final pass';

/** Tells passes by what they do: each writes objects, and then reads back what it wrote. */
class Moments implements Gate {
  readonly come: Moment[] = [];
  readonly #onMoment: (moment: Moment) => Promise<void>;
  #pass = 0;
  #isReadingBack = true;
  #isReadOnly = false;
  #work: Promise<void> = Promise.resolve();

  constructor(onMoment: (moment: Moment) => Promise<void>) {
    this.#onMoment = onMoment;
  }

  async asked({ to, call }: WorldCall): Promise<boolean> {
    const moment = to === 's3' ? this.#passAt(call) : to === 'msr' ? this.#switch(call) : undefined;
    if (moment !== undefined) {
      this.come.push(moment);
      this.#work = this.#work.then(() => this.#onMoment(moment));
    }
    // Whatever else the program asks meanwhile goes on.
    if (moment !== undefined) await this.#work;
    return true;
  }

  async answered(): Promise<boolean> {
    return true;
  }

  #switch(call: string): Moment | undefined {
    if (call !== 'POST /api/v0/meta/settings' || this.#isReadOnly) return undefined;
    this.#isReadOnly = true;
    return 'before read-only';
  }

  #passAt(call: string): Moment | undefined {
    const [method = '', url = ''] = call.split(' ');
    if (!url.startsWith('/registry/msr/docker/registry/v2/')) return undefined;
    if (method === 'PUT' && this.#isReadingBack) {
      this.#isReadingBack = false;
      this.#pass += 1;
      return this.#isReadOnly ? 'in the final pass' : `in pass ${this.#pass}`;
    }
    if (method !== 'GET' || this.#isReadingBack) return undefined;
    this.#isReadingBack = true;
    return this.#isReadOnly ? undefined : `behind pass ${this.#pass}`;
  }
}

describe('blobferry migrate, while people push', {
  skip: missingTools('registry', 'skopeo', 'swift'),
}, () => {
  let folder: TempFolder;
  let images: ImageSet;
  let swift: Swift;

  before(async () => {
    folder = await makeTempFolder('migrate-pushes');
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'pushes',
      repositories: ['team/app', 'team/gone'],
      imagesPerRepository: 14,
      layerBytes: [200],
      largestLayerBytes: 30_000,
    });
    swift = await startSwift({ directory: join(folder.path, 'swift') });
  });

  after(async () => {
    await swift?.stop();
    await folder?.remove();
  });

  /** What the registry holds, and what is done to it at each moment. */
  function people(world: () => MigrateWorld) {
    const app = images.images.filter(({ repository }) => repository === 'team/app');
    const gone = images.images.filter(({ repository }) => repository === 'team/gone').slice(0, 2);
    const held = new Map<string, TestImage>();
    const deleted: string[] = [];
    const nameOf = ({ repository, tag }: TestImage): string => `${repository}:${tag}`;
    const push = async (...pushed: readonly TestImage[]): Promise<void> => {
      await pushImages({ ...images, images: pushed }, world().msr.host);
      for (const image of pushed) held.set(nameOf(image), image);
    };
    const pushNext = async (): Promise<void> => push(...app.splice(0, 1));
    const retag = async (): Promise<void> => {
      const [last] = [...held.values()].filter(({ repository }) => repository === 'team/app').slice(-1);
      assert.ok(last);
      await setTag(images, world().msr.host, { ...last, tag: 'moves' });
      held.set('team/app:moves', { ...last, tag: 'moves' });
    };
    const remove = async (path: string, names: readonly string[]): Promise<void> => {
      const headers = { authorization: `Basic ${Buffer.from('admin:admin-password').toString('base64')}` };
      const url = `${world().msr.url}/api/v0/repositories/${path}`;
      assert.equal((await fetch(url, { method: 'DELETE', headers })).status, 204);
      for (const name of names) held.delete(name);
      deleted.push(...names);
    };
    const removeTag = async (): Promise<void> => {
      const [image] = [...held.values()].filter(
        ({ repository, tag }) => repository === 'team/app' && tag !== 'moves',
      );
      assert.ok(image);
      await remove(`team/app/tags/${image.tag}`, [nameOf(image)]);
    };
    const begin = async (): Promise<void> => {
      await push(...gone, ...app.splice(0, 3));
      await retag();
    };
    const at: Readonly<Partial<Record<Moment, () => Promise<void>>>> = {
      'in pass 1': async () => {
        await pushNext();
        await retag();
      },
      'behind pass 1': async () => {
        await pushNext();
        await removeTag();
      },
      'in pass 2': async () => {
        await pushNext();
        await remove('team/gone', gone.map(nameOf));
      },
      'behind pass 2': pushNext,
      'in pass 3': async () => {
        await pushNext();
        await removeTag();
      },
      'behind pass 3': async () => {
        await pushNext();
        await retag();
      },
      'before read-only': pushNext,
      'in the final pass': async () => {
        const [late] = app;
        assert.ok(late);
        await assert.rejects(pushImages({ ...images, images: [late] }, world().msr.host));
      },
    };
    return { held, deleted, begin, at };
  }

  interface Source {
    readonly storage?: RegistryStorage;
    tree(world: MigrateWorld): Promise<Tree>;
  }

  const SOURCES: Readonly<Record<string, (name: string) => Promise<Source>>> = {
    'a folder': async () => ({ tree: ({ storage }) => readTree(storage) }),
    Swift: async (name) => {
      const container = await new SwiftContainer(swift, name).create();
      const storage = { swift: { ...swift, container: name, prefix: 'msr' } };
      return { storage, tree: () => readStore(container, 'msr/files/') };
    },
  };

  for (const procedure of ['restore', 'reconfigure'] as const) {
    for (const [from, openSource] of Object.entries(SOURCES)) {
      it(`moves whatever was pushed, from ${from}: procedure ${procedure}`, async (t) => {
        const source = await openSource(`pushes-${procedure}`);
        let world: MigrateWorld | undefined;
        const there = (): MigrateWorld => world ?? assert.fail('The world has not begun');
        const { held, deleted, begin, at } = people(there);
        let old: Tree = new Map();
        const moments = new Moments(async (moment) => {
          const change = at[moment] ?? assert.fail(`Nobody expected ${moment}`);
          await change();
          if (moment === 'before read-only') old = await source.tree(there());
        });
        world = await startMigrateWorld({
          procedure,
          ...(source.storage ? { source: source.storage } : {}),
          more: [`passes: ${PASSES}`],
          msr: { replicas: 2 },
          gate: moments,
        });
        const { msr, bucket } = world;
        t.after(() => there().stop());
        msr.state.crons.set('onlinegc', { id: 'cron-1', ...GC });
        await begin();
        const pushedBefore = msr.called.length;
        const done = await world.migrate(['--yes', '--yes-forward']);
        assert.equal(done.code, 0, `${done.stdout}\n${done.stderr}`);

        assert.deepEqual(
          moments.come,
          Object.keys(at),
          'everything happened while a pass ran or right behind it',
        );
        assert.deepEqual((await pullAll(msr.host, [...held.values()])).problems, []);
        assert.equal(deleted.length, 4);
        for (const name of deleted) assert.ok(await isUnknown(msr.host, name), `${name} is there`);
        assert.deepEqual(['s3' in msr.state.section, msr.state.isReadOnly], [true, false]);
        const cron = msr.state.crons.get('onlinegc');
        assert.deepEqual({ ...cron, ...GC }, cron);
        assert.deepEqual(await source.tree(world), old, 'the old storage is as it was when it was left');
        assert.deepEqual(compareTrees(old, await bucket.readTree('msr/')), []);
        assert.deepEqual(orderOf(msr.calls.slice(pushedBefore)), [
          // Is there such an image?
          'docker run backup',
          'DELETE crons',
          'docker run backup',
          'people',
          'POST /api/v0/meta/settings true',
          'docker run backup',
          ...(procedure === 'restore' ? ['docker run destroy', 'docker run restore'] : []),
          'PUT /api/v0/admin/settings/registry',
          'POST /api/v0/meta/settings false',
          ...(procedure === 'restore' ? ['POST /api/v0/jobs'] : []),
          'POST /api/v0/crons',
        ]);
      });
    }
  }
});

/** What changed something, in its order; the same ones after each other once. */
function orderOf(calls: MigrateWorld['msr']['calls']): readonly string[] {
  const changes = calls.flatMap(({ call, status, json }) => {
    if (/^(PUT \/v2\/.*\/manifests\/|DELETE \/api\/v0\/repositories\/)/.test(call)) {
      return status < 300 ? ['people'] : [];
    }
    if (call.startsWith('DELETE /api/v0/crons/')) return ['DELETE crons'];
    if (call === 'POST /api/v0/meta/settings') return [`${call} ${json?.['readOnlyRegistry']}`];
    return /^((POST|PUT|DELETE) \/api|docker run)/.test(call) ? [call] : [];
  });
  return changes.filter((change, at) => change !== changes[at - 1]);
}
