/** Results that nobody could take: the exit code tells, and stderr where that is news. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runBlobferry } from '../support/cli.ts';
import { copy } from '../support/error-tests.ts';
import { treeUrl } from '../support/error-world.ts';
import { tempFolderFor } from '../support/temp.ts';

const ONTO_A_FULL_DISK = ['bash', '-c', '"$@" > /dev/full', 'bash'];
/** The reader is gone long before anything is written. */
const INTO_A_CLOSED_PIPE = ['bash', '-c', '"$@" | true; exit "$PIPESTATUS"', 'bash'];

describe('blobferry whose stdout', () => {
  for (const more of [['--json'], []]) {
    const how = more.length > 0 ? 'lines of JSON' : 'words';
    it(`is a full disk copies all, says that its ${how} were lost, and exits with 1`, async (t) => {
      const [from, folder] = [await treeUrl(t), await tempFolderFor(t, 'full')];
      const result = await copy(t, from, `file://${folder}`, { more, through: ONTO_A_FULL_DISK });
      assert.match(result.stderr, /stdout took not all of the results: .*ENOSPC/);
      assert.equal(result.code, 1, result.stderr);
      const verified = await runBlobferry(['verify', '--from', from, '--to', `file://${folder}`]);
      assert.equal(verified.code, 0, verified.stdout);
    });

    it(`is a closed pipe says nothing about its ${how} and exits with 1`, async (t) => {
      const folder = await tempFolderFor(t, 'pipe');
      const to = `file://${folder}`;
      const result = await copy(t, await treeUrl(t), to, { more, through: INTO_A_CLOSED_PIPE });
      assert.doesNotMatch(result.stderr, /stdout|EPIPE/);
      assert.equal(result.code, 1, result.stderr);
    });
  }

  it('is a full disk exits with what else went wrong, if anything did', async () => {
    const args = ['verify', '--json', '--from', '/nonexistent.yml', '--to', 'file:///tmp'];
    const result = await runBlobferry(args, { through: ONTO_A_FULL_DISK });
    assert.match(result.stderr, /there is no such file/);
    assert.match(result.stderr, /stdout took not all/);
    assert.equal(result.code, 2);
  });

  it('is a full disk cannot show help either', async () => {
    assert.equal((await runBlobferry(['--help'], { through: ONTO_A_FULL_DISK })).code, 1);
  });
});
