/** Live passes, the window, the final pass and its proof, around an engine that says what the test wants. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { readOnlyStep } from '../../../src/platform/msr/steps/read-only.ts';
import { noneSteps } from '../../../src/platform/none/none-procedure.ts';
import type { Outcome } from '../../../src/platform/saga/outcome.ts';
import { runSaga, type SagaOptions } from '../../../src/platform/saga/saga.ts';
import type { Step } from '../../../src/platform/saga/step.ts';
import type { EngineSite } from '../../../src/platform/steps/engine-steps.ts';
import { finalPass, verifyStep } from '../../../src/platform/steps/final-pass.ts';
import { livePasses } from '../../../src/platform/steps/live-passes.ts';
import { windowStep } from '../../../src/platform/steps/window.ts';
import { FakeEngine } from './fake-engine.ts';
import { ACCESS, msrWorld, QUICK_PACE, siteOf } from './msr-world.ts';
import { MemoryLog } from './saga/memory-log.ts';

const OPTIONS: SagaOptions = {
  signal: new AbortController().signal,
  yes: true,
  yesForward: true,
  ask: async () => false,
};

function engineSite(engine: FakeEngine): EngineSite {
  return { engine, pollMs: 1, window: 'read-only', digests: () => 'some.digests' };
}

function forward(id: string): Step {
  let isDone = false;
  return {
    id,
    title: id,
    changes: '',
    kind: 'forward',
    check: async () => ({ is: 'todo' }),
    do: async () => {
      isDone = true;
    },
    effect: async () => (isDone ? { is: 'shown', evidence: '' } : { is: 'missing', why: 'not done' }),
  };
}

async function run(steps: readonly Step[], log = new MemoryLog()): Promise<Outcome> {
  return await runSaga(steps, log, OPTIONS);
}

describe('live passes', () => {
  const live = (engine: FakeEngine, passes: 'auto' | number) => [livePasses(engineSite(engine), passes)];

  it('go on until little has changed, each read back, with the digests of the backup', async () => {
    const engine = new FakeEngine();
    engine.changed = [50_000, 20_000, 300];
    assert.equal((await run(live(engine, 'auto'))).is, 'done');
    assert.deepEqual(engine.calls, ['live', 'written', 'live', 'written', 'live', 'written']);
    assert.deepEqual(new Set(engine.digests), new Set(['some.digests']));
  });

  it('end where a further one would find as much again', async () => {
    const engine = new FakeEngine();
    engine.changed = [50_000, 20_000, 19_000, 18_000, 17_000];
    await run(live(engine, 'auto'));
    assert.equal(engine.calls.filter((call) => call === 'live').length, 3);
  });

  it('are as many as the file says, none among them', async () => {
    for (const passes of [0, 1, 3]) {
      const engine = new FakeEngine();
      engine.changed = [9_999_999, 9_999_999, 9_999_999, 9_999_999];
      assert.equal((await run(live(engine, passes))).is, 'done');
      assert.equal(engine.calls.filter((call) => call === 'live').length, passes);
    }
  });

  it('end the migration where one is not good, or what it wrote is not', async () => {
    for (const call of ['live', 'written']) {
      const engine = new FakeEngine();
      engine.bad = { call, why: '3 objects are damaged' };
      const outcome = await run(live(engine, 'auto'));
      assert.ok(outcome.is === 'refused');
      assert.match(outcome.failure.why, /: 3 objects are damaged$/);
    }
  });
});

describe('the window', () => {
  const steps = (engine: FakeEngine, msMax: number | undefined, answer: boolean, passes = 1) => {
    const site = engineSite(engine);
    return [livePasses(site, passes), windowStep(site, { msMax, elsewhereMs: 1, ask: async () => answer })];
  };

  it('is not opened where it is predicted to be longer than allowed, or nothing was measured', async () => {
    const long = await run(steps(new FakeEngine(), 59_999, true));
    assert.ok(long.is === 'refused');
    assert.match(long.failure.why, /predicted to be 1 min, and windowMax is 1 min: about a minute/);
    assert.equal((await run(steps(new FakeEngine(), 60_000, true))).is, 'done');
    const blind = await run(steps(new FakeEngine(), 60_000, true, 0));
    assert.ok(blind.is === 'refused');
    assert.match(blind.failure.why, /without a live pass nothing says how long/);
    assert.equal((await run(steps(new FakeEngine(), undefined, true, 0))).is, 'done');
  });

  it('is not opened where credentials end before it would', async () => {
    const site = engineSite(new FakeEngine());
    const steps = (msLeft: number) => {
      const credentials = [{ name: 's3://new', expireMs: Date.now() + msLeft }];
      const options = { msMax: undefined, elsewhereMs: 1, credentials, ask: async () => true };
      return [livePasses(site, 1), windowStep(site, options)];
    };
    // The engine predicts a minute.
    const outcome = await run(steps(50_000));
    assert.ok(outcome.is === 'refused');
    assert.match(
      outcome.failure.why,
      /Credentials end before the window would, at about .*: those for s3:\/\/new at /,
    );
    assert.match(outcome.failure.hint ?? '', /credentials that last longer/);
    assert.equal((await run(steps(600_000))).is, 'done');
  });

  it('is asked for with what the last live pass could not settle, which may be damage', async () => {
    const engine = new FakeEngine();
    engine.unsettled = ['blobs/a', 'blobs/b'];
    const asked: string[] = [];
    const ask = async (text: string): Promise<boolean> => asked.push(text) > 0;
    const options = { msMax: undefined, elsewhereMs: 1, ask };
    assert.equal(
      (await run([livePasses(engineSite(engine), 1), windowStep(engineSite(engine), options)])).is,
      'done',
    );
    assert.match(
      asked[0] ?? '',
      /^about a minute\. 2 objects were not settled in the last live pass: blobs\/a, blobs\/b\. /,
    );
    assert.match(asked[0] ?? '', /--accept-damage/);
  });

  it('is not opened where nobody agrees to it', async () => {
    const outcome = await run(steps(new FakeEngine(), undefined, false));
    assert.ok(outcome.is === 'refused');
    assert.match(outcome.failure.why, /nobody agreed to it: about a minute/);
  });
});

describe('the final pass', () => {
  it('ends when read-only is lifted, and starts anew with it', async (t) => {
    const { msr, connection } = await msrWorld(t, { replicas: 1 });
    const engine = new FakeEngine();
    const [id = ''] = msr.state.replicas.ids;
    let frozen = 0;
    engine.inFrozen = async () => {
      frozen += 1;
      if (frozen > 1) return;
      await msr.state.replicas.setOne(id, false);
      // It would last for ever.
      await new Promise(() => undefined);
    };
    const site = engineSite(engine);
    const log = new MemoryLog();
    const steps = [
      readOnlyStep(siteOf(connection, QUICK_PACE), ACCESS),
      finalPass(site, 10),
      verifyStep(site),
      forward('restore'),
    ];
    assert.equal((await run(steps, log)).is, 'done');
    assert.deepEqual(engine.calls, ['frozen', 'frozen', 'verify', 'written']);
    const resets = log.entries.filter(({ what }) => what === 'reset').map(({ step }) => step);
    assert.deepEqual(resets, ['final-pass', 'read-only']);
    assert.match(String(log.entries.find(({ what }) => what === 'reset')?.text), /takes writes/);
  });

  it('starts anew where read-only was lifted and put back while nobody looked', async (t) => {
    const { msr, connection } = await msrWorld(t, { replicas: 1 });
    const { state } = msr;
    const engine = new FakeEngine();
    let frozen = 0;
    engine.inFrozen = async () => {
      frozen += 1;
      if (frozen > 1) return;
      for (const isReadOnly of [false, true]) {
        state.setReadOnly(isReadOnly);
        for (let looks = 0; looks < 3; looks += 1) await state.replicas.look();
      }
      assert.deepEqual(Object.values(state.replicas.readOnly()), [true]);
    };
    const site: EngineSite = { ...engineSite(engine), pollMs: 600_000 };
    const log = new MemoryLog();
    const steps = [
      readOnlyStep(siteOf(connection, QUICK_PACE), ACCESS),
      finalPass(site, 10),
      verifyStep(site),
      forward('restore'),
    ];
    assert.equal((await run(steps, log)).is, 'done');
    assert.deepEqual(engine.calls, ['frozen', 'frozen', 'verify', 'written']);
    assert.match(String(log.entries.find(({ what }) => what === 'reset')?.text), /newer job ro_registry/);
  });

  it('that is not good, or a target that is not shown to be equal, takes everything back', async (t) => {
    for (const call of ['frozen', 'verify', 'written']) {
      const { msr, connection } = await msrWorld(t, { replicas: 1 });
      const engine = new FakeEngine();
      engine.bad = { call, why: 'one blob is missing' };
      const site = engineSite(engine);
      const outcome = await run([
        readOnlyStep(siteOf(connection), ACCESS),
        finalPass(site, 10),
        verifyStep(site),
        forward('restore'),
      ]);
      assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
      assert.match(String(outcome.failure?.why), /: one blob is missing$/);
      assert.deepEqual(msr.state.replicas.readOnly(), { [msr.state.replicas.ids[0] ?? '']: false });
    }
  });
});

describe('damage of the old storage that is let be', () => {
  const DAMAGE = [{ path: 'blobs/x', digest: 'sha256:ab', why: 'it hashes to cd' }];

  it('is told by name, is what the proof may lack, and is not let be by a run that was told less', async (t) => {
    const engine = new FakeEngine();
    engine.damage = DAMAGE;
    const site = engineSite(engine);
    const steps = async (told: number, proved: number) => [
      readOnlyStep(siteOf((await msrWorld(t, { replicas: 1 })).connection, QUICK_PACE), ACCESS),
      finalPass(site, 10, told),
      verifyStep(site, proved),
      forward('restore'),
    ];
    const log = new MemoryLog();
    assert.equal((await run(await steps(1, 1), log)).is, 'done');
    assert.deepEqual(engine.known, [['blobs/x'], ['blobs/x']]);
    for (const step of ['final-pass', 'verify']) {
      const shown = log.entries.find((entry) => entry.step === step && entry.what === 'effect-shown');
      assert.match(
        shown?.text ?? '',
        /; 1 object is damaged in the source and not in the target, .*: blobs\/x$/,
      );
    }
    const less = await run(await steps(1, 0));
    assert.ok(less.is === 'undone', less.is);
    assert.match(less.failure?.hint ?? '', /--accept-damage 1/);
  });
});

describe('a blob that the metadata names and the old storage lacks', () => {
  async function outcomeWith(t: TestContext, given: Partial<FakeEngine>, passes = 1): Promise<Outcome> {
    const { connection } = await msrWorld(t, { replicas: 1 });
    const engine = Object.assign(new FakeEngine(), given);
    const site: EngineSite = { ...engineSite(engine), keepsBlobs: true };
    return await run([
      livePasses(site, passes),
      readOnlyStep(siteOf(connection), ACCESS),
      finalPass(site, 10),
      verifyStep(site),
      forward('restore'),
    ]);
  }

  function undone(outcome: Outcome, why: RegExp): void {
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.match(String(outcome.failure?.why), why);
  }

  it('is no fault of the copy where it was missing before', async (t) => {
    for (const lacking of [
      { live: [3], final: 3, verify: 3 },
      { live: [3], final: 2, verify: 2 },
    ]) {
      assert.equal((await outcomeWith(t, { lacking })).is, 'done');
    }
  });

  it('ends the migration where it went missing meanwhile: the source may not be mounted any more', async (t) => {
    undone(
      await outcomeWith(t, { lacking: { live: [3], final: 3, verify: 4 } }),
      /lacks 4 blobs .* lacked 3 in the last live pass: some-id/,
    );
    // The target has it, from a pass that saw it.
    undone(
      await outcomeWith(t, { lacking: { live: [3], final: 4, verify: 3 } }),
      /lacks 4 blobs .* lacked 3 in the last live pass: some-id/,
    );
  });

  it('ends it where it went missing before the last live pass, too', async (t) => {
    const lacking = { live: [3, 4_000], final: 4_000, verify: 200 };
    undone(await outcomeWith(t, { lacking }, 2), /lacks 4000 blobs .* lacked 3 in/);
  });

  it('ends it where nobody has looked before: what is missing may be what is not mounted', async (t) => {
    const lacking = { live: [], final: 2, verify: 2 };
    undone(await outcomeWith(t, { lacking }, 0), /lacks 2 blobs .*no live pass has seen that it did/);
    const none = { live: [], final: 0, verify: 0 };
    assert.equal((await outcomeWith(t, { lacking: none }, 0)).is, 'done');
  });

  it('ends it without a backup as well: blobs do not become fewer where nothing collects garbage', async (t) => {
    const fewer = [90, 40, 89].map((blobs) => [blobs, 1] as const);
    undone(await outcomeWith(t, { counts: fewer }, 2), /has 89 blobs, and had 90 in a live pass/);
    const more = [90, 90, 91].map((blobs) => [blobs, 1] as const);
    assert.equal((await outcomeWith(t, { counts: more }, 2)).is, 'done');
  });
});

describe('a source of which all names, or all blobs, are gone since a live pass', () => {
  for (const [title, left, why] of [
    ['names', [90, 0], /no link, tag or other name any more, and had 7 in a live pass/],
    ['blobs', [0, 7], /no blob any more, and had 90 in a live pass/],
  ] as const) {
    it(`is not there as a whole (${title}), whoever is its platform`, async (t) => {
      const { connection } = await msrWorld(t, { replicas: 1 });
      const outcomeWith = async (last: readonly [number, number]): Promise<Outcome> => {
        const engine = Object.assign(new FakeEngine(), { counts: [[90, 7], last] });
        const site = engineSite(engine);
        const readOnly = readOnlyStep(siteOf(connection), ACCESS);
        return await run([livePasses(site, 1), readOnly, finalPass(site, 10), forward('switch')]);
      };
      const outcome = await outcomeWith(left);
      assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
      assert.match(String(outcome.failure?.why), why);
      assert.equal((await outcomeWith([1, 1])).is, 'done', 'some may go');
    });
  }
});

describe('a migration without a platform', () => {
  const steps = (engine: FakeEngine, answers: (lines: readonly string[]) => boolean) => {
    const shown: string[] = [];
    const preflight: Step = { ...forward('preflight'), kind: 'read' };
    const plan = noneSteps(
      { engine, pollMs: 1 },
      {
        preflight,
        passes: 1,
        window: { msMax: undefined, elsewhereMs: 0, ask: async () => true },
        deleteMax: 10,
        target: 's3://new',
        awaiter: async (lines) => {
          shown.push(lines.join('\n'));
          return answers(lines);
        },
      },
    );
    return { plan, shown };
  };

  it('shows what is to be done, and waits for it', async () => {
    const engine = new FakeEngine();
    const { plan, shown } = steps(engine, () => true);
    assert.equal((await run(plan)).is, 'done');
    assert.deepEqual(engine.calls, ['live', 'written', 'frozen', 'verify', 'written']);
    assert.equal(shown.length, 3);
    assert.match(shown[0] ?? '', /readonly\.enabled: true/);
    assert.match(shown[1] ?? '', /s3:\/\/new/);
    assert.match(shown[2] ?? '', /readonly\.enabled: false/);
  });

  it('takes read-only back where the final pass fails', async () => {
    const engine = new FakeEngine();
    engine.bad = { call: 'frozen', why: 'one blob is damaged' };
    const { plan, shown } = steps(engine, () => true);
    assert.equal((await run(plan)).is, 'undone');
    assert.match(shown.at(-1) ?? '', /readonly\.enabled: false again/);
  });

  it('opens no window where it was not made read-only, says whoever was asked', async () => {
    const engine = new FakeEngine();
    const { plan } = steps(
      engine,
      (lines) => !/enabled: true/.test(lines.join()) || engine.calls.length === 0,
    );
    const outcome = await run(plan);
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.ok(!engine.calls.includes('frozen'));
  });
});
