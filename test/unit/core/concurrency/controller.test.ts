import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ClassController } from '../../../../src/core/concurrency/class-controller.ts';
import {
  capacityBound,
  latencyBound,
  moody,
  rateLimited,
  type Server,
  SimulatedProcess,
  seededRandom,
} from './simulated.ts';

const BOUNDS = { min: 8, start: 32, max: 256 };
const SECOND = 1_000;

function process(): SimulatedProcess {
  return new SimulatedProcess(new ClassController(BOUNDS));
}

const down: Server = (nowMs) => ({ atMs: nowMs + SECOND, how: 'troubled' });
const refusing: Server = (nowMs) => ({ atMs: nowMs + 5, how: 'refused' });

describe('the window of a class', () => {
  it('grows to its bound within seconds where only waiting bounds the throughput', () => {
    const latencies = fc.record({ ms: fc.integer({ min: 5, max: 100 }), seed: fc.integer() });
    fc.assert(
      fc.property(latencies, fc.boolean(), ({ ms, seed }, isJittery) => {
        const random = seededRandom(seed);
        const server = latencyBound(ms, isJittery ? random : () => 0);
        const running = process();
        running.run(server, 10 * SECOND);
        const { windowMin } = running.run(server, 5 * SECOND);
        assert.equal(windowMin, BOUNDS.max);
      }),
      { numRuns: 20 },
    );
  });

  it('stays about where it was where the server’s own speed bounds the throughput, and takes all of that', () => {
    const servers = fc.record({ perSecond: fc.integer({ min: 200, max: 8_000 }), seed: fc.integer() });
    fc.assert(
      fc.property(servers, fc.boolean(), ({ perSecond, seed }, isBusy) => {
        const server = capacityBound(perSecond, 1, seededRandom(seed));
        const running = process();
        running.isBusy = isBusy;
        running.run(server, 5 * SECOND);
        const span = running.run(server, 30 * SECOND);
        assert.ok(span.answeredPerSecond > 0.95 * perSecond, `${span.answeredPerSecond} of ${perSecond}`);
        assert.ok(span.windowMax <= 4 * BOUNDS.start, `a window of ${span.windowMax}`);
      }),
      { numRuns: 10 },
    );
  });

  it('is not taken in by a throughput that rises by itself, as at a start, while the processors are busy', () => {
    const random = seededRandom(11);
    let [perSecond, changesAtMs, freeAtMs] = [0, 0, 0];
    const warming: Server = (nowMs) => {
      if (nowMs >= changesAtMs) {
        changesAtMs = nowMs + 200;
        perSecond = Math.min(8_000, 1_000 + 2.5 * nowMs) * (0.6 + 0.8 * random());
      }
      freeAtMs = Math.max(freeAtMs, nowMs) + SECOND / perSecond;
      return { atMs: freeAtMs, how: 'answered' };
    };
    const running = process();
    running.isBusy = true;
    const { windowMax } = running.run(warming, 30 * SECOND);
    assert.ok(windowMax <= 2 * BOUNDS.start, `a window of ${windowMax}`);
  });

  it('grows as well where the processors are busy but requests only wait', () => {
    const running = process();
    running.isBusy = true;
    running.run(latencyBound(20), 10 * SECOND);
    assert.equal(running.controller.window, BOUNDS.max);
  });

  it('does not grow for a process that has no more to send', () => {
    const running = process();
    running.run(latencyBound(20), 20 * SECOND, 20);
    assert.equal(running.controller.window, BOUNDS.start);
  });

  it('shrinks to its least while a server fails, and is back within ten seconds of its return', () => {
    const running = process();
    running.run(latencyBound(20), 5 * SECOND);
    const { windowMin } = running.run(down, 20 * SECOND);
    assert.equal(windowMin, BOUNDS.min);
    running.run(latencyBound(20), 10 * SECOND);
    assert.equal(running.controller.window, BOUNDS.max);
  });
});

describe('the rate of a class', () => {
  for (const retryAfterMs of [undefined, SECOND]) {
    for (const latencyMs of [1, 20]) {
      const told = retryAfterMs === undefined ? 'without a Retry-After' : 'with Retry-After: 1';
      it(`is within 10 % of a limit of 1,500/s from the 30th second, ${told}, at ${latencyMs} ms a request`, () => {
        const limit = { perSecond: () => 1_500, burst: 1_500, latencyMs };
        const server = rateLimited(retryAfterMs === undefined ? limit : { ...limit, retryAfterMs });
        const running = process();
        running.run(server, 30 * SECOND);
        const { answeredPerSecond, refused } = running.run(server, 15 * SECOND);
        assert.ok(answeredPerSecond > 1_350 && answeredPerSecond < 1_650, `${answeredPerSecond} a second`);
        assert.ok(refused < 0.03, `${refused} refused`);
      });
    }
  }

  it('finds any limit, and is refused seldom', () => {
    const limits = fc.record({
      perSecond: fc.integer({ min: 20, max: 3_000 }),
      burstMs: fc.integer({ min: 100, max: 2_000 }),
      latencyMs: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(limits, ({ perSecond, burstMs, latencyMs }) => {
        const burst = Math.max(5, (perSecond * burstMs) / SECOND);
        const server = rateLimited({ perSecond: () => perSecond, burst, latencyMs });
        const running = process();
        running.run(server, 40 * SECOND);
        const { answeredPerSecond, refused } = running.run(server, 60 * SECOND);
        assert.ok(answeredPerSecond > 0.85 * perSecond, `${answeredPerSecond} of ${perSecond}`);
        assert.ok(refused < 0.05, `${refused} refused`);
      }),
      { numRuns: 12 },
    );
  });

  it('follows a limit that is raised tenfold within a minute, and one that drops within ten seconds', () => {
    const perSecond = (nowMs: number) => (nowMs < 20 * SECOND ? 300 : nowMs < 80 * SECOND ? 3_000 : 500);
    const server = rateLimited({ perSecond, burst: 300, latencyMs: 5 });
    const running = process();
    running.run(server, 70 * SECOND);
    const raised = running.run(server, 10 * SECOND);
    assert.ok(raised.answeredPerSecond > 0.85 * 3_000, `${raised.answeredPerSecond} of 3,000`);
    running.run(server, 10 * SECOND);
    const dropped = running.run(server, 30 * SECOND);
    assert.ok(Math.abs(dropped.answeredPerSecond - 500) < 75, `${dropped.answeredPerSecond} of 500`);
    assert.ok(dropped.refused < 0.03, `${dropped.refused} refused`);
  });

  it('is the same for two classes that share one limit: neither is starved, and both together take it', () => {
    const server = rateLimited({ perSecond: () => 1_500, burst: 1_500, latencyMs: 5 });
    const [reads, writes] = [process(), process()];
    const sums = [0, 0];
    for (let ms = 0; ms < 60 * SECOND; ms += 1) {
      for (const [index, running] of [reads, writes].entries()) {
        const { answeredPerSecond } = running.run(server, 1);
        if (ms >= 30 * SECOND) sums[index] = (sums[index] ?? 0) + answeredPerSecond / (30 * SECOND);
      }
    }
    const [first = 0, second = 0] = sums;
    assert.ok(Math.abs(first + second - 1_500) < 150, `${first} + ${second}`);
    assert.ok(Math.min(first, second) > 150, `${first} and ${second}`);
  });

  for (const share of [0.01, 0.05, 0.2]) {
    it(`does not give up its throughput where ${share * 100} % are refused whatever the rate is`, () => {
      const running = process();
      const server = moody(share, 5, seededRandom(5));
      running.run(server, 20 * SECOND);
      const { answeredPerSecond } = running.run(server, 60 * SECOND);
      assert.ok(answeredPerSecond > 0.6 * (1 - share) * (BOUNDS.max / 0.005), `${answeredPerSecond}`);
    });
  }

  it('sends little while everything is refused, and is back within 15 s of the end of that', () => {
    const running = process();
    running.run(latencyBound(20), 5 * SECOND);
    running.run(refusing, 10 * SECOND);
    const refused = running.run(refusing, 20 * SECOND);
    assert.ok(running.controller.perSecond !== undefined && running.controller.perSecond < 20);
    assert.equal(refused.answeredPerSecond, 0);
    running.run(latencyBound(20), 15 * SECOND);
    const { answeredPerSecond } = running.run(latencyBound(20), 5 * SECOND);
    assert.ok(answeredPerSecond > 10_000, `${answeredPerSecond} a second`);
  });

  it('is no bound before the first refusal, and none any more once nothing comes near it', () => {
    const running = process();
    running.run(latencyBound(20), 5 * SECOND);
    assert.equal(running.controller.perSecond, undefined);
    running.run(rateLimited({ perSecond: () => 500, burst: 50, latencyMs: 20 }), 10 * SECOND);
    assert.ok((running.controller.perSecond ?? 0) > 100);
    running.run(latencyBound(20), 60 * SECOND, 2);
    assert.equal(running.controller.perSecond, undefined);
  });

  it('does not rise while hardly anything is asked for', () => {
    const running = process();
    const server = rateLimited({ perSecond: () => 500, burst: 50, latencyMs: 20 });
    running.run(server, 20 * SECOND);
    const before = running.controller.perSecond ?? 0;
    running.run(server, 5 * SECOND, 1);
    assert.ok((running.controller.perSecond ?? 0) <= 1.02 * before, `${running.controller.perSecond}`);
  });

  it('holds everything back for as long as a refusal asks', () => {
    const controller = new ClassController(BOUNDS);
    const quiet = {
      answered: 0,
      refused: 0,
      troubled: 0,
      bytes: 0,
      inFlight: 0,
      isFull: false,
      isBusy: false,
    };
    const elapsedMs = 500;
    controller.step({ ...quiet, elapsedMs, answered: 100, retryAfterMs: 0 });
    controller.step({ ...quiet, elapsedMs, answered: 100, refused: 100, retryAfterMs: 7_000 });
    assert.equal(controller.holdMs, 7_000);
    controller.step({ ...quiet, elapsedMs: 6_900, retryAfterMs: 0 });
    assert.equal(controller.holdMs, 100);
    controller.step({ ...quiet, elapsedMs: 100, retryAfterMs: 0 });
    assert.equal(controller.holdMs, 0);
  });
});
