/** A target that takes names differing in case only for one: nothing is replaced in silence, and the user is told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import { FileCalls } from '../../src/drivers/fs/fs-calls.ts';
import { openFsDriver } from '../../src/drivers/fs/fs-driver.ts';
import { runBlobferry } from '../support/cli.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder, tempFolderFor } from '../support/temp.ts';
import { missingTool, missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';
import { ctx, refusalOf, treeOf } from '../unit/drivers/fs-world.ts';

/** Finds what is there under any spelling, as such a file system's kernel code does. */
function found(path: string): string {
  if (path === '/' || existsSync(path)) return path;
  const folder = found(dirname(path));
  const name = basename(path);
  if (!existsSync(folder)) return join(folder, name);
  const there = readdirSync(folder).find((entry) => entry.toLowerCase() === name.toLowerCase());
  return join(folder, there ?? name);
}

class FoldingCalls extends FileCalls {
  override open(path: string, how: 'read' | 'temp' | 'reopen' | 'folder') {
    return super.open(found(path), how);
  }
  override lstat(path: string) {
    return super.lstat(found(path));
  }
  override stat(path: string) {
    return super.stat(found(path));
  }
  override readFolder(path: string) {
    return super.readFolder(found(path));
  }
  override realpath(path: string) {
    return super.realpath(found(path));
  }
  override rename(from: string, to: string) {
    return super.rename(found(from), found(to));
  }
  override makeFolder(path: string, mode: number) {
    return super.makeFolder(found(path), mode);
  }
  override unlink(path: string) {
    return super.unlink(found(path));
  }
}

const text = (content: string) => bodyOfBytes(Buffer.from(content));
const UPPER = 'app/tags/V1/current/link';
const LOWER = 'app/tags/v1/current/link';

interface Opened {
  readonly root: string;
  readonly driver: StorageDriver;
  readonly notices: string[];
}

async function open(t: TestContext, calls: FileCalls): Promise<Opened> {
  const root = await tempFolderFor(t, 'case');
  const notices: string[] = [];
  const driver = await openFsDriver(
    { kind: 'fs', rootDirectory: root },
    { role: 'target', calls, onNotice: (sentence) => notices.push(sentence) },
  );
  return { root, driver, notices };
}

describe('a target that does not tell case apart', () => {
  it('says so with the first write, once', async (t) => {
    const { driver, notices } = await open(t, new FoldingCalls('local'));
    assert.deepEqual(notices, []);
    await driver.write(ctx, 'a', text('a'), {});
    await driver.write(ctx, 'b', text('b'), {});
    assert.equal(notices.length, 1);
    assert.match(notices[0] ?? '', /^file:.* does not tell upper from lower case.*the second one fails$/);
  });

  it('refuses the second of two names, be it a file or the folders above it, and keeps the first', async (t) => {
    const { root, driver } = await open(t, new FoldingCalls('local'));
    await driver.write(ctx, UPPER, text('upper'), {});
    const refused = { kind: 'invalid-name', key: LOWER, scope: 'object', isTransient: false } as const;
    const { message, hint } = await refusalOf(driver.write(ctx, LOWER, text('lower'), {}), refused);
    assert.match(message, /"V1" has the place of "v1": this file system does not tell upper from lower case/);
    assert.match(hint, /object store/);
    await driver.write(ctx, 'file', text('first'), {});
    await refusalOf(driver.write(ctx, 'FILE', text('second'), {}), { kind: 'invalid-name', key: 'FILE' });
    assert.equal(await readFile(join(root, UPPER), 'utf8'), 'upper');
    assert.equal(await readFile(join(root, 'file'), 'utf8'), 'first');
    await driver.close();
    assert.equal((await treeOf(root)).filter((path) => !path.endsWith('/')).length, 2);
  });

  it('refuses one of two that are written at once, in one piece or in parts', async (t) => {
    // Slow calls, so that all of them look before the first one has its name.
    const { root, driver } = await open(t, new FoldingCalls('remote'));
    const upload = async (key: string) => {
      const { multipart } = driver;
      assert.ok(multipart);
      const begun = await multipart.begin(ctx, key);
      const part = await multipart.putPart(ctx, begun, { number: 1, offset: 0, body: text(key) });
      await multipart.complete(ctx, begun, [part], { sizeBytes: key.length });
    };
    await driver.write(ctx, 'x/there', text('x/there'), {});
    for (const write of [(key: string) => driver.write(ctx, key, text(key), {}), upload]) {
      const results = await Promise.allSettled([write('x/Name'), write('x/name'), write('x/NAME')]);
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
      const [name = '', ...rest] = readdirSync(join(root, 'x')).filter((entry) => entry !== 'there');
      assert.deepEqual(rest, []);
      assert.equal(await readFile(join(root, 'x', name), 'utf8'), `x/${name}`);
      await driver.remove(ctx, `x/${name}`);
    }
  });

  it('still replaces an object of the very same name', async (t) => {
    const { root, driver } = await open(t, new FoldingCalls('local'));
    await driver.write(ctx, UPPER, text('before'), {});
    await driver.write(ctx, UPPER, text('after'), {});
    assert.equal(await readFile(join(root, UPPER), 'utf8'), 'after');
  });
});

describe('a target that tells case apart', () => {
  it('takes both names and says nothing', async (t) => {
    const { driver, notices, root } = await open(t, new FileCalls('local'));
    await driver.write(ctx, UPPER, text('upper'), {});
    await driver.write(ctx, LOWER, text('lower'), {});
    assert.equal(await readFile(join(root, UPPER), 'utf8'), 'upper');
    assert.equal(await readFile(join(root, LOWER), 'utf8'), 'lower');
    assert.deepEqual(notices, []);
  });

  it('is not taken for another because somebody made a folder of a like name', async (t) => {
    const { driver, notices, root } = await open(t, new FileCalls('local'));
    await mkdir(join(root, '.BLOBFERRY-TMP'));
    await driver.write(ctx, 'a', text('a'), {});
    await driver.write(ctx, 'A', text('A'), {});
    assert.deepEqual(notices, []);
  });
});

interface Disk {
  /** Where it is mounted. */
  readonly path: string;
  remove(): void;
}

function command(name: string, ...args: readonly string[]): string {
  const { status, error, stderr, stdout } = spawnSync(name, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}: ${error?.message ?? stderr.trim()}`);
  return stdout.trim();
}

/** A disk image with exFAT on it, mounted. */
async function mountExfat(folder: string): Promise<Disk> {
  const [image, path] = [join(folder, 'image'), join(folder, 'disk')];
  await mkdir(path);
  await writeFile(image, '');
  await truncate(image, 64 * 1024 ** 2);
  command('mkfs.exfat', image);
  const device = command('losetup', '--find', '--show', image);
  try {
    command('mount.exfat-fuse', device, path);
  } catch (error) {
    command('losetup', '--detach', device);
    throw error;
  }
  const remove = () => {
    command('umount', path);
    command('losetup', '--detach', device);
  };
  return { path, remove };
}

async function whyNoExfat(): Promise<string | false> {
  const missing = missingTools('exfat');
  if (missing) return missing;
  const folder = await makeTempFolder('exfat');
  try {
    (await mountExfat(folder.path)).remove();
    return false;
  } catch (error) {
    return missingTool('exfat', error instanceof Error ? error.message : String(error));
  } finally {
    await folder.remove();
  }
}

describe('a copy to a real exFAT', { skip: await whyNoExfat() }, () => {
  it('warns at its start, fails for the second of two tags, and copies all else', async (t) => {
    const { path: folder, remove } = await makeTempFolder('exfat');
    const disk = await mountExfat(folder);
    t.after(async () => {
      disk.remove();
      await remove();
    });
    const tree = makeSmallTree();
    const source = join(folder, 'source');
    await writeSmallTree(source, tree);
    const other = tree.tag.replace('/tags/v1/', '/tags/V1/');
    await mkdir(dirname(join(source, other)), { recursive: true });
    await writeFile(join(source, other), await readFile(join(source, tree.tag)));
    const target = join(disk.path, 'registry');
    const args = ['copy', '--from', `file://${source}`, '--to', `file://${target}`, '--json'];
    for (const round of ['first', 'second']) {
      const result = await runBlobferry(args);
      assert.equal(result.code, 1, result.stderr + result.stdout);
      const warnings = result.events
        .filter(({ event }) => event === 'warning')
        .map((event) => event['message']);
      assert.match(warnings.join('\n'), /does not tell upper from lower case/, round);
      assert.equal(result.summary?.['objectsFailed'], 1, result.stdout);
      assert.match(JSON.stringify(result.summary?.['exceptions']), /has the place of/);
      const paths = [...(await readTree(target)).keys()];
      assert.equal(paths.length, tree.objects.size, `${round}: ${paths.join('\n')}`);
    }
    await rm(dirname(dirname(join(source, other))), { recursive: true });
    const done = await runBlobferry(args);
    const verified = await runBlobferry(['verify', '--deep', ...args.slice(1)]);
    assert.equal(done.code, 0, done.stdout);
    assert.equal(verified.code, 0, verified.stdout);
  });
});
