import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isStorageError } from '../../../src/core/errors.ts';
import { openAzureDriver } from '../../../src/drivers/azure/azure-driver.ts';
import { endsSoon, lackingIn, readSas, whyNotNow } from '../../../src/drivers/azure/azure-sas.ts';
import type { AzureSpec } from '../../../src/drivers/spec.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');

describe('lackingIn()', () => {
  for (const [token, role, lacking] of [
    ['sr=c&sp=rwdl', 'target', []],
    ['sr=c&sp=racwdl', 'target', []],
    ['sr=c&sp=rl', 'source', []],
    ['sr=c&sp=rl', 'target', ['write (w)', 'delete (d)']],
    ['sr=c&sp=rwd', 'target', ['list (l)']],
    ['sr=c&sp=l', 'source', ['read (r)']],
    ['ss=bfqt&srt=sco&sp=rwdl', 'target', []],
    ['ss=f&srt=co&sp=rwdl', 'target', ['the service blob (b)']],
    ['ss=b&srt=s&sp=rl', 'source', ['the resource type container (c)', 'the resource type object (o)']],
    ['sr=b&sp=rwdl', 'target', ['the container, as it is one blob’s']],
    ['sr=c&si=policy', 'target', []],
  ] as const) {
    it(`of ${token} for a ${role} says ${lacking.join(', ') || 'nothing'}`, () => {
      assert.deepEqual(lackingIn(readSas(token), role), lacking);
    });
  }
});

describe('a SAS and the time', () => {
  it('that is over or has not come says what to do', () => {
    const sas = readSas('st=2026-11-23&se=2026-11-24T00:00:00Z');
    assert.equal(whyNotNow(sas, NOW), undefined);
    assert.match(whyNotNow(sas, NOW + 24 * 3_600_000) ?? '', /ended at 2026-11-24 00:00 UTC: give a new one/);
    assert.match(whyNotNow(sas, NOW - 48 * 3_600_000) ?? '', /good only from 2026-11-23 00:00 UTC on/);
    assert.equal(whyNotNow(readSas('si=policy'), NOW), undefined);
  });

  it('that ends within a day is told, and no other one', () => {
    assert.match(
      endsSoon(readSas('se=2026-11-24T11:00:00Z'), 'azure://a/c', NOW) ?? '',
      /ends at 2026-11-24 11:00 UTC/,
    );
    assert.match(
      endsSoon(readSas('se=2026-11-23'), 'azure://a/c', NOW) ?? '',
      /ended at 2026-11-23 00:00 UTC/,
    );
    assert.equal(endsSoon(readSas('se=2026-11-25'), 'azure://a/c', NOW), undefined);
    assert.equal(endsSoon(readSas('si=policy'), 'azure://a/c', NOW), undefined);
  });
});

describe('openAzureDriver()', () => {
  it('refuses a SAS that cannot do what it is for before anything is asked', async () => {
    const storage: AzureSpec = {
      kind: 'azure',
      accountName: 'account',
      container: 'container',
      endpoint: 'http://127.0.0.1:9',
      rootDirectory: '',
      hasSlashRoot: false,
      access: { type: 'sas', token: 'sr=c&sp=rl&se=2099-01-01&sig=hidden' },
      skipsTlsVerify: false,
    };
    const notices: string[] = [];
    const options = { onNotice: (sentence: string) => void notices.push(sentence) };
    await assert.rejects(
      openAzureDriver({ storage, engine: 'direct' }, { ...options, role: 'target' }),
      (error) => {
        assert.ok(isStorageError(error, 'denied') && error.details.scope === 'backend');
        assert.match(error.message, /as a target: its SAS lacks write \(w\), delete \(d\)$/);
        return !`${error.message}${error.hint}`.includes('hidden');
      },
    );
    const driver = await openAzureDriver({ storage, engine: 'direct' }, { ...options, role: 'source' });
    await driver.close();
    assert.deepEqual(notices, []);
  });
});
