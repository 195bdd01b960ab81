// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the texts that users write.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type MigrationReading,
  readMigration,
  readMigrationFile,
} from '../../../src/cli/migration/migration-file.ts';
import { ConfigError } from '../../../src/core/errors.ts';
import { tempFolderFor } from '../../support/temp.ts';

const FILE = '/etc/registry/move.yml';
const SECRET = 'hunter2-hunter2';
const ENV = { MSR_TOKEN: SECRET, UCP_PASSWORD: `${SECRET}-mke`, HOST: 'msr.example.com', EMPTY: '' };

const WHOLE = `source: old.yml
target: s3://registry?region=eu-central-1
procedure: reconfigure
passes: auto
platform:
  kind: msr
  url: https://\${HOST}:4443
  username: admin
  tokenEnv: MSR_TOKEN
  ca: msr-ca.pem
  cli: docker
  image: mirantis/dtr:2.9.18
  replicaId: f1e2d3c4b5a6
  mke: { url: https://mke.example.com, username: admin, passwordEnv: UCP_PASSWORD, insecure: true }
backups: ./backups/
windowMax: 4h
journal: /var/lib/journal
report: ../report
`;

function read(text: string): MigrationReading {
  return readMigration(text, FILE, ENV);
}

function refusal(text: string): ConfigError {
  try {
    read(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  assert.fail('it was accepted');
}

/** The whole file with a line changed; undefined: left out. */
function changed(line: string, by: string | undefined): string {
  assert.ok(WHOLE.includes(`${line}\n`), line);
  return WHOLE.replace(`${line}\n`, by === undefined ? '' : `${by}\n`);
}

describe('a migration file', () => {
  it('is read whole, its paths taken from where it lies', () => {
    const { migration, notes } = read(WHOLE);
    assert.deepEqual(migration, {
      file: FILE,
      source: '/etc/registry/old.yml',
      target: 's3://registry?region=eu-central-1',
      passes: 'auto',
      platform: {
        kind: 'msr',
        procedure: 'reconfigure',
        url: 'https://msr.example.com:4443',
        username: 'admin',
        secretEnv: 'MSR_TOKEN',
        trust: { by: 'ca', file: '/etc/registry/msr-ca.pem' },
        cli: 'docker',
        image: 'mirantis/dtr:2.9.18',
        replicaId: 'f1e2d3c4b5a6',
        mount: undefined,
        ucpNode: undefined,
        externalUrl: undefined,
        patience: {},
        mke: {
          url: 'https://mke.example.com',
          username: 'admin',
          secretEnv: 'UCP_PASSWORD',
          trust: { by: 'nobody' },
        },
      },
      backups: '/etc/registry/backups',
      journal: '/var/lib/journal',
      report: '/etc/report',
      windowMsMax: 4 * 3_600_000,
    });
    assert.deepEqual(notes, [
      `${FILE}:14: "insecure" of mke: whoever answers there is believed and gets the credentials`,
    ]);
  });

  it('says where a restore makes the replica, and what the new storage is mounted by', () => {
    const more = '  replicaId: f1e2d3c4b5a6\n  ucpNode: node-1\n  externalUrl: https://images.example.com';
    for (const [line, mount] of [
      ['storageVolume: images', { volume: 'images' }],
      ['storageVolume: /srv/new images', { volume: '/srv/new images' }],
      ['nfsStorageUrl: nfs://server/srv/images', { nfs: 'nfs://server/srv/images' }],
    ] as const) {
      const text = changed('  replicaId: f1e2d3c4b5a6', `${more}\n  ${line}`);
      const { migration, notes } = read(text.replace('procedure: reconfigure', 'procedure: restore'));
      assert.ok(migration.platform.kind === 'msr');
      const { ucpNode, externalUrl } = migration.platform;
      assert.deepEqual(
        [migration.platform.mount, ucpNode, externalUrl, notes.length],
        [mount, 'node-1', 'https://images.example.com', 1],
      );
      assert.match(read(text).notes.join(), /"ucpNode" of platform has no effect with procedure reconfigure/);
    }
  });

  it('says how long to wait for what takes time', () => {
    const lines = ['readOnlyMax: 90s', 'jobsMax: 1h', 'commandMax: 2h', 'gcMax: 3h'].map(
      (line) => `  ${line}`,
    );
    const { migration } = read(
      changed('  replicaId: f1e2d3c4b5a6', ['  replicaId: f1e2d3c4b5a6', ...lines].join('\n')),
    );
    assert.ok(migration.platform.kind === 'msr');
    assert.deepEqual(migration.platform.patience, {
      switchMsMax: 90_000,
      drainMsMax: 3_600_000,
      containerMsMax: 7_200_000,
      collectionMsMax: 10_800_000,
    });
  });

  it('may leave out what has a default', () => {
    let text = WHOLE;
    for (const line of [
      'passes: auto',
      '  cli: docker',
      '  ca: msr-ca.pem',
      'backups: ./backups/',
      'windowMax: 4h',
    ]) {
      text = text.replace(`${line}\n`, '');
    }
    const { migration } = read(text.replace('journal: /var/lib/journal\nreport: ../report\n', ''));
    const { platform, passes, backups, journal, report, windowMsMax } = migration;
    assert.deepEqual([passes, backups, journal, report, windowMsMax].map(String), [
      'auto',
      '/etc/registry/backups',
      '/etc/registry/journal',
      '/etc/registry/report',
      'undefined',
    ]);
    assert.ok(platform.kind === 'msr');
    assert.deepEqual([platform.cli, platform.trust], ['print', { by: 'system' }]);
  });

  it('needs two storages alone where there is no platform', () => {
    for (const platform of ['platform: none', 'platform: { kind: none }']) {
      const { migration, notes } = read(`source: a.yml\ntarget: b.yml\n${platform}\npasses: 3\n`);
      assert.deepEqual(migration.platform, { kind: 'none' });
      assert.equal(migration.passes, 3);
      assert.deepEqual(notes, []);
    }
  });

  it('says what has no effect without a platform', () => {
    const text =
      'source: a\ntarget: b\nprocedure: restore\nplatform:\n  kind: none\n  cli: docker\n  mke: {}\n';
    assert.deepEqual(read(text).notes, [
      `${FILE}:3: "procedure" has no effect with kind none`,
      `${FILE}:4: "mke" of platform has no effect with kind none`,
      `${FILE}:6: "cli" of platform has no effect with kind none`,
    ]);
  });

  it('is taken from a file, which may be missing, a folder or no text', async (t) => {
    const folder = await tempFolderFor(t, 'migration');
    const file = join(folder, 'move.yml');
    await writeFile(file, WHOLE);
    assert.equal((await readMigrationFile(file, ENV)).migration.source, join(folder, 'old.yml'));
    await mkdir(join(folder, 'a'));
    await assert.rejects(
      readMigrationFile(join(folder, 'a'), ENV),
      /Cannot read the migration .*it is a folder/,
    );
    await assert.rejects(readMigrationFile(join(folder, 'b'), ENV), /there is no such file/);
    await writeFile(file, Buffer.from([0xff, 0xfe, 0x00]));
    await assert.rejects(readMigrationFile(file, ENV), /not UTF-8 text/);
  });
});

describe('mistakes in a migration file', () => {
  it('are told all at once, in the order of the file, with what was meant', () => {
    const { message } = refusal(`source: a.yml
targett: b.yml
procedure: restart
passes: -1
platfrom: none
platform:
  kind: msr
  url: http://msr.example.com
  user: admin
  replicaID: f1e2d3c4b5a6
  mke: { passwortEnv: X, url: mke.example.com }
windowMax: 4
`);
    assert.deepEqual(message.split('\n'), [
      `${FILE}:2: unknown parameter "targett" of the migration; did you mean "target"?`,
      `${FILE}:3: "procedure" of the migration must be one of reconfigure, restore, not "restart"`,
      `${FILE}:4: "passes" of the migration must be auto or a whole number from 0 to 100, not "-1"`,
      `${FILE}:5: unknown parameter "platfrom" of the migration; did you mean "platform"?`,
      `${FILE}:8: "url" of platform must begin with https://, or the credentials would cross the network readable, not "http://msr.example.com"`,
      `${FILE}:9: unknown parameter "user" of platform`,
      `${FILE}:10: unknown parameter "replicaID" of platform; did you mean "replicaId"?`,
      `${FILE}:11: unknown parameter "passwortEnv" of mke; did you mean "passwordEnv"?`,
      `${FILE}:11: "url" of mke must be an address such as https://msr.example.com, not "mke.example.com"`,
      `${FILE}:12: "windowMax" of the migration must be a time such as 90s, 30m or 4h, not "4"`,
    ]);
  });

  it('are also what is missing, once all that is given is right', () => {
    const text = 'platform: { kind: msr, mke: { username: admin } }\n';
    assert.deepEqual(refusal(text).message.split('\n'), [
      `${FILE}:1: "source" is missing`,
      `${FILE}:1: "target" is missing`,
      `${FILE}:1: "procedure" is missing; it is reconfigure or restore`,
      `${FILE}:1: "image" of platform is missing`,
      `${FILE}:1: "replicaId" of platform is missing`,
      `${FILE}:1: "url" of platform is missing`,
      `${FILE}:1: "username" of platform is missing`,
      `${FILE}:1: "passwordEnv" or "tokenEnv" of platform is missing`,
      `${FILE}:1: "url" of mke is missing`,
      `${FILE}:1: "passwordEnv" of mke is missing`,
    ]);
    assert.match(refusal('source: a\ntarget: b\n').message, /:1: "platform" is missing/);
    assert.match(
      refusal('source: a\ntarget: b\nplatform: {}\n').message,
      /:3: "kind" of platform is missing/,
    );
    assert.match(refusal(WHOLE.replace(/ {2}mke: .*\n/, '')).message, /:5: "mke" of platform is missing/);
  });

  const CASES: readonly (readonly [title: string, line: string, by: string, expected: RegExp])[] = [
    [
      'a storage moved onto itself',
      'source: old.yml',
      'source: s3://registry?region=eu-central-1',
      /:2: "target" is the same/,
    ],
    [
      'two ways to name the secret',
      '  username: admin',
      '  username: admin\n  passwordEnv: UCP_PASSWORD',
      /stands beside "passwordEnv"/,
    ],
    [
      'a variable that is not set',
      '  tokenEnv: MSR_TOKEN',
      '  tokenEnv: NOT_SET',
      /:9: "tokenEnv" of platform names an environment variable that is not set/,
    ],
    ['a variable that is empty', '  tokenEnv: MSR_TOKEN', '  tokenEnv: EMPTY', /is not set or empty/],
    [
      'an authority and no check',
      '  ca: msr-ca.pem',
      '  ca: msr-ca.pem\n  insecure: yes',
      /"insecure" of platform stands beside "ca"/,
    ],
    [
      'an image that is a flag',
      '  image: mirantis/dtr:2.9.18',
      '  image: --privileged',
      /:12: "image" of platform must be the name of an image/,
    ],
    ['a replica that is none', '  replicaId: f1e2d3c4b5a6', '  replicaId: f1e2', /12 hex digits/],
    [
      'a restore on no node',
      'procedure: reconfigure',
      'procedure: restore',
      /:5: "ucpNode" of platform is missing/,
    ],
    ...(
      [
        ['a volume that is a flag', 'storageVolume: --debug', /the name of a volume, or a full path/],
        ['a path that leads elsewhere', 'storageVolume: /srv/../etc', /without \.\. in it/],
        ['no address of NFS', 'nfsStorageUrl: server:/folder', /such as nfs:\/\/server\/folder/],
        ['a node that is a flag', 'ucpNode: -x', /the name of a node of MKE/],
        [
          'two mounts',
          'storageVolume: a\n  nfsStorageUrl: nfs://b/c',
          /"nfsStorageUrl" stands beside "storageVolume"/,
        ],
      ] as const
    ).map(([title, line, expected]): (typeof CASES)[number] => [
      title,
      '  replicaId: f1e2d3c4b5a6',
      `  replicaId: f1e2d3c4b5a6\n  ${line}`,
      expected,
    ]),
    ['a path in the address', '  url: https://${HOST}:4443', '  url: https://a/api', /without a path/],
    [
      'a kind that is not known',
      '  kind: msr',
      '  kind: quay',
      /:6: "kind" of platform must be one of msr, none/,
    ],
    [
      'a variable in braces that is not set',
      'source: old.yml',
      'source: ${NOPE}/a',
      /:1: "source" of the migration needs the environment variable "NOPE"/,
    ],
    ['a window of nothing', 'windowMax: 4h', 'windowMax: 0', /must be a time/],
    ['passes without end', 'passes: auto', 'passes: 1000', /from 0 to 100/],
    ['an empty value', 'source: old.yml', 'source:', /:1: "source" of the migration has no value/],
    ['a list', 'report: ../report', 'report: [a]', /must be a single value/],
    ['a section that is none', 'windowMax: 4h', 'windowMax: 4h\nplatform: x', /given twice/],
  ];
  for (const [title, line, by, expected] of CASES) {
    it(`are named: ${title}`, () => {
      assert.match(refusal(changed(line, by)).message, expected);
    });
  }

  it('are a file that is empty, a list, or no YAML', () => {
    assert.match(refusal('').message, /:1: the file is empty/);
    assert.match(refusal('- a\n').message, /:1: this is no migration/);
    assert.match(refusal('a: [').message, /move\.yml:1: /);
    assert.match(refusal('source: a\ntarget: b\nplatform: [msr]\n').message, /"platform" must be a section/);
  });
});

describe('secrets and a migration file', () => {
  it('do not go together, under whatever name', () => {
    for (const name of ['password', 'token', 'secret', 'apiToken', 'access_key', 'ucp-password', 'Passwd']) {
      const error = refusal(changed('  username: admin', `  username: admin\n  ${name}: ${SECRET}`));
      assert.match(
        error.message,
        new RegExp(`:9: "${name}" of platform would hold a secret, which this file must not`),
      );
      assert.match(String(error.hint), /passwordEnv.*tokenEnv/);
      assert.doesNotMatch(error.message, /hunter2/);
    }
    assert.match(
      refusal(`${WHOLE}password: ${SECRET}\n`).message,
      /:19: "password" of the migration would hold/,
    );
    const inMke = WHOLE.replace('passwordEnv: UCP_PASSWORD', `password: ${SECRET}`);
    assert.match(refusal(inMke).message, /:14: "password" of mke would hold a secret/);
  });

  it('are not repeated where one is written in the place of something else', () => {
    for (const [line, by] of [
      ['  tokenEnv: MSR_TOKEN', `  tokenEnv: ${SECRET}`],
      ['  tokenEnv: MSR_TOKEN', `  tokenEnv: ${SECRET.replace('-', '_')}`],
      ['  url: https://${HOST}:4443', `  url: https://admin:${SECRET}@msr.example.com`],
      ['  username: admin', `  username: admin:${SECRET}?`],
      ['  replicaId: f1e2d3c4b5a6', '  replicaId: ${MSR_TOKEN}'],
    ] as const) {
      const error = refusal(changed(line, by));
      assert.doesNotMatch(`${error.message} ${error.hint}`, /hunter2/, by);
    }
  });

  it('are not in what is read', () => {
    assert.doesNotMatch(JSON.stringify(read(WHOLE)), /hunter2/);
  });
});

it('whatever stands in a migration file, it is read or refused with a ConfigError', () => {
  const names = fc.constantFrom(
    'source',
    'target',
    'platform',
    'mke',
    'passes',
    'kind',
    '__proto__',
    'url',
    'x',
  );
  const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null));
  const section = fc.dictionary(names, fc.oneof(value, fc.dictionary(names, value), fc.array(value)));
  fc.assert(
    fc.property(fc.dictionary(names, fc.oneof(value, section)), (file) => {
      try {
        read(JSON.stringify(file));
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});
