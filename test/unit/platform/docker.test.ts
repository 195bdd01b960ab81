/** Containers of MSR's bootstrapper, run by the stand-in's docker: found again, waited for, never begun twice. */
import assert from 'node:assert/strict';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import {
  ContainerError,
  type ContainerErrorKind,
  type ContainerSpec,
  containerName,
  listsFlag,
  shellCommand,
} from '../../../src/platform/container.ts';
import { Docker } from '../../../src/platform/docker.ts';
import {
  backupSpec,
  type DtrAccess,
  destroySpec,
  helpCommand,
  reconfigureSpec,
  restoreSpec,
} from '../../../src/platform/msr/dtr-commands.ts';
import { PrintedCommands } from '../../../src/platform/print-commands.ts';
import { readBackup } from '../../support/msr/backup.ts';
import { type Msr, startMsr } from '../../support/msr/msr.ts';
import { cleanEnvironment, runCommand } from '../../support/process.ts';
import { makeTempFolder, type TempFolder, tempFolderFor } from '../../support/temp.ts';

const REPLICA = 'f1e2d3c4b5a0';
const PASSWORD = 'mke-password';
const ACCESS: DtrAccess = {
  image: 'mirantis/dtr:2.9.18',
  replicaId: REPLICA,
  mke: {
    url: 'https://mke.example.com',
    username: 'admin',
    secretEnv: 'OPERATORS_PW',
    trust: { by: 'nobody' },
  },
};
const LONG = { msMax: 300_000 };
const NEVER = new AbortController().signal;

function isKind(kind: ContainerErrorKind, expected: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof ContainerError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(`${error.message}; ${error.hint}`, expected);
    assert.doesNotMatch(JSON.stringify([error.message, error.hint, error.log]), new RegExp(PASSWORD));
    return true;
  };
}

/** A docker that does this. */
async function scripted(t: TestContext, script: string, SECRET = ''): Promise<Docker> {
  const bin = await tempFolderFor(t, 'docker-bin');
  await writeFile(join(bin, 'docker'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const env = { PATH: `${bin}:${process.env['PATH']}`, SECRET };
  return new Docker({ env, secrets: SECRET === '' ? [] : [SECRET] });
}

describe('Docker', () => {
  let folder: TempFolder;
  let msr: Msr;
  let docker: Docker;
  let runs = 0;

  before(async () => {
    folder = await makeTempFolder('docker');
    const storage = join(folder.path, 'storage');
    const volumes = { images: join(folder.path, 'images') };
    msr = await startMsr({ storage: { filesystem: storage }, hasRegistry: false, replicas: 1, volumes });
    const env = cleanEnvironment({ ...msr.environment, OPERATORS_PW: PASSWORD });
    docker = new Docker({ env, secrets: [PASSWORD] });
  });

  after(async () => {
    await msr?.stop();
    await folder?.remove();
  });

  const next = (step: string) => {
    runs += 1;
    return { ...LONG, name: containerName(String(runs).padStart(12, '0'), step) };
  };
  const reconfigure = (): ContainerSpec =>
    reconfigureSpec(ACCESS, next('reconfigure'), { volume: 'images' }, true);
  const started = (command: string): number =>
    msr.called.filter((call) => call === `docker run ${command}`).length;

  /** Runs it, and gives up while its container waits. @returns what lets the container go on. */
  async function abandoned(spec: ContainerSpec, command: string): Promise<() => void> {
    const { promise: until, resolve: release } = Promise.withResolvers<void>();
    const { promise: held, resolve: onHeld } = Promise.withResolvers<void>();
    msr.docker.misbehave(command, { kind: 'hold', until, onHeld });
    const controller = new AbortController();
    const run = docker.run(spec, controller.signal);
    await held;
    controller.abort(new Error('stop'));
    await assert.rejects(run, /^Error: stop$/);
    return release;
  }

  it('writes a backup whole, for its owner alone, with the password in no argument', async () => {
    const file = join(folder.path, 'one.tar');
    const spec = backupSpec(ACCESS, next('backup'), file);
    assert.deepEqual(await docker.run(spec, NEVER), { wasThere: false });
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal(readBackup(await readFile(file)).version, '2.9.18');
    await docker.remove(spec.name, NEVER);
    await docker.remove(spec.name, NEVER);
    assert.deepEqual(msr.docker.containers, []);
  });

  it('does not begin again what has ended well, as nobody may have seen it', async () => {
    const spec = reconfigure();
    const before = started('reconfigure');
    assert.deepEqual(await docker.run(spec, NEVER), { wasThere: false });
    assert.deepEqual(await docker.run(spec, NEVER), { wasThere: true });
    assert.equal(started('reconfigure') - before, 1);
  });

  it('waits for one that outlived the program that began it', async () => {
    const spec = reconfigure();
    const before = started('reconfigure');
    const release = await abandoned(spec, 'reconfigure');
    const again = docker.run(spec, NEVER);
    release();
    assert.deepEqual(await again, { wasThere: true });
    assert.equal(started('reconfigure') - before, 1);
  });

  it('takes a backup anew whose output went to a program that is no more', async () => {
    const file = join(folder.path, 'two.tar');
    const spec = backupSpec(ACCESS, next('backup'), file);
    const before = started('backup');
    (await abandoned(spec, 'backup'))();
    assert.ok(!(await readdir(folder.path)).includes('two.tar'));
    await chmod(`${file}.partial`, 0o644);
    assert.deepEqual(await docker.run(spec, NEVER), { wasThere: false });
    assert.equal(started('backup') - before, 2);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.ok(!(await readdir(folder.path)).includes('two.tar.partial'));
  });

  it('tells how a container failed, without its secrets, and runs it again when it is asked again', async () => {
    const spec = reconfigure();
    msr.docker.misbehave('reconfigure', {
      kind: 'fail',
      when: 'before',
      message: `no such node, with ${PASSWORD}`,
    });
    const expected =
      /"reconfigure" in the container .* failed \(exit code 1\): no such node, with …; .*docker logs/;
    await assert.rejects(docker.run(spec, NEVER), isKind('failed', expected));
    assert.equal(msr.docker.containers.at(-1)?.exitCode, 1);
    assert.deepEqual(await docker.run(spec, NEVER), { wasThere: false });
  });

  it('leaves no backup where it failed', async () => {
    const file = join(folder.path, 'three.tar');
    msr.docker.misbehave('backup', { kind: 'fail', when: 'after', message: 'no space' });
    await assert.rejects(
      docker.run(backupSpec(ACCESS, next('backup'), file), NEVER),
      isKind('failed', /"backup" .*: no space/),
    );
    assert.ok(!(await readdir(folder.path)).includes('three.tar'));
  });

  it('says what was not begun at all: an image that is not there, no docker, no daemon', async () => {
    const wrong = { ...reconfigure(), image: 'mirantis/dtr:1.0.0' };
    await assert.rejects(
      docker.run(wrong, NEVER),
      isKind('refused', /could not be started: .*manifest unknown/),
    );
    const nowhere = new Docker({ env: { PATH: folder.path, OPERATORS_PW: PASSWORD }, secrets: [PASSWORD] });
    await assert.rejects(
      nowhere.run(reconfigure(), NEVER),
      isKind('missing', /"docker" cannot be run.*cli: print/),
    );
    const env = cleanEnvironment({ ...msr.environment, BLOBFERRY_TEST_DOCKER: 'http://127.0.0.1:9' });
    const silent = new Docker({ env, secrets: [] });
    await assert.rejects(
      silent.run(reconfigure(), NEVER),
      isKind('missing', /Docker does not answer: Cannot connect/),
    );
    const unset = new Docker({ env: cleanEnvironment(msr.environment), secrets: [] });
    await assert.rejects(unset.run(reconfigure(), NEVER), isKind('refused', /OPERATORS_PW is not set/));
    const noFile = { ...reconfigure(), stdinFile: join(folder.path, 'none.tar') };
    await assert.rejects(docker.run(noFile, NEVER), isKind('file', /Cannot use the file .*none\.tar/));
  });

  it('does not say that nothing was begun when Docker goes away in between', async (t) => {
    const mark = join(await tempFolderFor(t, 'docker-mark'), 'began');
    const gone = await scripted(t, `case $1 in run) : > ${mark};; ps) test ! -e ${mark} || exit 1;; esac`);
    await assert.rejects(gone.run({ ...reconfigure(), secretEnv: {} }, NEVER), (error: unknown) => {
      isKind('unknown', /How the container .* ended is not known: Docker does not answer/)(error);
      assert.ok(error instanceof ContainerError && error.mayHaveActed);
      return true;
    });
  });

  it('is bounded in time', async (t) => {
    const slow = await scripted(t, 'case $1 in run) exec sleep 1000;; esac');
    const spec = { ...reconfigure(), msMax: 100, secretEnv: {} };
    await assert.rejects(slow.run(spec, NEVER), isKind('timeout', /"docker run" has not ended within/));
  });

  it('is bounded in time also where something that it has begun outlives it', {
    timeout: 60_000,
  }, async (t) => {
    const slow = await scripted(t, 'case $1 in run) sleep 1000 & wait;; esac');
    const spec = { ...reconfigure(), msMax: 100, secretEnv: {} };
    await assert.rejects(slow.run(spec, NEVER), isKind('timeout', /"docker run" has not ended within/));
  });

  it('keeps the end of what is said, in as much memory as that needs', async (t) => {
    const loud = await scripted(
      t,
      'yes "a line of a log" | head -c 8000000 >&2; echo "last $SECRET" >&2; exit 1',
      PASSWORD,
    );
    await assert.rejects(loud.help('x', [], NEVER), (error: unknown) => {
      assert.ok(error instanceof ContainerError);
      assert.deepEqual([error.log.length, error.log.at(-1)], [20, 'last …']);
      return true;
    });
    const long = await scripted(
      t,
      'head -c 3000000 /dev/zero | tr "\\0" x >&2; echo >&2; echo end >&2; exit 1',
    );
    await assert.rejects(long.help('x', [], NEVER), (error: unknown) => {
      assert.ok(error instanceof ContainerError);
      assert.deepEqual(error.log, ['end']);
      return true;
    });
  });

  it('destroys and restores, and asks the version which flags it knows', async () => {
    const file = join(folder.path, 'four.tar');
    await docker.run(backupSpec(ACCESS, next('backup'), file), NEVER);
    const command = helpCommand('reconfigure');
    const knows = (flag: string) => docker.knowsFlag(ACCESS.image, command, flag, NEVER);
    assert.deepEqual([await knows('storage-migrated'), await knows('storage')], [true, false]);
    assert.equal(listsFlag('--storage-migrated-not', 'storage-migrated'), false);
    await docker.run(destroySpec(ACCESS, next('destroy')), NEVER);
    assert.deepEqual(msr.state.replicas.ids, []);
    const given = { file, node: 'node-1', url: 'https://msr.example.com', storage: { volume: 'images' } };
    await docker.run(restoreSpec(ACCESS, next('restore'), given), NEVER);
    assert.deepEqual(msr.state.replicas.ids, [REPLICA]);
  });

  it('prints commands that a shell runs as they are', async () => {
    const file = join(folder.path, "it's a backup.tar");
    const shown: string[] = [];
    const printed = new PrintedCommands(async (lines) => {
      shown.push(...lines);
      const env = cleanEnvironment({ ...msr.environment, OPERATORS_PW: PASSWORD });
      return (await runCommand('sh', ['-c', lines.at(-1) ?? ''], { env })).code === 0;
    });
    await printed.run(backupSpec(ACCESS, next('backup'), file), NEVER);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.match(shown.join('\n'), /where OPERATORS_PW is set/);
    assert.doesNotMatch(shown.join('\n'), new RegExp(PASSWORD));
    await printed.remove('blobferry-x', NEVER);
    const never = new PrintedCommands(async () => false);
    await assert.rejects(never.run(reconfigure(), NEVER), isKind('not-done', /was not run, says whoever/));
  });

  it('keeps its client out of reach of the Ctrl-C of a terminal, which would end the container', async (t) => {
    const told = await scripted(t, 'echo $$ $(cut -d" " -f5 /proc/$$/stat)');
    const [pid, group] = (await told.help('x', [], NEVER)).trim().split(' ');
    assert.equal(group, pid);
  });
});

describe('a command in a container', () => {
  const spec: ContainerSpec = {
    name: 'blobferry-0123456789ab-restore',
    image: 'mirantis/dtr:2.9.18',
    command: ['restore', '--ucp-ca', '-----BEGIN\nit\'s $HOME `id` "quoted"\n', '--x', ''],
    secretEnv: { UCP_PASSWORD: 'MY_PW' },
    stdinFile: '/dev/null',
    msMax: 1,
  };

  it('is shown so that a shell takes every word as it is', async () => {
    // A function in the place of the client prints what it got.
    const line = `docker() { printf '%s|' "$UCP_PASSWORD" "$@"; }; MY_PW='a b'; ${shellCommand(spec)}`;
    const { stdout } = await runCommand('sh', ['-c', line]);
    const expected = [
      'a b',
      'run',
      '--name',
      spec.name,
      '-i',
      '-e',
      'UCP_PASSWORD',
      spec.image,
      ...spec.command,
    ];
    assert.deepEqual(stdout.split('|').slice(0, -1), expected);
  });

  it('is named by run, step and attempt', () => {
    assert.equal(containerName('0123456789ab', 'restore'), 'blobferry-0123456789ab-restore');
    assert.equal(containerName('0123456789ab', 'backup-2', 3), 'blobferry-0123456789ab-backup-2-3');
  });

  it('never erases tags, takes an image for a flag, or holds a secret', async () => {
    const runner = new PrintedCommands(async () => true);
    for (const [changed, expected] of [
      [{ command: ['reconfigure', '--reinitialize-storage'] }, /erases every tag/],
      [{ command: ['reconfigure', '--reinitialize-storage=true'] }, /erases every tag/],
      [{ image: '--privileged' }, /would be a flag/],
      [{ name: 'other' }, /no name for a container/],
      [{ secretEnv: { UCP_PASSWORD: 'pa ss' } }, /named by a variable/],
    ] as const) {
      await assert.rejects(runner.run({ ...spec, ...changed }, NEVER), expected);
    }
  });

  it('has the flags that its version lists', () => {
    const run = { name: spec.name, msMax: 1 };
    const nfs = { nfs: 'nfs://server/folder' };
    const without = reconfigureSpec({ ...ACCESS, mkeCa: 'PEM' }, run, nfs, false);
    assert.deepEqual(without.command, [
      ...['reconfigure', '--ucp-url', 'https://mke.example.com', '--ucp-username', 'admin'],
      ...['--ucp-ca', 'PEM', '--ucp-insecure-tls', '--existing-replica-id', REPLICA],
      ...['--nfs-storage-url', 'nfs://server/folder'],
    ]);
    const given = { file: '/b.tar', node: 'n', storage: 'as-in-backup' } as const;
    assert.deepEqual(restoreSpec(ACCESS, run, given).command.slice(-5), [
      ...['--replica-id', REPLICA, '--ucp-node', 'n', '--dtr-use-default-storage'],
    ]);
  });
});
