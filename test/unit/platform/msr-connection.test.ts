import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { inspect } from 'node:util';
import { z } from 'zod';
import { makeCertificate } from '../../../bench/support/certificate.ts';
import { ConfigError } from '../../../src/core/errors.ts';
import { readCertificates } from '../../../src/platform/msr/certificates.ts';
import { fetchCa } from '../../../src/platform/msr/msr-ca.ts';
import { listCrons } from '../../../src/platform/msr/msr-crons.ts';
import { isMsrError } from '../../../src/platform/msr/msr-error.ts';
import { readVersion } from '../../../src/platform/msr/msr-info.ts';
import { createJob, readJobLog } from '../../../src/platform/msr/msr-jobs.ts';
import { readRegistrySettings, switchStorage } from '../../../src/platform/msr/msr-registry-settings.ts';
import { readSettings } from '../../../src/platform/msr/msr-settings.ts';
import { connect, isKind, msrWorld } from './msr-world.ts';

const HERE = makeCertificate({ names: ['127.0.0.1'] });

describe('the connection to MSR', () => {
  it('authenticates with the password and with an access token', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    assert.equal((await readVersion(connection, signal)).text, '2.9.18');
    const byToken = connect(t, msr, { secret: msr.addToken() });
    assert.equal((await readVersion(byToken, signal)).text, '2.9.18');
  });

  it('says that credentials are wrong or have ended, and that rights are missing', async (t) => {
    const { msr, signal } = await msrWorld(t);
    const wrong = connect(t, msr, { secret: 'not-the-password' });
    await assert.rejects(
      readSettings(wrong, signal),
      isKind('unauthorized', /UNAUTHORIZED, status 401/, /token/),
    );
    const token = connect(t, msr, { secret: msr.addToken() });
    await readSettings(token, signal);
    msr.revokeTokens();
    await assert.rejects(readSettings(token, signal), isKind('unauthorized'));
    const reader = connect(t, msr, { username: 'reader', secret: 'reader-password' });
    await assert.rejects(readSettings(reader, signal), isKind('forbidden', /administrator/));
  });

  it('carries code and status of an error, and whether the call may have acted', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const json = { errors: [{ code: 'NO_SUCH_ACTION', message: 'there is no such action' }] };
    msr.faults.add({ on: 'POST /api/v0/jobs', does: { kind: 'answer', status: 400, json } });
    const refused = await createJob(connection, signal, 'x').catch((error: unknown) => error);
    assert.ok(isMsrError(refused, 'refused'));
    assert.deepEqual(
      [
        refused.details.code,
        refused.details.status,
        refused.details.isTransient,
        refused.details.mayHaveActed,
      ],
      ['NO_SUCH_ACTION', 400, false, false],
    );
    msr.faults.add({ on: 'POST /api/v0/jobs', does: { kind: 'lost-reply' } });
    const lost = await createJob(connection, signal, 'gc').catch((error: unknown) => error);
    assert.ok(isMsrError(lost, 'unavailable'), inspect(lost));
    assert.deepEqual([lost.details.isTransient, lost.details.mayHaveActed], [true, true]);
    assert.equal(msr.state.jobs.jobs.length, 1, 'and so it had');
    msr.faults.add({ on: 'GET /api/v0/crons', does: { kind: 'answer', status: 503, text: 'busy' } });
    const busy = await listCrons(connection, signal).catch((error: unknown) => error);
    assert.ok(isMsrError(busy, 'unavailable'));
    assert.deepEqual([busy.details.isTransient, busy.details.mayHaveActed], [true, false]);
  });

  it('gives up when there is no answer in time, and when told to', { timeout: 120_000 }, async (t) => {
    const { msr } = await msrWorld(t);
    const hurried = connect(t, msr, { callMsMax: 50 });
    msr.faults.add({ on: 'GET /api/v0/crons', times: 1_000, does: { kind: 'hang' } });
    const never = new AbortController();
    await assert.rejects(listCrons(hurried, never.signal), isKind('timeout', /within 0.05 s/));
    const patient = connect(t, msr, { callMsMax: 3_600_000 });
    const stopped = new Error('stopped by the user');
    const before = msr.calls.length;
    const waiting = listCrons(patient, never.signal);
    while (msr.calls.length === before) await setImmediate();
    never.abort(stopped);
    await assert.rejects(waiting, stopped);
    await assert.rejects(listCrons(patient, never.signal), stopped);
  });

  it('follows no redirect and reads no more than it should', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    msr.faults.add({ on: 'GET /api/v0/crons', does: { kind: 'answer', status: 302, text: '' } });
    await assert.rejects(listCrons(connection, signal), isKind('unexpected', /redirects/));
    const text = 'x'.repeat(5 * 1024 * 1024);
    msr.faults.add({ on: 'GET /api/v0/crons', does: { kind: 'answer', status: 200, text } });
    await assert.rejects(listCrons(connection, signal), isKind('malformed'));
  });

  it('names the field that is not as expected, and nothing of its content', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [{ crons: [{ id: 'c1', action: 7, schedule: 'hush' }] }, /the field "crons\[0\]\.action"/],
      [{ crons: 'hush' }, /the field "crons"/],
      [{}, /the field "crons"/],
      [['hush'], /the answer is not as expected/],
    ];
    for (const [json, words] of cases) {
      msr.faults.add({ on: 'GET /api/v0/crons', does: { kind: 'answer', status: 200, json } });
      const error = await listCrons(connection, signal).catch((caught: unknown) => caught);
      isKind('malformed', words)(error);
      assert.doesNotMatch(inspect(error, { depth: 9 }), /hush/);
    }
    msr.faults.add({ on: 'GET /api/v0/crons', does: { kind: 'answer', status: 200, text: '<html>hush' } });
    const error = await listCrons(connection, signal).catch((caught: unknown) => caught);
    isKind('malformed', /is no JSON/)(error);
    assert.doesNotMatch(inspect(error, { depth: 9 }), /hush/);
  });

  it('never repeats a secret, whoever says it', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const basic = Buffer.from('admin:admin-password').toString('base64');
    const message = `refused: admin-password, ${basic}, ${encodeURIComponent('admin-password')}`;
    const json = { errors: [{ code: 'admin-password', message }] };
    msr.faults.add({ on: 'GET /api/v0/crons', does: { kind: 'answer', status: 400, json } });
    const error = await listCrons(connection, signal).catch((caught: unknown) => caught);
    isKind('refused', /refused/)(error);
    assert.doesNotMatch(inspect(error, { depth: 9 }), new RegExp(`admin-password|${basic}`));

    const parameters = {
      accesskey: 'the-access-key',
      secretkey: 'the-secret-key',
      region: 'us-east-1',
      regionendpoint: 'http://127.0.0.1:1',
      bucket: 'registry',
      rootdirectory: '/',
    };
    // The stand-in answers with the whole section in the words of its refusal.
    const failed = await switchStorage(connection, signal, { driver: 's3', parameters }, true).catch(
      (caught: unknown) => caught,
    );
    isKind('refused', /INVALID_STORAGE/)(failed);
    assert.doesNotMatch(inspect(failed, { depth: 9 }), /the-access-key|the-secret-key/);
    assert.match(inspect(failed), /registry/);
  });

  it('does not repeat secrets that it learned from the settings either', async (t) => {
    const swift = { authUrl: 'http://127.0.0.1:1', user: 'u', password: 'hush-password', container: 'c' };
    const { msr, connection, signal } = await msrWorld(t, { storage: { swift } });
    const settings = await readRegistrySettings(connection, signal);
    const shown = [inspect(settings, { depth: 9 }), JSON.stringify(settings), `${inspect({ settings })}`];
    for (const text of shown) {
      assert.doesNotMatch(text, /hush-password/);
      assert.match(text, /container/);
    }
    const json = { errors: [{ code: 'X', message: 'swift refuses hush-password' }] };
    msr.faults.add({ on: 'GET /api/v0/crons', does: { kind: 'answer', status: 500, json } });
    const error = await listCrons(connection, signal).catch((caught: unknown) => caught);
    assert.doesNotMatch(inspect(error, { depth: 9 }), /hush-password/);
    // The log of a job is kept in a file, and its last line told.
    const logged = [{ data: 'swift refuses hush-password' }, { data: 'it ends' }];
    msr.faults.add({ on: 'GET /api/v0/jobs/*/logs', does: { kind: 'answer', status: 200, json: logged } });
    assert.deepEqual(await readJobLog(connection, signal, 'x'), ['swift refuses …', 'it ends']);
  });

  it('refuses addresses and credentials that cannot be used', () => {
    const access = { url: 'https://msr.example.com', username: 'admin', secret: 'hush' };
    const wrong = [
      { ...access, url: 'msr.example.com' },
      { ...access, url: 'ftp://msr.example.com' },
      { ...access, url: 'https://admin:hush@msr.example.com' },
      { ...access, url: 'https://msr.example.com/api/v0' },
      { ...access, url: 'https://msr.example.com/?token=hush' },
      { ...access, url: 'http://msr.example.com' },
      { ...access, username: '' },
      { ...access, username: 'a:b' },
      { ...access, secret: '' },
    ];
    for (const one of wrong) {
      assert.throws(
        () => connect({ after: () => undefined }, one, { ...one, isInsecure: false }),
        (error) => error instanceof ConfigError && !inspect(error, { depth: 9 }).includes('hush'),
        one.url,
      );
    }
  });
});

describe('trust in MSR over TLS', () => {
  it('is refused without its authority, given with it, and left out only when told so', async (t) => {
    const { msr, signal } = await msrWorld(t, { tls: HERE });
    const stranger = connect(t, msr, { isInsecure: false });
    await assert.rejects(readVersion(stranger, signal), isKind('tls', /\/ca/));
    assert.deepEqual(msr.called, [], 'no request has left');
    const friend = connect(t, msr, { isInsecure: false, ca: HERE.cert });
    assert.equal((await readVersion(friend, signal)).minor, 9);
    const careless = connect(t, msr, { isInsecure: true });
    assert.equal((await readVersion(careless, signal)).minor, 9);
    const other = connect(t, msr, { isInsecure: false, ca: makeCertificate({ names: ['127.0.0.1'] }).cert });
    await assert.rejects(readVersion(other, signal), isKind('tls'));
  });

  it('begins with the authority that the server offers: fetched without credentials, shown, not trusted', async (t) => {
    const { msr, signal } = await msrWorld(t, { tls: HERE });
    const offered = await fetchCa(msr.url, signal);
    assert.equal(offered.pem, HERE.cert);
    assert.deepEqual(offered.certificates, readCertificates(HERE.cert));
    const [certificate] = offered.certificates;
    assert.match(certificate?.fingerprint ?? '', /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    assert.match(certificate?.subject ?? '', /CN=test 127.0.0.1/);
    assert.ok((certificate?.validTo.getTime() ?? 0) > Date.now());
    await assert.rejects(readVersion(connect(t, msr, { isInsecure: false }), signal), isKind('tls'));
  });

  it('says that an offered authority is none', async (t) => {
    const { msr, signal } = await msrWorld(t, { tls: HERE });
    const broken = HERE.cert.replace(/[A-Z]{5}/g, 'AAAAA');
    for (const text of ['<html>', '', broken]) {
      msr.faults.add({ on: 'GET /ca', does: { kind: 'answer', status: 200, text } });
      await assert.rejects(fetchCa(msr.url, signal), isKind('malformed', /no certificate/));
    }
    assert.equal(readCertificates('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'), undefined);
  });

  it('does not take any text for an authority', (t) => {
    const access = { url: 'https://127.0.0.1:1', isInsecure: false, ca: 'not PEM' };
    assert.throws(() => connect(t, access, access), ConfigError);
  });
});

describe('an answer', () => {
  it('is read with a schema of its own', async (t) => {
    const { connection, signal } = await msrWorld(t);
    const request = { method: 'GET', operation: 'ping', path: '/_ping', authorization: 'none' } as const;
    const answer = await connection.send(signal, request);
    assert.deepEqual(answer.read(z.object({})), {});
    assert.throws(() => answer.read(z.object({ healthy: z.boolean() })), isKind('malformed', /"healthy"/));
  });
});
