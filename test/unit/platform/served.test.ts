/** Is the source the folder that MSR uses? What MSR serves is looked for in it by its content. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { blobPathOf } from '../../../src/layout/msr.ts';
import type { WantedFound } from '../../../src/platform/engine-port.ts';
import { MsrConnection } from '../../../src/platform/msr/msr-connection.ts';
import {
  type Served,
  type ServedBlob,
  servedBy,
  servedFindings,
} from '../../../src/platform/preflight/served.ts';
import { callWith, openEngineWorld } from '../../support/engine-world.ts';
import { seededUuid, sha256Hex } from '../../support/seeded.ts';

const { signal } = new AbortController();
const NOTHING: WantedFound = { found: [], absent: [], unsure: [] };

const blobOf = (text: string): ServedBlob => ({
  repository: 'team/app',
  image: `team/app:${text}`,
  sha256: sha256Hex(Buffer.from(text)),
  sizeBytes: text.length,
});

/** Serves configurations by their text; a manifest for each, of which the tag is the text. */
async function registry(t: TestContext, repositories: Readonly<Record<string, readonly string[]>>) {
  const refused = new Set<string>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const [, name = '', kind = '', what = ''] =
      /^\/v2\/(.+)\/(tags|manifests|blobs)\/(.+)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    const texts = Object.values(repositories).flat();
    if (url.pathname === '/v2/_catalog') {
      response.end(JSON.stringify({ repositories: Object.keys(repositories) }));
    } else if (kind === 'tags') response.end(JSON.stringify({ tags: repositories[name] }));
    else if (kind === 'manifests') {
      const digest = `sha256:${sha256Hex(Buffer.from(what))}`;
      const layers = [{ digest: `sha256:${'0'.repeat(64)}`, size: 900_000 }];
      response.end(JSON.stringify({ config: { digest, size: what.length }, layers }));
    } else {
      const text = texts.find((one) => `sha256:${sha256Hex(Buffer.from(one))}` === what);
      if (text === undefined || refused.has(text)) response.writeHead(404).end();
      else response.end(text);
    }
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const msr = new MsrConnection({ url, username: 'admin', secret: 'admin-password', isInsecure: true });
  t.after(() => {
    msr.close();
    server.closeAllConnections();
    server.close();
  });
  return { served: servedBy(msr, { isInsecure: true, env: {} }), refused };
}

describe('what MSR serves', () => {
  it('is sampled by pulling one small blob of some images, each only if it comes', async (t) => {
    const { served, refused } = await registry(t, {
      'team/app': ['config one'],
      'team/db': ['config two'],
      'team/empty': [],
      'team/broken': ['config three'],
    });
    refused.add('config three');
    const { blobs, why } = await served.sample(signal);
    assert.deepEqual(blobs.map(({ image }) => image).sort(), ['team/app:config one', 'team/db:config two']);
    assert.deepEqual(
      blobs.map(({ sha256 }) => sha256).sort(),
      ['config one', 'config two'].map((text) => sha256Hex(Buffer.from(text))).sort(),
    );
    assert.match(why ?? '', /answered 404 for team\/broken blobs/);
    const [first] = blobs;
    assert.ok(first && (await served.isStill(first, signal)));
    refused.add('config one').add('config two');
    assert.equal(await served.isStill(first, signal), false);
  });

  const findings = async (blobs: readonly ServedBlob[], found: WantedFound, isStill = true) => {
    const served: Served = { sample: async () => ({ blobs }), isStill: async () => isStill };
    return await servedFindings({ served, sample: { blobs }, name: 'file:///old', found }, signal);
  };
  const [one, two] = [blobOf('one'), blobOf('two')];

  it('is a problem where the folder does not have it, unless it was deleted meanwhile', async () => {
    const found = { ...NOTHING, found: [one.sha256], absent: [two.sha256] };
    const [old] = await findings([one, two], found);
    assert.equal(old?.is, 'problem');
    assert.match(
      old.text,
      /^MSR serves 1 of 2 blobs that file:\/\/\/old does not have: sha256:\w{64} of team\/app:two$/,
    );
    assert.match(old.hint ?? '', /a copy or a snapshot of it is older/);
    assert.equal((await findings([one, two], found, false))[0]?.is, 'ok');
  });

  it('stays a note where there is nothing to be looked for, or nothing can be said for sure', async () => {
    const [none] = await findings([], NOTHING);
    assert.deepEqual([none?.is, /nobody but you can tell/.test(none?.text ?? '')], ['note', true]);
    const [unsure] = await findings([one], { ...NOTHING, unsure: [one.sha256] });
    assert.deepEqual([unsure?.is, /for sure$/.test(unsure?.text ?? '')], ['note', true]);
  });
});

describe('blobs that a survey is to look for', () => {
  it('are found by their digest in a path, and by their content where paths have ids', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 'fs' });
    const texts = ['one', 'six', 'a longer one'];
    await world.source.put(texts.map((text) => [blobPathOf(seededUuid('served', text)), text]));
    const wanted = ['one', 'two', 'a longer one', 'of no such size'].map(blobOf);
    const survey = await world.engine.survey(callWith(), undefined, wanted);
    const named = (of: readonly string[]) => of.map((text) => blobOf(text).sha256).sort();
    assert.equal(survey.layout, 'msr');
    assert.deepEqual([...(survey.wanted?.found ?? [])].sort(), named(['one', 'a longer one']));
    assert.deepEqual([...(survey.wanted?.absent ?? [])].sort(), named(['two', 'of no such size']));
    assert.deepEqual(survey.wanted?.unsure, []);
  });

  it('are found by path alone in a plain registry, where the size is right', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 'fs' });
    const path = (text: string): string => {
      const { sha256 } = blobOf(text);
      return `/docker/registry/v2/blobs/sha256/${sha256.slice(0, 2)}/${sha256}/data`;
    };
    const [whole, cut] = ['whole', 'cut short'];
    await world.source.put([
      [path(whole), whole],
      [path(cut), 'cut'],
    ]);
    const survey = await world.engine.survey(callWith(), undefined, [whole, cut].map(blobOf));
    assert.deepEqual(survey.wanted, {
      found: [blobOf(whole).sha256],
      absent: [blobOf(cut).sha256],
      unsure: [],
    });
  });
});
