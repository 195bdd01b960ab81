import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { freePort, isPortTaken, listensOn, onFreePorts } from '../../support/ports.ts';
import { mustRun } from '../../support/process.ts';

const PORTS = new URL('../../support/ports.ts', import.meta.url).href;
const NO_PROC = process.platform === 'linux' ? false : 'it is Linux that tells';

describe('freePort()', () => {
  it('gives a port to one process alone, and only once', { skip: NO_PROC }, async () => {
    const port = await freePort();
    await assert.rejects(freePort(port, port + 1), /^Error: No free port/);
    const script = `import { freePort } from ${JSON.stringify(PORTS)};
      await freePort(${port}, ${port + 1}).then(() => console.log('given twice'), String).then(console.log)`;
    const { stdout } = await mustRun(process.execPath, ['--input-type=module-typescript', '-e', script]);
    assert.match(stdout, /^Error: No free port/);
  });
});

describe('listensOn()', () => {
  it('knows whose port it is', { skip: NO_PROC }, async () => {
    const server = createServer();
    const port = await freePort();
    assert.equal(listensOn(process.pid, port), false);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    assert.equal(listensOn(process.pid, port), true);
    assert.equal(listensOn(process.ppid, port), false);
    await new Promise((resolve) => server.close(resolve));
    assert.equal(listensOn(process.pid, port), false);
  });
});

describe('onFreePorts()', () => {
  // As each of the servers was seen to say it.
  const taken = [
    'listen tcp 127.0.0.1:20000: bind: address already in use',
    'Error: listen EADDRINUSE: address already in use 127.0.0.1:20000',
    'failed to listen on TCP port 20000: Address already in use',
    'Exception: Could not bind to 127.0.0.1:20000 after trying for 1 seconds',
    'unable to bind to v2:127.0.0.1:20000/0: (98) Address already in use',
  ];

  for (const text of taken) {
    it(`tries again after "${text}"`, async () => {
      const attempts: number[] = [];
      const started = await onFreePorts(async (attempt) => {
        attempts.push(attempt);
        if (attempt < 3) throw new Error(text);
        return 'a server';
      });
      assert.deepEqual([started, attempts], ['a server', [1, 2, 3]]);
    });
  }

  it('gives up in the end, and at once where it is no port that is missing', async () => {
    let attempts = 0;
    const start = (text: string) => async (): Promise<never> => {
      attempts += 1;
      throw new Error(text);
    };
    await assert.rejects(onFreePorts(start('listen EADDRINUSE')), /EADDRINUSE/);
    assert.equal(attempts, 4);
    await assert.rejects(onFreePorts(start('no space left on device')), /no space/);
    assert.equal(attempts, 5);
    assert.ok(!isPortTaken('it ended with 1'));
  });
});
