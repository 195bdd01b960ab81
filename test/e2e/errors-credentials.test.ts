/** Rows of docs/errors.md about credentials, temporary ones above all. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { S3Server } from '../../bench/s3-server/s3-server.ts';
import type { CliResult } from '../support/cli.ts';
import { HELPER_SECRETS, makeCredentialHelper } from '../support/credential-helper.ts';
import { copy, ENGINES, type Engine, errorTests, type RowTest } from '../support/error-tests.ts';
import { BUCKET, holdsTree, s3Url, startServer, treeUrl } from '../support/error-world.ts';
import type { Environment } from '../support/process.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

const NO_KEYS = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
/** Enough objects, each slow enough, for a copy of some ten seconds. */
const MANY = makeSmallTree({
  seed: 'many',
  blobBytes: Array.from({ length: 30 }, (_, index) => 300 + index),
});
const SLOWLY = ['--threads', '2', '--concurrency', '1'];

async function slow(server: S3Server, ms: number): Promise<void> {
  await server.misbehave({ fault: { kind: 'latency', ms }, method: 'PUT', keyPrefix: 'docker/' });
}

/** A copy with this environment, to a server that knows the tests' own key. */
function refused(env: Environment, secrets: readonly string[] = []): RowTest {
  return async (t, row) => {
    const { endpoint } = await startServer(t);
    for (const engine of ENGINES) {
      row.check(await copy(t, await treeUrl(t), s3Url(endpoint), { engine, env, secrets }));
    }
  };
}

/** A copy with a profile of this content. */
function profile(content: string, secrets: readonly string[] = []): RowTest {
  return async (t, row) => {
    const config = join(await tempFolderFor(t, 'aws'), 'config');
    await writeFile(config, content);
    await refused({ ...NO_KEYS, AWS_CONFIG_FILE: config, AWS_PROFILE: 'mine' }, secrets)(t, row);
  };
}

/** Settings with temporary keys in them, as nobody can renew them. */
async function yamlWith(t: TestContext, server: S3Server, token: string): Promise<string> {
  const file = join(await tempFolderFor(t, 'settings'), 'new.yml');
  const lines = [
    `bucket: ${BUCKET}`,
    `regionendpoint: ${server.endpoint}`,
    `accesskey: ASIA${token.toUpperCase()}`,
    `secretkey: secret-of-${token}`,
    `sessiontoken: token-of-${token}`,
  ];
  await writeFile(file, `s3:\n${lines.map((line) => `  ${line}\n`).join('')}`);
  return file;
}

function temporary(token: string, expiresAtMs: number) {
  return {
    accessKeyId: `ASIA${token.toUpperCase()}`,
    secretAccessKey: `secret-of-${token}`,
    sessionToken: `token-of-${token}`,
    expiresAtMs,
  };
}

/** Both engines at once: what they do is mostly wait. */
function withBothEngines(test: (engine: Engine, ...rest: Parameters<RowTest>) => Promise<void>): RowTest {
  return async (t, row) => void (await Promise.all(ENGINES.map((engine) => test(engine, t, row))));
}

/**
 * Credentials expire by the clock, and how far a copy gets until then is the machine's word: where that was too far or not
 * far enough, the same again with three times as long for everything. What holds nowhere fails each time.
 */
async function inTime(test: (times: number) => Promise<void>): Promise<void> {
  for (const times of [1, 3]) {
    try {
      return await test(times);
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error;
    }
  }
  await test(9);
}

async function endsWell(server: S3Server, result: CliResult): Promise<void> {
  assert.equal(result.code, 0, result.stderr);
  assert.ok(await holdsTree(server, '', MANY));
}

const TEMPORARY_SECRETS = ['secret-of-', 'token-of-'];
const HOUR_MS = 3_600_000;

errorTests(import.meta.filename, {
  'no credentials anywhere': refused(NO_KEYS),
  'no credentials, and no instance that has a role': refused({
    ...NO_KEYS,
    AWS_EC2_METADATA_DISABLED: undefined,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:9',
  }),
  'an access key that the server does not know': refused({ AWS_ACCESS_KEY_ID: 'AKIASTRANGER' }),
  'a secret key that is wrong': refused({ AWS_SECRET_ACCESS_KEY: 'not-the-right-secret' }),
  'a profile that is not there': refused({ ...NO_KEYS, AWS_PROFILE: 'nobody' }),
  'a credential_process that fails': profile(
    '[profile mine]\ncredential_process = sh -c "echo the vault is sealed >&2; exit 2" --password hidden-in-a-command\n',
    ['hidden-in-a-command'],
  ),
  'a credential_process that is not there': profile(
    '[profile mine]\ncredential_process = /nonexistent/helper --password hidden-in-a-command\n',
    ['hidden-in-a-command'],
  ),
  'a credential_process that says something else': profile(
    '[profile mine]\ncredential_process = echo hello\n',
  ),
  'a session token that is not the right one': async (t, row) => {
    const right = temporary('right', Date.now() + HOUR_MS);
    const server = await startServer(t, { credentials: [right] });
    const env = {
      AWS_ACCESS_KEY_ID: right.accessKeyId,
      AWS_SECRET_ACCESS_KEY: right.secretAccessKey,
      AWS_SESSION_TOKEN: 'not-the-right-token',
    };
    for (const engine of ENGINES) {
      row.check(await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine, env }));
    }
  },
  'temporary keys in the settings that have expired': async (t, row) => {
    const server = await startServer(t, { credentials: [temporary('old', Date.now() - 1000)] });
    const to = await yamlWith(t, server, 'old');
    for (const engine of ENGINES) {
      row.check(await copy(t, await treeUrl(t), to, { engine, secrets: TEMPORARY_SECRETS }));
    }
  },
  'temporary keys in the settings that expire on the way': withBothEngines(async (engine, t, row) => {
    const from = await treeUrl(t, MANY);
    const credentials = [temporary('old', Date.now() + HOUR_MS), temporary('new', Date.now() + HOUR_MS)];
    const server = await startServer(t, { credentials });
    // When they expire is the server's word, and on a busy machine no moment is the right one for a clock's.
    const fault = { kind: 'status', status: 400, code: 'ExpiredToken' } as const;
    const expiry = await server.misbehave({
      fault,
      method: 'PUT',
      keyPrefix: 'docker/',
      skip: 20,
      times: 10_000,
    });
    const journal = await tempFolderFor(t, 'journal');
    const options = { engine, journal, more: SLOWLY, secrets: TEMPORARY_SECRETS };
    row.check(await copy(t, from, await yamlWith(t, server, 'old'), options));
    assert.ok((await server.keys(BUCKET)).length > 0, 'nothing was copied before they expired');
    await expiry.remove();
    const toNew = await yamlWith(t, server, 'new');
    await endsWell(server, await copy(t, from, toNew, { ...options, more: [] }));
  }),
  'credentials of a profile that expire on the way': withBothEngines((engine, t, row) =>
    inTime(async (times) => {
      const helper = await makeCredentialHelper(t, {
        periodSeconds: 2 * times,
        goodForSeconds: 6 * times,
        tellsExpiry: true,
      });
      const server = await startServer(t, { credentials: helper.generations });
      await slow(server, 150 * times);
      const options = { engine, env: helper.env, more: SLOWLY, secrets: HELPER_SECRETS };
      const result = await copy(t, await treeUrl(t, MANY), s3Url(server.endpoint), options);
      row.check(result);
      await endsWell(server, result);
      assert.equal((await server.stats()).errorsByCode['ExpiredToken'] ?? 0, 0, 'not renewed in time');
      assert.ok(result.seconds > 6 * times, `too short to see it: ${result.seconds} s`);
      // Once before the threads begin, and twice in each of them.
      assert.ok((await helper.runs()) >= 5, `asked ${await helper.runs()} times`);
    }),
  ),
  'credentials of a profile that expire without having said when': withBothEngines(async (engine, t, row) => {
    const helper = await makeCredentialHelper(t, {
      periodSeconds: 1,
      goodForSeconds: 3,
      tellsExpiry: false,
    });
    const server = await startServer(t, { credentials: helper.generations });
    await slow(server, 100);
    const options = { engine, env: helper.env, more: SLOWLY, secrets: HELPER_SECRETS };
    const result = await copy(t, await treeUrl(t, MANY), s3Url(server.endpoint), options);
    row.check(result);
    await endsWell(server, result);
    assert.ok(((await server.stats()).errorsByCode['ExpiredToken'] ?? 0) > 0, 'nothing expired');
  }),
  'credentials of a profile that cannot be renewed on the way': withBothEngines((engine, t, row) =>
    inTime(async (times) => {
      const helper = await makeCredentialHelper(t, {
        periodSeconds: 600,
        goodForSeconds: 8 * times,
        tellsExpiry: 'early',
      });
      const later = temporary('later', Date.now() + HOUR_MS);
      const server = await startServer(t, { credentials: [...helper.generations, later] });
      await slow(server, 400 * times);
      const journal = await tempFolderFor(t, 'journal');
      const from = await treeUrl(t, MANY);
      const result = await copy(t, from, s3Url(server.endpoint), {
        engine,
        journal,
        env: helper.env,
        more: SLOWLY,
        secrets: HELPER_SECRETS,
        // The first lines come when the credentials have been found.
        onLine: () => void helper.fail('the vault is sealed'),
      });
      row.check(result);
      assert.ok((await server.keys(BUCKET)).length > 0, 'nothing was copied before they expired');
      const env = {
        AWS_ACCESS_KEY_ID: later.accessKeyId,
        AWS_SECRET_ACCESS_KEY: later.secretAccessKey,
        AWS_SESSION_TOKEN: later.sessionToken,
      };
      await endsWell(server, await copy(t, from, s3Url(server.endpoint), { engine, journal, env }));
    }),
  ),
});
