import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Missing, ObjectWindow } from '../../../src/copy/object-window.ts';

function newWindow(): ObjectWindow {
  return new ObjectWindow(4, (error) => assert.fail(String(error)));
}

describe('ObjectWindow', () => {
  it('remembers what a repository lacks, however many others come before its tags', async () => {
    const window = newWindow();
    // As a listing tells of a folder that it comes to a page before its neighbours are joined.
    window.add('late', false, async () => 'failed');
    await window.drain();
    for (let at = 0; at < 500; at += 1) {
      await window.room();
      window.add(`early-${at}`, false, async () => undefined);
    }
    await window.drain();
    let lacking: Missing | undefined;
    window.add('late', true, async (what) => {
      lacking = what;
      return undefined;
    });
    await window.drain();
    assert.equal(lacking, 'failed');
  });
});
