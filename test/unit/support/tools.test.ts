import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { tempFolderFor } from '../../support/temp.ts';
import { findCommand, missingTool, missingTools } from '../../support/tools.ts';

/** Sets a variable of this process for the length of a test. */
function setVariable(t: TestContext, name: string, value: string): void {
  const before = process.env[name];
  process.env[name] = value;
  t.after(() => {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  });
}

async function folderWithCommands(t: TestContext, ...names: readonly string[]): Promise<string> {
  const folder = await tempFolderFor(t, 'tools');
  for (const name of names) {
    await writeFile(join(folder, name), '#!/bin/sh\n');
    await chmod(join(folder, name), 0o755);
  }
  return folder;
}

describe('missingTools()', () => {
  it('is false where every command is there', async (t) => {
    setVariable(t, 'PATH', await folderWithCommands(t, 'skopeo', 'docker-registry'));
    setVariable(t, 'BLOBFERRY_TEST_REQUIRED', 'all');
    assert.equal(missingTools('skopeo', 'registry'), false);
  });

  it('names the commands and the packages that are missing', async (t) => {
    setVariable(t, 'PATH', await folderWithCommands(t, 'skopeo'));
    setVariable(t, 'BLOBFERRY_TEST_REQUIRED', '');
    assert.equal(
      missingTools('skopeo', 'registry'),
      'missing here: registry (no docker-registry; apt-get install docker-registry)',
    );
  });

  it('throws where the missing tool is required', async (t) => {
    setVariable(t, 'PATH', await folderWithCommands(t));
    setVariable(t, 'BLOBFERRY_TEST_REQUIRED', 'ceph, skopeo');
    assert.throws(() => missingTools('skopeo'), /no skopeo.*must be there/);
    assert.match(String(missingTools('registry')), /no docker-registry/);
    setVariable(t, 'BLOBFERRY_TEST_REQUIRED', 'all');
    assert.throws(() => missingTools('registry'), /must be there/);
  });

  it('refuses a requirement with a typing mistake, which would require nothing', async (t) => {
    setVariable(t, 'PATH', await folderWithCommands(t));
    setVariable(t, 'BLOBFERRY_TEST_REQUIRED', 'cehp');
    assert.throws(() => missingTools('ceph'), /names "cehp"; known are all, ceph/);
  });
});

describe('missingTool()', () => {
  it('gives the reason to skip, or throws where that is not allowed', (t) => {
    setVariable(t, 'BLOBFERRY_TEST_REQUIRED', 'ceph');
    assert.equal(missingTool('node-24', 'npm has it not'), 'missing here: node-24 (npm has it not)');
    for (const required of ['all', 'node-24']) {
      setVariable(t, 'BLOBFERRY_TEST_REQUIRED', required);
      assert.throws(() => missingTool('node-24', 'npm has it not'), /must be there/);
    }
  });
});

describe('findCommand()', () => {
  it('finds only files that may be executed', async (t) => {
    const folder = await folderWithCommands(t, 'tool');
    await writeFile(join(folder, 'text'), '');
    assert.equal(findCommand('tool', `/nowhere:${folder}`), join(folder, 'tool'));
    assert.equal(findCommand('text', folder), undefined);
    assert.equal(findCommand('tool', ''), undefined);
  });
});
