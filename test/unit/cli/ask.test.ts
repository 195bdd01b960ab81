import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { Asker } from '../../../src/cli/ask.ts';
import { Output } from '../../../src/cli/output.ts';

function asking(answers: string | undefined) {
  const stderr = new PassThrough();
  const stdin = new PassThrough();
  if (answers !== undefined) stdin.end(answers);
  const host = { stdout: new PassThrough(), stderr, env: {}, stdin };
  let said = '';
  stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  return { asker: new Asker(stdin, new Output(host)), said: () => said };
}

const { signal } = new AbortController();

describe('a question', () => {
  it('is shown behind its lines, and answered line by line', async () => {
    const { asker, said } = asking('yes\n no \nDone\ny\nyes please\n');
    const answers: boolean[] = [];
    for (let asked = 0; asked < 6; asked += 1) {
      answers.push(await asker.agrees(['docker run x'], 'Is it done?', signal));
    }
    // The last one finds the end of the input.
    assert.deepEqual(answers, [true, false, true, true, false, false]);
    assert.ok(said().startsWith('docker run x\nIs it done? [yes/no]\n'));
    asker.close();
  });

  it('is a no where nobody can be asked, and ends with the command', async () => {
    const output = new Output({ stdout: new PassThrough(), stderr: new PassThrough(), env: {} });
    assert.equal(await new Asker(undefined, output).agrees([], 'Go on?', signal), false);
    const { asker } = asking(undefined);
    const stop = new AbortController();
    const answer = asker.agrees([], 'Go on?', stop.signal);
    stop.abort(new Error('stopped'));
    await assert.rejects(answer, /^Error: stopped$/);
    asker.close();
  });
});
