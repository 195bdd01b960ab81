import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FileCalls } from '../../../src/drivers/fs/fs-calls.ts';
import { Pace } from '../../../src/drivers/fs/fs-pace.ts';

function record(pace: Pace, count: number, tookMs: number): void {
  for (let call = 0; call < count; call += 1) pace.record(tookMs);
}

describe('Pace', () => {
  it('calls directly as long as calls are quick', () => {
    const pace = new Pace('local', 64);
    record(pace, 1_000, 0.01);
    assert.ok(pace.isFast);
  });

  it('forgives calls that are slow now and then, as on a busy machine', () => {
    const pace = new Pace('local', 64);
    for (let group = 0; group < 20; group += 1) {
      record(pace, 15, 30);
      record(pace, 49, 0.01);
      assert.ok(pace.isFast);
    }
  });

  it('turns to the thread pool as soon as a quarter of a group was slow', () => {
    const pace = new Pace('local', 64);
    record(pace, 15, 5);
    assert.ok(pace.isFast);
    record(pace, 1, 5);
    assert.ok(!pace.isFast);
  });

  it('tries direct calls again after a while, for a cache that has become warm', () => {
    const pace = new Pace('local', 8);
    record(pace, 2, 5);
    assert.ok(!pace.isFast);
    for (let call = 0; call < 4_095; call += 1) pace.countPooled();
    assert.ok(!pace.isFast);
    pace.countPooled();
    assert.ok(pace.isFast);
  });

  it('never calls directly on a file system across a network', () => {
    const pace = new Pace('remote', 8);
    for (let call = 0; call < 20_000; call += 1) pace.countPooled();
    assert.ok(!pace.isFast);
  });

  it('measures the calls it makes, failed ones too', () => {
    const pace = new Pace('local', 4);
    assert.equal(
      pace.direct(() => 7),
      7,
    );
    assert.throws(() =>
      pace.direct(() => {
        const until = performance.now() + 1;
        while (performance.now() < until);
        throw new Error('slow and wrong');
      }),
    );
    assert.ok(!pace.isFast);
  });
});

describe('FileCalls', () => {
  it('answers at once on a local file system and later on a remote one', async () => {
    const local = new FileCalls('local').lstat('/');
    assert.ok(!(local instanceof Promise) && local?.isDirectory());
    const remote = new FileCalls('remote').lstat('/');
    assert.ok(remote instanceof Promise);
    assert.ok((await remote)?.isDirectory());
  });

  it('says undefined for what is not there, whether at once or later', async () => {
    for (const distance of ['local', 'remote'] as const) {
      const calls = new FileCalls(distance);
      assert.equal(await calls.lstat('/no/such/file'), undefined);
      assert.equal(await calls.stat('/etc/passwd/below'), undefined);
      assert.equal(await calls.realpath('/no/such/file'), undefined);
    }
  });
});
