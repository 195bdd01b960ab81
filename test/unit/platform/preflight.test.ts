/** What the preflight finds, one wrong thing at a time. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SurveyReport, TargetFindings } from '../../../src/platform/engine-port.ts';
import type { NewStorage } from '../../../src/platform/msr/msr-site.ts';
import type { Finding } from '../../../src/platform/preflight/finding.ts';
import { type MsrChecks, msrChecks } from '../../../src/platform/preflight/msr-checks.ts';
import { preflightStep } from '../../../src/platform/preflight/preflight-step.ts';
import { storageChecks } from '../../../src/platform/preflight/storage-checks.ts';
import { PrintedCommands } from '../../../src/platform/print-commands.ts';
import { runSaga } from '../../../src/platform/saga/saga.ts';
import type { MsrOptions } from '../../support/msr/state.ts';
import { FakeEngine } from './fake-engine.ts';
import { type Afterwards, connect, type MsrWorld, msrWorld, siteOf } from './msr-world.ts';
import { MemoryLog } from './saga/memory-log.ts';

const { signal } = new AbortController();
const CLOUD: NewStorage = { by: 'settings', section: { driver: 's3', parameters: { bucket: 'new' } } };
const DTR = {
  image: 'mirantis/dtr:2.9.18',
  replicaId: 'f1e2d3c4b5a0',
  mke: { url: 'https://mke', username: 'a', secretEnv: 'P', trust: { by: 'nobody' } },
} as const;

function checksOf({ connection }: Pick<MsrWorld, 'connection'>, more: Partial<MsrChecks> = {}): MsrChecks {
  const site = {
    ...siteOf(connection),
    containers: new PrintedCommands(async () => true),
    dtr: DTR,
    backups: '/b',
    digests: '/d',
    report: '/r',
  };
  return {
    site,
    procedure: 'restore',
    cli: 'print',
    source: { driver: 'filesystem', parameters: {} },
    target: CLOUD,
    redirects: async () => ({ host: 's3.example', authority: 'issued by nobody' }),
    offeredCa: async () => '"test", SHA-256 AA:BB',
    isInsecure: false,
    ...more,
  };
}

async function findings(checks: ReturnType<typeof msrChecks>): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const step = preflightStep({ checks, onFinding: (one) => found.push(one), ask: async () => true });
  await runSaga([step], new MemoryLog(), { signal, yes: true, yesForward: false, ask: async () => false });
  return found;
}

const problemsOf = (found: readonly Finding[]): readonly string[] =>
  found.filter(({ is }) => is === 'problem').map(({ item, text }) => `${item}: ${text}`);

async function msrFindings(
  t: Afterwards,
  options: Partial<MsrOptions> = {},
  change: (world: MsrWorld) => Partial<MsrChecks> | undefined = () => undefined,
): Promise<readonly Finding[]> {
  const world = await msrWorld(t, options);
  const more = change(world) ?? {};
  return await findings(msrChecks(checksOf(world, more)));
}

describe('the preflight of MSR', () => {
  it('finds nothing wrong with a registry that is well, and says what is worth knowing', async (t) => {
    const found = await msrFindings(t, {}, ({ msr }) => {
      msr.state.crons.set('gc', { id: '1', action: 'gc', schedule: '@daily' });
      msr.state.jobs.script('onlinegc', ['running']);
      msr.state.jobs.create('onlinegc');
      return { target: CLOUD };
    });
    assert.deepEqual(problemsOf(found), []);
    const texts = found.map(({ item, is, text }) => `${item} ${is}: ${text}`).join('\n');
    assert.match(texts, /crons note: gc \(@daily\): taken away/);
    assert.match(texts, /running jobs note: onlinegc .* it is waited for/);
    // The stand-in has redirects disabled.
    assert.match(texts, /redirects ok: disabled/);
    assert.match(texts, /version of MSR ok: .* runs MSR 2\.9\.18/);
  });

  it('asks where clients will be sent to another host', async (t) => {
    const found = await msrFindings(t, {}, ({ msr }) => {
      msr.state.registrySettings = { storage: { ...msr.state.section, redirect: { disable: false } } };
      return {};
    });
    const asked = found.filter(({ is }) => is === 'ask').map(({ text }) => text);
    assert.equal(asked.length, 1);
    assert.match(asked[0] ?? '', /from s3\.example \(issued by nobody\): every node must reach it/);
  });

  it('notes a clock that is a minute off', async (t) => {
    for (const [aheadMs, is] of [
      [-30_000, 'ok'],
      [90_000, 'note'],
    ] as const) {
      const found = await msrFindings(t, {}, ({ msr }) => {
        msr.state.clockAheadMs = aheadMs;
        return {};
      });
      assert.equal(found.find(({ item }) => item === 'clock of MSR')?.is, is);
    }
  });

  const CASES: readonly (readonly [
    title: string,
    options: Partial<MsrOptions>,
    change: (world: MsrWorld) => Partial<MsrChecks> | undefined,
    expected: RegExp,
  ])[] = [
    [
      'a version that is not supported',
      { version: '3.0.1' },
      () => ({}),
      /version of MSR: .*runs MSR 3\.0\.1/,
    ],
    [
      'an image of another version',
      { version: '2.9.17' },
      () => ({}),
      /MSR runs 2\.9\.17, and the image is mirantis\/dtr:2\.9\.18/,
    ],
    [
      'a replica that is down',
      {},
      ({ msr }) => void msr.state.replicas.ailments.set('f1e2d3c4b5a1', 'unreachable'),
      /health of MSR: Replica f1e2d3c4b5a1 is not well/,
    ],
    [
      'a clock by which no backup could be told to be fresh',
      {},
      ({ msr }) => {
        msr.state.clockAheadMs = -900_000;
        return {};
      },
      /clock of MSR: the clock of .* is 900 s behind the one here: nobody could tell/,
    ],
    [
      'a replica that is not there',
      {},
      ({ connection }) => {
        const checks = checksOf({ connection });
        return { site: { ...checks.site, dtr: { ...DTR, replicaId: '000000000000' } } };
      },
      /There is no replica 000000000000/,
    ],
    [
      'replicas of which nobody tells whether they are read-only',
      { assumes: { statusTellsReadOnly: false } },
      () => ({}),
      /does not tell whether its replicas are read-only/,
    ],
    [
      'another storage than the source',
      {},
      () => ({ source: { driver: 's3', parameters: { bucket: 'old' } } }),
      /storage of MSR: MSR runs on filesystem.*the source is s3/,
    ],
    [
      'a storage that is the target already',
      {
        storage: {
          s3: { endpoint: 'http://127.0.0.1:1', bucket: 'new', accessKeyId: 'a', secretAccessKey: 'b' },
        },
      },
      () => ({
        target: {
          by: 'settings',
          section: { driver: 's3', parameters: { bucket: 'new', regionendpoint: 'http://127.0.0.1:1' } },
        },
      }),
      /which is the target already/,
    ],
    [
      'a mounted storage that is the target already',
      {},
      ({ msr }) => ({
        procedure: 'reconfigure',
        target: { by: 'mount', mount: { volume: `${String(msr.state.mounted?.said)}/` } },
      }),
      /storage of MSR: MSR runs on filesystem on the volume .*, which is the target already/,
    ],
    [
      'settings whose secrets are not told',
      {},
      ({ msr }) => {
        const hidden = { s3: { bucket: 'old', secretkey: '********' } };
        msr.state.registrySettings = { storage: { ...hidden, redirect: { disable: true } } };
        return { procedure: 'reconfigure', source: { driver: 's3', parameters: { bucket: 'old' } } };
      },
      /storage of MSR: .*masks the secrets/,
    ],
    [
      'an old storage that a destroy would take',
      {},
      ({ msr }) => {
        msr.state.mounted = { folder: msr.state.tree, said: 'dtr-registry-f1e2d3c4b5a0' };
        return {};
      },
      /volumes: The old storage lies in a volume of a replica/,
    ],
    [
      'a new storage that a destroy would take',
      {},
      () => ({ target: { by: 'mount', mount: { volume: 'dtr-registry-f1e2d3c4b5a0' } } }),
      /volumes: The new storage is dtr-registry-f1e2d3c4b5a0/,
    ],
  ];
  for (const [title, options, change, expected] of CASES) {
    it(`finds ${title}`, async (t) => {
      const problems = problemsOf(await msrFindings(t, options, change));
      // MSR's own word of its health is one more; and what runs on the target is not on the source.
      assert.ok([1, 2].includes(problems.length), problems.join('\n'));
      assert.match(problems.join('\n'), expected);
    });
  }

  it('finds a token that is wrong, and a user who is no administrator', async (t) => {
    const { msr } = await msrWorld(t);
    for (const [access, expected] of [
      [{ secret: 'expired' }, /401/],
      [{ username: 'reader', secret: 'reader-password' }, /403/],
    ] as const) {
      const connection = connect(t, msr, access);
      const problems = problemsOf(await findings(msrChecks(checksOf({ connection }))));
      assert.match(problems.join('\n'), expected);
      assert.ok(problems.every((text) => !text.includes('expired') || /token may have/.test(text)));
    }
  });
});

describe('the preflight of storages', () => {
  const TARGET: TargetFindings = {
    name: 's3://new',
    kind: 's3',
    rights: (['list', 'read', 'write', 'delete'] as const).map((right) => ({ right, is: 'granted' })),
    holds: 'nothing',
    clockAheadMs: 10,
    freeBytes: 10_000,
    rules: [],
  };
  const SURVEY: SurveyReport = {
    beganMs: 1,
    endedMs: 2,
    listingMs: 60_000,
    layout: 'msr',
    reason: 'blobs by id',
    warnings: [],
    objects: 10,
    bytes: 5_000,
    archived: { count: 0, first: [] },
    damaged: { count: 0, first: [] },
  };

  async function storageFindings(
    target: Partial<TargetFindings> = {},
    survey: Partial<SurveyReport> = {},
    {
      hasBackups = true,
      msMax,
      damageMax,
    }: { readonly hasBackups?: boolean; readonly msMax?: number; readonly damageMax?: number } = {},
  ): Promise<readonly Finding[]> {
    const engine = Object.assign(new FakeEngine(), {
      lookAtSource: async () => ({ ...TARGET, name: join('file:', 'old') }),
      lookAtTarget: async () => ({ ...TARGET, ...target }),
      survey: async () => ({ ...SURVEY, ...survey }),
    });
    const call = () => ({ signal });
    const window = { msMax, elsewhereMs: 600_000, threads: 2 };
    const checks = { engine, call, isWithoutDigests: false, hasBackups, window, damageMax };
    return await findings(storageChecks(checks));
  }

  it('finds nothing wrong where nothing is', async () => {
    const found = await storageFindings();
    const others = found.filter(({ is }) => is !== 'ok').map(({ item, is }) => `${item} ${is}`);
    assert.deepEqual(others, ['window note']);
    assert.equal(found.length, 11);
  });

  const soon = Date.now() + 60_000;
  const CASES: readonly (readonly [string, Partial<TargetFindings>, Partial<SurveyReport>, RegExp])[] = [
    [
      'a right that is missing',
      { rights: [{ right: 'write', is: 'refused', why: 'AccessDenied' }] },
      {},
      /target storage: s3:\/\/new may not be used to write: AccessDenied/,
    ],
    [
      'a target that holds something else',
      { holds: 'stranger', stranger: 'a.txt' },
      {},
      /did not bring: "a\.txt"/,
    ],
    ['clocks that differ', { clockAheadMs: -600_000 }, {}, /clocks: the clock of s3:\/\/new is 600 s behind/],
    ['too little room', { freeBytes: 5_100 }, {}, /room for 5100 bytes, and the source holds 5000/],
    [
      'too few files that can be made',
      { freeFiles: 19 },
      {},
      /room for 19 files and folders, and 20 are needed/,
    ],
    ['credentials that end', { credentialsExpireMs: soon }, {}, /credentials: those for s3:\/\/new end at/],
    [
      'objects in archives',
      {},
      { archived: { count: 12, first: ['a', 'b'] } },
      /12 objects are archived.*: a, b and more/,
    ],
    [
      'old damage',
      {},
      { damaged: { count: 1, first: ['x: empty'] } },
      /1 objects are damaged already: x: empty/,
    ],
  ];
  for (const [title, target, survey, expected] of CASES) {
    it(`finds ${title}`, async () => {
      const problems = problemsOf(await storageFindings(target, survey));
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', expected);
    });
  }

  it('says how long the window is at the least, and begins nothing where that is too long already', async () => {
    // A minute for the comparison, half a minute for the pass by two threads, ten for the steps around them.
    const least = 'the registry will be read-only for at least 12 min: 90 s for listing both sides twice';
    for (const [msMax, is] of [
      [undefined, 'note'],
      [690_000, 'note'],
      [689_999, 'problem'],
    ] as const) {
      const found = await storageFindings({}, {}, msMax === undefined ? {} : { msMax });
      const window = found.find(({ item }) => item === 'window');
      assert.equal(window?.is, is, `${msMax}`);
      assert.ok(window?.text.startsWith(`${least} and 10 min for the steps around it`), window?.text);
      assert.equal(/and windowMax is 12 min$/.test(window.text), is === 'problem', window.text);
    }
  });

  it('holds the end of credentials against the end of the migration', async () => {
    const hours = 60 * 60_000;
    // Twenty terabytes take hours at the very best, and weeks as things mostly go.
    const survey = { bytes: 20e12, objects: 1_000 };
    for (const [endHours, is, word] of [
      [3, 'problem', /at the very least/],
      [24, 'note', /the window is not opened unless they outlast it/],
      [24 * 60, 'ok', /the migration at about/],
    ] as const) {
      const credentialsExpireMs = Date.now() + endHours * hours;
      const found = await storageFindings({ credentialsExpireMs, freeBytes: 1e15 }, survey);
      const finding = found.find(({ item }) => item === 'credentials');
      assert.equal(finding?.is, is, `${endHours} h`);
      assert.match(finding.text, word);
    }
    // What an earlier run has copied need not be copied again.
    const soon = { credentialsExpireMs: Date.now() + 3 * hours, holds: 'ours', freeBytes: 1e15 } as const;
    const begun = (await storageFindings(soon, survey)).find(({ item }) => item === 'credentials');
    assert.equal(begun?.is, 'note');
    const unsure = await storageFindings({ areCredentialsTemporary: true });
    assert.match(
      unsure.find(({ item }) => item === 'credentials')?.text ?? '',
      /those for s3:\/\/new are temporary, and do not say when they end/,
    );
  });

  it('lets old damage be that was counted, and no more than that', async () => {
    const damaged = { count: 2, first: ['x: empty', 'y: empty'] };
    const letBe = async (damageMax: number) =>
      (await storageFindings({}, { damaged }, { damageMax })).find(({ text }) =>
        /damaged already/.test(text),
      );
    const [more, less] = [await letBe(2), await letBe(1)];
    assert.equal(more?.is, 'note');
    assert.match(
      more.text,
      /x: empty, y: empty; --accept-damage 2: they are left out, .*nothing that is proved/,
    );
    assert.equal(less?.is, 'problem');
    assert.match(less.hint ?? '', /To leave them out knowingly: --accept-damage 2$/);
  });

  it('refuses blobs of which nothing says what they must hash to, and names rules of the target', async () => {
    assert.match(
      problemsOf(await storageFindings({}, {}, { hasBackups: false })).join(),
      /no backup says what each blob must hash to/,
    );
    const found = await storageFindings({ rules: ['a lifecycle rule removes objects after 30 days'] });
    assert.ok(found.some(({ is, text }) => is === 'note' && /after 30 days/.test(text)));
  });

  it('says that rules were not asked for where no one is asked, and that a folder has none', async () => {
    const { rules: _, ...withoutRules } = TARGET;
    for (const [kind, is, words] of [
      ['azure', 'unknown', /rules for lifecycle, locks and versions were not asked for/],
      ['fs', 'ok', /a folder has no rules/],
    ] as const) {
      const engine = Object.assign(new FakeEngine(), {
        lookAtSource: async () => TARGET,
        lookAtTarget: async () => ({ ...withoutRules, kind }),
        survey: async () => SURVEY,
      });
      const window = { msMax: undefined, elsewhereMs: 0, threads: 2 };
      const call = () => ({ signal });
      const checks = { engine, call, isWithoutDigests: false, hasBackups: true, window };
      const found = await findings(storageChecks(checks));
      const [rules] = found.filter(({ item }) => item === 'rules of the target');
      assert.equal(rules?.is, is);
      assert.match(rules?.text ?? '', words);
    }
  });

  it('begins nothing where somebody does not agree, and shows what it could not find out', async () => {
    const checks = [{ item: 'x', look: async () => [{ is: 'ask' as const, text: 'clients go elsewhere' }] }];
    const step = preflightStep({ checks, onFinding: () => undefined, ask: async () => false });
    const outcome = await runSaga([step], new MemoryLog(), {
      signal,
      yes: true,
      yesForward: false,
      ask: async () => false,
    });
    assert.ok(outcome.is === 'refused');
    assert.match(outcome.failure.why, /Nobody agreed to this: x: clients go elsewhere/);
  });
});
