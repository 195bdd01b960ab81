/** kill -9 in a pass of a migration: nothing that it wrote escapes the check of what was written. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { callWith, openEngineWorld } from '../support/engine-world.ts';
import { runCommand } from '../support/process.ts';
import { blobPath } from '../unit/copy/registry-names.ts';

const CHILD = fileURLToPath(new URL('engine-child.ts', import.meta.url));
const OBJECTS = 1_000;

async function namesNoted(folder: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const file of await readdir(join(folder, 'written'))) {
    const lines = (await readFile(join(folder, 'written', file), 'utf8'))
      .split('\n')
      .filter((line) => line !== '');
    for (const line of lines) names.add((JSON.parse(line) as { readonly key: string }).key);
  }
  return names;
}

describe('kill -9 in a live pass', () => {
  it('leaves the names of all that is in the target, which are checked although the next pass finds them equal', async (t) => {
    const world = await openEngineWorld(t, { source: 's3', target: 's3' });
    const contents = Array.from({ length: OBJECTS }, (_, at) => `blob ${at}`);
    await world.source.put(contents.map((content) => [blobPath(content), content]));
    // Answers get lost from some write on: what they were to is there, and its thread has not heard of it.
    const losses = await world.target.misbehave({
      operation: 'PutObject',
      skip: 60,
      times: 100_000,
      fault: { kind: 'lost-reply' },
    });
    const child = await runCommand(process.execPath, [CHILD, JSON.stringify(world.parts), '40']);
    assert.equal(child.signal, 'SIGKILL', child.stderr);
    await losses();
    const there = await world.target.paths();
    assert.ok(there.length >= 40 && there.length < OBJECTS, `${there.length}`);
    const noted = await namesNoted(world.folder);
    for (const path of there) assert.ok(noted.has(path), path);

    const next = await world.engine.runPass(callWith(), { kind: 'live' });
    assert.equal(next.objectsChanged, OBJECTS - there.length);
    await world.target.requests();
    const written = await world.engine.verifyWritten(callWith(), {});
    assert.deepEqual([written.isGood, written.objectsChecked], [true, OBJECTS]);
    const read = (await world.target.requests()).filter(({ operation }) => operation === 'GetObject');
    assert.deepEqual(read.map(({ key }) => key).sort(), await world.source.paths());
  });
});
