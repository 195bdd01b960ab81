import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isStorageError, type StorageError } from '../../../src/core/errors.ts';
import { type Fetch, tokenSourceFor } from '../../../src/drivers/gcs/gcs-auth.ts';
import type { GcsAccess } from '../../../src/drivers/spec.ts';
import { CTX, gcsSpecFor, gcsWorldFor } from '../../support/gcs-world.ts';
import { tempFolderFor } from '../../support/temp.ts';

const { publicKey, privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

const ACCOUNT = {
  type: 'service_account',
  client_email: 'ferry@project.iam.gserviceaccount.com',
  private_key: privateKey,
  private_key_id: 'id-of-the-key',
};
const AS_ACCOUNT: GcsAccess = { kind: 'credentials', credentials: ACCOUNT };

interface Asked {
  readonly url: string;
  readonly form: URLSearchParams;
}

/** Stands for oauth2.googleapis.com, and keeps what it was asked. */
function tokenServer(answer: (asked: Asked) => Response): { fetch: Fetch; asked: Asked[] } {
  const asked: Asked[] = [];
  const fetch: Fetch = async (input, init) => {
    const one = { url: String(input), form: new URLSearchParams(String(init?.body)) };
    asked.push(one);
    return answer(one);
  };
  return { fetch, asked };
}

function json(status: number, value: unknown): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json' } });
}

/** https://developers.google.com/identity/protocols/oauth2/service-account: who signs, for whom, for how long. */
function claimsOf(jwt: string): Record<string, unknown> {
  const [header = '', claims = '', signature = ''] = jwt.split('.');
  const signed = Buffer.from(`${header}.${claims}`);
  const isSigned = verify('sha256', signed, createPublicKey(publicKey), Buffer.from(signature, 'base64url'));
  assert.ok(isSigned, 'the assertion is signed with the key of the account');
  return JSON.parse(Buffer.from(claims, 'base64url').toString());
}

const GIVES = () => json(200, { access_token: 'ya29.token', expires_in: 3_600, token_type: 'Bearer' });

async function failureOf(access: GcsAccess, fetch: Fetch = async () => GIVES()): Promise<StorageError> {
  const asking = tokenSourceFor(gcsSpecFor('http://127.0.0.1:1', { access }), fetch)();
  const error = await asking.then(
    () => assert.fail('a token came'),
    (reason: unknown) => reason,
  );
  assert.ok(isStorageError(error), String(error));
  const text = `${error.message} ${error.hint}`;
  assert.doesNotMatch(text, /PRIVATE KEY|MII|id-of-the-key|very-secret/);
  return error;
}

async function fileWith(t: TestContext, content: string): Promise<GcsAccess> {
  const path = join(await tempFolderFor(t, 'gcs-key'), 'key.json');
  await writeFile(path, content);
  return { kind: 'keyfile', path };
}

describe('tokens of Cloud Storage', () => {
  it('are asked for with an assertion that the service account signs', async (t) => {
    for (const access of [AS_ACCOUNT, await fileWith(t, JSON.stringify({ ...ACCOUNT, universe: 1 }))]) {
      const { fetch, asked } = tokenServer(GIVES);
      const before = Date.now();
      const token = await tokenSourceFor(gcsSpecFor('http://127.0.0.1:1', { access }), fetch)();
      assert.equal(token.token, 'ya29.token');
      assert.ok((token.expiresAtMs ?? 0) >= before + 3_590_000, 'it lasts for an hour');
      assert.equal(asked[0]?.url, 'https://oauth2.googleapis.com/token');
      const claims = claimsOf(asked[0]?.form.get('assertion') ?? '');
      assert.equal(claims['iss'], ACCOUNT.client_email);
      assert.equal(claims['scope'], 'https://www.googleapis.com/auth/devstorage.read_write');
      assert.equal(claims['aud'], 'https://oauth2.googleapis.com/token');
    }
  });

  it('may write ACLs only where an ACL is to be written', async () => {
    const { fetch, asked } = tokenServer(GIVES);
    const spec = gcsSpecFor('http://127.0.0.1:1', { access: AS_ACCOUNT, predefinedAcl: 'private' });
    await tokenSourceFor(spec, fetch)();
    const { scope } = claimsOf(asked[0]?.form.get('assertion') ?? '');
    assert.equal(scope, 'https://www.googleapis.com/auth/devstorage.full_control');
  });

  it("are asked for with a user's refresh token", async () => {
    const { fetch, asked } = tokenServer(GIVES);
    const user = { type: 'authorized_user', client_id: 'c', client_secret: 's', refresh_token: 'r' };
    const access: GcsAccess = { kind: 'credentials', credentials: user };
    assert.equal((await tokenSourceFor(gcsSpecFor('http://x', { access }), fetch)()).token, 'ya29.token');
    assert.deepEqual([asked[0]?.form.get('refresh_token'), asked[0]?.form.get('client_id')], ['r', 'c']);
  });

  it('come from the file in GOOGLE_APPLICATION_CREDENTIALS where nothing is given', async (t) => {
    const file = await fileWith(t, JSON.stringify(ACCOUNT));
    assert.ok(file.kind === 'keyfile');
    const before = process.env['GOOGLE_APPLICATION_CREDENTIALS'];
    process.env['GOOGLE_APPLICATION_CREDENTIALS'] = file.path;
    t.after(() => {
      if (before === undefined) delete process.env['GOOGLE_APPLICATION_CREDENTIALS'];
      else process.env['GOOGLE_APPLICATION_CREDENTIALS'] = before;
    });
    const { fetch, asked } = tokenServer(GIVES);
    const spec = gcsSpecFor('http://127.0.0.1:1', { access: { kind: 'default' } });
    assert.equal((await tokenSourceFor(spec, fetch)()).token, 'ya29.token');
    assert.equal(claimsOf(asked[0]?.form.get('assertion') ?? '')['iss'], ACCOUNT.client_email);
  });

  it('are new ones whenever they are asked for: what Google refused is not kept', async (t) => {
    const { fake, open } = await gcsWorldFor(t);
    let given = 0;
    const { fetch } = tokenServer(() => {
      given += 1;
      return json(200, { access_token: `ya29.${given}`, expires_in: 3_600 });
    });
    const tokens = tokenSourceFor(gcsSpecFor(fake.endpoint, { access: AS_ACCOUNT }), fetch);
    const driver = open({ tokens });
    fake.tokens.add('ya29.1');
    await driver.remove(CTX, 'a');
    fake.tokens.delete('ya29.1');
    fake.tokens.add('ya29.2');
    await driver.remove(CTX, 'a');
    assert.equal(given, 2);
  });

  for (const [words, hint] of [
    [
      'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
      /clock/,
    ],
    ['Invalid JWT Signature.', /key was deleted/],
    ['Invalid grant: account not found', /account is gone/],
    ['Token has been expired or revoked.', /log in again/],
  ] as const) {
    it(`are refused with invalid_grant: ${words.slice(0, 40)}`, async () => {
      const answer = json(400, { error: 'invalid_grant', error_description: words });
      const error = await failureOf(AS_ACCOUNT, async () => answer.clone());
      const { kind, scope, backendCode, isTransient } = error.details;
      assert.deepEqual(
        [kind, scope, backendCode, isTransient],
        ['denied', 'backend', 'invalid_grant', false],
      );
      assert.match(error.message, /^Cannot get a token for gs:\/\/bucket.*: invalid_grant: /);
      assert.match(error.hint ?? '', hint);
    });
  }

  it('may come later where Google is away or cannot be reached', async () => {
    const away = await failureOf(AS_ACCOUNT, async () => json(503, { error: 'internal_failure' }));
    assert.deepEqual([away.kind, away.details.isTransient], ['unavailable', true]);
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const unreachable = await failureOf(AS_ACCOUNT, () => Promise.reject(refused));
    assert.deepEqual([unreachable.kind, unreachable.details.isTransient], ['unavailable', true]);
    assert.match(unreachable.hint ?? '', /HTTPS_PROXY/);
  });

  it('are not asked for with what is no key', async (t) => {
    const missing = await failureOf({ kind: 'keyfile', path: '/nowhere/key.json' });
    assert.match(missing.hint ?? '', /keyfile/);
    for (const [content, why] of [
      ['very-secret is no JSON', /no JSON/],
      ['"very-secret"', /holds no credentials/],
      ['{}', /lack "client_email"/],
      [JSON.stringify({ ...ACCOUNT, private_key: '' }), /lack "private_key"/],
      [JSON.stringify({ type: 'external_account' }), /GOOGLE_APPLICATION_CREDENTIALS/],
    ] as const) {
      const error = await failureOf(await fileWith(t, content));
      assert.deepEqual([error.kind, error.details.scope], ['denied', 'backend']);
      assert.match(error.message, why);
    }
    const broken = {
      ...ACCOUNT,
      private_key: '-----BEGIN PRIVATE KEY-----\nvery-secret\n-----END PRIVATE KEY-----\n',
    };
    assert.equal((await failureOf({ kind: 'credentials', credentials: broken })).kind, 'denied');
  });
});
