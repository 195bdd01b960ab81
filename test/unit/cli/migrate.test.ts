/** `blobferry migrate` in this process, with folders and a person who is not there. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { runCli } from '../../../src/cli/run.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { sha256 } from '../verify/fake-store.ts';
import { fakeHost } from './fake-host.ts';

const BLOBS = 'docker/registry/v2/blobs/sha256';

describe('blobferry migrate', () => {
  it('shows how far a pass is, and of a run that goes on what is done already', async (t) => {
    const folder = await tempFolderFor(t, 'migrate');
    for (const content of ['first', 'second']) {
      const hex = sha256(content);
      const file = join(folder, 'old', BLOBS, hex.slice(0, 2), hex, 'data');
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
    await mkdir(join(folder, 'new'));
    const file = join(folder, 'move.yml');
    await writeFile(file, `source: file://${folder}/old\ntarget: file://${folder}/new\nplatform: none\n`);
    const run = async (...args: readonly string[]) => {
      const host = fakeHost({ isTTY: true });
      const code = await runCli(['migrate', file, ...args], host);
      return { code, stdout: host.stdout.text, stderr: host.stderr.text };
    };
    const first = await run('--yes', '--until', 'live');
    assert.equal(first.code, 0, first.stderr);
    assert.match(
      first.stdout,
      /^Ended behind "Copy while the registry lives, .*", as asked\nNothing was changed\. /,
    );
    assert.match(first.stderr, /listing {2}2 of 2 objects seen/);
    assert.match(first.stderr, /100 % {2}copying {2}2 of 2 objects seen/);
    assert.match(
      first.stderr,
      / {2}1 {2}preflight +Look at everything.*\n +changes nothing of the registry: Probes/,
    );
    const second = await run();
    assert.equal(second.code, 130);
    assert.match(second.stderr, /^ +done {2}preflight .*\n +done {2}live .*\n {12}window /m);
    assert.match(second.stdout, /^Not gone on with "Say how long/);
    const wrong = await run('--until', 'preflight', '--start-at', 'nope');
    assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
    assert.match(wrong.stderr, /--start-at names no step of this migration: "nope"/);
  });
});
