import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeSampleRegistry } from '../../../bench/demo/sample-images.ts';
import { runCommand } from '../../support/process.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { isUnfinishedUpload, readTree, totalBytes, without } from '../../support/tree.ts';

const DEMO = fileURLToPath(new URL('../../../bench/demo/demo.ts', import.meta.url));
const V2 = 'docker/registry/v2/';

interface Manifest {
  readonly config?: { readonly digest: string; readonly size: number };
  readonly layers?: readonly { readonly digest: string; readonly size: number }[];
  readonly manifests?: readonly { readonly digest: string; readonly size: number }[];
}

describe('makeSampleRegistry()', () => {
  it('makes a registry in which every digest is true and every name leads to bytes', async (t) => {
    const root = await tempFolderFor(t, 'sample');
    const sample = await makeSampleRegistry(root);
    const tree = await readTree(root);
    const registry = without(tree, isUnfinishedUpload);
    const { objects, bytes, uploadFiles } = sample.counts;
    assert.equal(registry.size, objects.blob + objects.link + objects.tag);
    assert.equal(totalBytes(registry), bytes);
    assert.equal(tree.size - registry.size, uploadFiles);
    assert.ok(bytes > 50e6 && bytes < 80e6, `${bytes} bytes`);
    const blobOf = (digest: string) => {
      const hex = digest.replace('sha256:', '');
      return registry.get(`${V2}blobs/sha256/${hex.slice(0, 2)}/${hex}/data`);
    };
    let manifests = 0;
    for (const [path, { sha256 }] of registry) {
      if (path.startsWith(`${V2}blobs/`)) assert.equal(path.split('/')[6], sha256);
      if (!path.endsWith('/link')) continue;
      const text = await readFile(join(root, path), 'utf8');
      assert.ok(blobOf(text), `${path} leads nowhere`);
      if (!path.includes('/current/')) assert.ok(path.includes(text.replace(':', '/')), path);
      if (!path.includes('/revisions/')) continue;
      manifests += 1;
      const { hex } = { hex: text.slice('sha256:'.length) };
      const file = join(root, V2, 'blobs', 'sha256', hex.slice(0, 2), hex, 'data');
      const manifest: Manifest = JSON.parse(await readFile(file, 'utf8'));
      const named = [manifest.config, ...(manifest.layers ?? []), ...(manifest.manifests ?? [])];
      for (const one of named.filter((descriptor) => descriptor !== undefined)) {
        assert.equal(blobOf(one.digest)?.sizeBytes, one.size);
      }
    }
    assert.ok(manifests >= sample.images);
  });
});

describe('npm run demo', () => {
  it('succeeds without any environment, and leaves nothing behind', async (t) => {
    const temporary = await tempFolderFor(t, 'demo-tmp');
    const env = { PATH: process.env['PATH'], TMPDIR: temporary, HOME: '/nonexistent', AWS_PROFILE: 'nobody' };
    const { code, stdout, stderr } = await runCommand(process.execPath, [DEMO], { env });
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /✓ Copied \d+ objects/);
    assert.match(stdout, /✓ Nothing to copy/);
    assert.match(stdout, /✓ Equal: \d+ objects/);
    assert.match(stdout, /wrong-content: 1 object holds other bytes/);
    assert.match(stdout, /✓ Everything went as it should/);
    assert.deepEqual(await readdir(temporary), []);
  });
});
