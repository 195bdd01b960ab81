import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ConfigError } from '../../../src/core/errors.ts';
import { withCredentials } from '../../../src/drivers/s3/s3-credentials.ts';
import type { S3Spec } from '../../../src/drivers/spec.ts';
import { tempFolderFor } from '../../support/temp.ts';

/** Settings whose keys come from this shell command. */
async function specWith(t: TestContext, command: (folder: string) => string): Promise<S3Spec> {
  const folder = await tempFolderFor(t, 'aws');
  await writeFile(join(folder, 'give.sh'), command(folder));
  const config = join(folder, 'config');
  await writeFile(config, `[profile mine]\ncredential_process = sh ${join(folder, 'give.sh')}\n`);
  const before = process.env['AWS_CONFIG_FILE'];
  process.env['AWS_CONFIG_FILE'] = config;
  t.after(() => {
    if (before === undefined) delete process.env['AWS_CONFIG_FILE'];
    else process.env['AWS_CONFIG_FILE'] = before;
  });
  return {
    kind: 's3',
    bucket: 'bucket',
    rootDirectory: '',
    region: 'us-east-1',
    isPathStyle: true,
    skipsTlsVerify: false,
    profile: 'mine',
    encrypt: false,
  };
}

describe('withCredentials()', () => {
  it('takes what a command gives', async (t) => {
    const spec = await specWith(
      t,
      () => `echo '{"Version": 1, "AccessKeyId": "AKIDMINE", "SecretAccessKey": "secret"}'\n`,
    );
    const { credentials } = await withCredentials(spec);
    assert.equal(credentials?.accessKeyId, 'AKIDMINE');
  });

  it('does not wait for a command that hangs for longer than it may', async (t) => {
    // It ends when the test's folder goes.
    const spec = await specWith(
      t,
      (folder) => `while [ -e "${folder}/config" ]; do sleep 0.05; done\necho too late\n`,
    );
    await assert.rejects(withCredentials(spec, 400), (error) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.match(
        error.message,
        /^Found no credentials for s3:\/\/bucket: there was no answer within 0\.4 s, perhaps of a credential_process that hangs$/,
      );
      return true;
    });
  });
});
