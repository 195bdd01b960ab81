import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../support/ports.ts';
import { cleanEnvironment, mustRun, runCommand, startServer } from '../../support/process.ts';
import { tempFolderFor } from '../../support/temp.ts';

const NODE = process.execPath;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('runCommand()', () => {
  it('keeps both streams and the exit code', async () => {
    const script = 'console.log("out"); console.error("err"); process.exitCode = 7;';
    const { code, stdout, stderr } = await runCommand(NODE, ['-e', script]);
    assert.deepEqual({ code, stdout, stderr }, { code: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  it('ends a command that takes too long', async () => {
    const late = runCommand(NODE, ['-e', 'setInterval(() => {}, 1000)'], { timeoutMs: 300 });
    await assert.rejects(late, /did not end within 300 ms/);
  });

  it('passes no credentials on', async (t) => {
    process.env['AWS_CA_BUNDLE'] = '/some/bundle';
    process.env['AWS_SECRET_ACCESS_KEY'] = 'secret';
    t.after(() => {
      delete process.env['AWS_CA_BUNDLE'];
      delete process.env['AWS_SECRET_ACCESS_KEY'];
    });
    const script = 'console.log(Object.keys(process.env).filter((name) => name.startsWith("AWS_")).join())';
    assert.equal((await mustRun(NODE, ['-e', script])).stdout, '\n');
    const env = cleanEnvironment({ AWS_REGION: 'here' });
    assert.equal((await mustRun(NODE, ['-e', script], { env })).stdout, 'AWS_REGION\n');
  });

  it('says which command cannot be started', async () => {
    await assert.rejects(mustRun('/nowhere/tool', ['x']), /nowhere\/tool/);
  });
});

describe('startServer()', () => {
  it('resolves when the server answers and ends it for good', async () => {
    const port = await freePort();
    const script = `require("http").createServer((q, r) => r.end("hi")).listen(${port}, "127.0.0.1")`;
    const server = await startServer({
      command: NODE,
      args: ['-e', script],
      isReady: async (signal) => (await fetch(`http://127.0.0.1:${port}/`, { signal })).ok,
    });
    assert.ok(isAlive(server.pid));
    await server.stop();
    assert.ok(!isAlive(server.pid));
    await server.stop();
  });

  it('ends a server that ignores SIGTERM', async (t) => {
    const file = join(await tempFolderFor(t), 'up');
    const script = `process.on("SIGTERM", () => {}); setInterval(() => {}, 1000);
      require("fs").writeFileSync(${JSON.stringify(file)}, "")`;
    const server = await startServer({
      command: NODE,
      args: ['-e', script],
      endsWithinMs: 200,
      isReady: async () => (await readFile(file, 'utf8')) === '',
    });
    await server.stop();
    assert.ok(!isAlive(server.pid));
  });

  it('rejects with the output of a server that ends by itself', async () => {
    const options = { command: NODE, args: ['-e', 'console.error("no disk"); process.exit(3)'] };
    await assert.rejects(startServer({ ...options, isReady: async () => false }), /ended with 3\nno disk/);
  });

  it('takes nobody else for the server who answers on its port', async (t) => {
    if (process.platform !== 'linux') return t.skip('it is Linux that tells');
    const other = createServer((_, response) => response.end('somebody else'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    t.after(() => other.close());
    const { port } = other.address() as AddressInfo;
    const starting = startServer({
      command: NODE,
      args: ['-e', 'setInterval(() => {}, 1000)'],
      port,
      isReady: async (signal) => (await fetch(`http://127.0.0.1:${port}/`, { signal })).ok,
    });
    await assert.rejects(starting, /address already in use: somebody else answers on port/);
  });

  it('rejects when the server never gets ready, and ends it', async (t) => {
    const file = join(await tempFolderFor(t), 'pid');
    // A shell is there at once, even where Node takes a second to start.
    const options = { command: 'sh', args: ['-c', `echo $$ >${file}; exec sleep 600`], readyWithinMs: 2_000 };
    await assert.rejects(startServer({ ...options, isReady: async () => false }), /no answer within 2000 ms/);
    const pid = Number(await readFile(file, 'utf8'));
    assert.ok(pid > 1 && !isAlive(pid));
  });

  it('leaves no server behind when the process that started it is killed hard', async (t) => {
    if (process.platform !== 'linux') return t.skip('the kernel of Linux is asked to see to it');
    const folder = await tempFolderFor(t);
    const support = new URL('../../support/process.ts', import.meta.url).href;
    const script = `import { startServer } from ${JSON.stringify(support)};
      const args = ['-e', 'setInterval(() => {}, 1000)'];
      const server = await startServer({ command: process.execPath, args, isReady: async () => true });
      console.log(server.pid);
      process.kill(process.pid, 'SIGKILL');`;
    await writeFile(join(folder, 'parent.ts'), script);
    const { stdout, signal } = await runCommand(NODE, [join(folder, 'parent.ts')]);
    assert.equal(signal, 'SIGKILL');
    const pid = Number(stdout);
    assert.ok(pid > 1);
    // The kernel ends it at once, but its last moments may outlast those of the pipe; the limit is that of the test.
    const isGone = async (): Promise<boolean> => {
      const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone');
      return /^gone$|\) Z /.test(state);
    };
    while (!(await isGone())) await delay(10, undefined, { signal: t.signal });
  });
});
