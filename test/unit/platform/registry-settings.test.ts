import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { hiddenTexts, type Json, MASK, masked } from '../../../src/platform/msr/masked-settings.ts';
import { readRegistrySettings, switchStorage } from '../../../src/platform/msr/msr-registry-settings.ts';
import { RegistrySettings } from '../../../src/platform/msr/registry-settings.ts';
import { isKind, msrWorld } from './msr-world.ts';

const S3 = {
  accesskey: 'the-access-key',
  secretkey: 'the-secret-key',
  region: 'eu-1',
  regionendpoint: 'https://user:hush@s3.example.com',
  bucket: 'registry',
  rootdirectory: '/msr/',
  secure: true,
  chunksize: 5242880,
};
const BODY = {
  storage: {
    delete: { enabled: true },
    maintenance: { uploadpurging: { enabled: true }, readonly: { enabled: true } },
    redirect: { disable: false },
    s3: S3,
  },
  notifications: { headers: { Authorization: ['Bearer something-secret'] } },
};
const NEW = {
  driver: 'swift',
  parameters: { authurl: 'http://x/auth', container: 'c', password: 'pass-word' },
};

describe('settings of the registry', () => {
  it('say where the storage is, and whether it is read-only, in every shape', () => {
    const shapes: readonly { readonly [name: string]: Json }[] = [
      BODY,
      { config: stringify(BODY) },
      { config: BODY },
      { ...BODY, config: stringify({ ...BODY, version: '0.1' }) },
    ];
    for (const shape of shapes) {
      const settings = new RegistrySettings(shape);
      assert.equal(settings.storage?.driver, 's3');
      assert.deepEqual(settings.storage?.parameters, S3);
      assert.deepEqual([settings.isReadOnly, settings.disablesRedirects], [true, false]);
      assert.ok(
        settings.isAt({ driver: 's3', parameters: { ...S3, rootdirectory: 'msr', region: 'other' } }),
      );
      assert.ok(!settings.isAt({ driver: 's3', parameters: { ...S3, bucket: 'other' } }));
      assert.ok(!settings.isAt({ driver: 's3', parameters: { ...S3, rootdirectory: '' } }));
      assert.ok(!settings.isAt(NEW));
    }
    const empty = new RegistrySettings({});
    assert.deepEqual(
      [empty.storage, empty.isReadOnly, empty.disablesRedirects],
      [undefined, undefined, undefined],
    );
    const two = new RegistrySettings({ storage: { s3: S3, azure: {} } });
    assert.equal(two.storage, undefined);
  });

  it('tell a container from the one of another tenant, which has the same name', () => {
    const parameters = { authurl: 'https://swift.example.com/v3', container: 'registry', tenant: 'one' };
    const settings = new RegistrySettings({ storage: { swift: parameters } });
    assert.ok(settings.isAt({ driver: 'swift', parameters }));
    for (const other of [{ tenant: 'two' }, { tenantid: '2' }, { domain: 'two' }, { region: 'two' }]) {
      assert.ok(!settings.isAt({ driver: 'swift', parameters: { ...parameters, ...other } }));
    }
    const { tenant: _, ...unnamed } = parameters;
    assert.ok(settings.isAt({ driver: 'swift', parameters: unnamed }), 'one that is not named is any');
  });

  it('are printed without secrets, those that nobody has heard of included', () => {
    for (const shape of [
      BODY,
      { config: stringify(BODY) },
      { config: 'no: [yaml', other: 'the-secret-key' },
    ]) {
      const settings = new RegistrySettings(shape);
      for (const text of [
        inspect(settings, { depth: 12 }),
        JSON.stringify(settings),
        stringify(settings.printable),
      ]) {
        assert.doesNotMatch(text, /the-access-key|the-secret-key|hush|something-secret|no: \[yaml/);
      }
    }
    const shown = new RegistrySettings(BODY).printable;
    assert.deepEqual(shown['storage'], {
      ...BODY.storage,
      s3: { ...S3, accesskey: MASK, secretkey: MASK, regionendpoint: `https://${MASK}@s3.example.com` },
    });
  });

  it('hide every text that is not under a name known to be harmless', () => {
    const json = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string({ minLength: 8 }).map((text) => `secret-${text}`),
        fc.integer(),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.stringMatching(/^x[a-z]{1,6}$/), tie('value'), { maxKeys: 4 }),
      ),
    })).value;
    fc.assert(
      fc.property(json, (value) => {
        assert.doesNotMatch(JSON.stringify(masked(value)), /secret-/);
        for (const text of hiddenTexts(value)) assert.match(text, /^secret-/);
        assert.equal(
          hiddenTexts(masked(value)).every((text) => text === MASK),
          true,
        );
      }),
    );
  });

  it('are edited, not made up: another storage, read-only as told, metadata kept, all else as it was', () => {
    const edited = new RegistrySettings(BODY).switchedTo(NEW, true);
    assert.deepEqual(edited, {
      ...BODY,
      storage: {
        delete: { enabled: true },
        redirect: { disable: false },
        maintenance: { uploadpurging: { enabled: true }, readonly: { enabled: true } },
        swift: NEW.parameters,
      },
      keep_metadata: true,
    });
    const lifted = new RegistrySettings({ storage: { s3: S3 } }).switchedTo(NEW, false);
    assert.equal(new RegistrySettings(lifted).isReadOnly, false);
    const both = new RegistrySettings({ ...BODY, config: stringify(BODY) }).switchedTo(NEW, true);
    const config = parse(String(both['config'])) as { readonly storage: unknown };
    assert.deepEqual(config.storage, both['storage'], 'both places say the same');
    const text = new RegistrySettings({ config: stringify(BODY) }).switchedTo(NEW, true);
    assert.deepEqual(Object.keys(text).sort(), ['config', 'keep_metadata']);
    assert.equal(new RegistrySettings(text).storage?.driver, 'swift');
    assert.throws(() => new RegistrySettings({ other: 1 }).switchedTo(NEW, true), RangeError);
  });
});

describe('settings that come as YAML', () => {
  it('keep every text a text for a reader of YAML 1.1, as the registry is', () => {
    const texts = ['yes', 'off', 'n', '1_000', '12:30:45', '0123', '1e3', '~', 'plain', 'two words: #'];
    const http = Object.fromEntries(texts.map((text, at) => [`name${at}`, text]));
    const config = stringify({ http, storage: BODY.storage }, { version: '1.1' });
    assert.deepEqual((parse(config, { version: '1.1' }) as typeof BODY & { http: object }).http, http);
    const put = new RegistrySettings({ config }).switchedTo({ driver: 'swift', parameters: http }, true);
    const read = parse(String(put['config']), { version: '1.1' }) as {
      readonly http: object;
      readonly storage: { readonly swift: object; readonly delete: { readonly enabled: unknown } };
    };
    assert.deepEqual(read.http, http);
    assert.deepEqual(read.storage.swift, http);
    assert.equal(read.storage.delete.enabled, true);
  });
});

describe('the switch to another storage', () => {
  for (const settingsShape of ['storage', 'config'] as const) {
    it(`keeps metadata and read-only where the settings come as ${settingsShape}`, async (t) => {
      const { msr, connection, signal } = await msrWorld(t, { assumes: { settingsShape } });
      await msr.state.metadata.addBlob(msr.state.storage, Buffer.from('kept'));
      const target = { driver: 'filesystem', parameters: { rootdirectory: '/storage' } };
      await switchStorage(connection, signal, target, true);
      assert.equal(msr.state.metadata.blobs.size, 1);
      const settings = await readRegistrySettings(connection, signal);
      assert.deepEqual([settings.storage?.driver, settings.isReadOnly], ['filesystem', true]);
      assert.deepEqual([...Object.values(msr.state.replicas.readOnly())], [true, true, true]);
    });
  }

  it('would lose the metadata without that word: the stand-in does take it away', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    await msr.state.metadata.addBlob(msr.state.storage, Buffer.from('lost'));
    const path = '/api/v0/admin/settings/registry';
    const json = { storage: msr.state.section };
    await connection.send(signal, { method: 'PUT', operation: 'switch', path, json });
    assert.equal(msr.state.metadata.blobs.size, 0);
  });

  it('is not tried where the settings have no place for it', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const does = { kind: 'answer', status: 200, json: { registry: {} } } as const;
    msr.faults.add({ on: 'GET /api/v0/admin/settings/registry', does });
    await assert.rejects(
      switchStorage(connection, signal, NEW, true),
      isKind('malformed', /"storage".*"config"/),
    );
    assert.ok(!msr.called.includes('PUT /api/v0/admin/settings/registry'));
  });
});
