/** A profile whose credentials come from a command (credential_process) that hands out a new generation every so often. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Credential } from '../../bench/s3-server/s3/sigv4.ts';
import type { Environment } from './process.ts';
import { tempFolderFor } from './temp.ts';

export interface CredentialHelper {
  /** Names the profile and its file, and no keys. */
  readonly env: Environment;
  /** What a server must know. */
  readonly generations: readonly Credential[];
  /** How often it was asked. */
  runs(): Promise<number>;
  /** From now on it fails with these last words. */
  fail(words: string): Promise<void>;
}

export interface HelperOptions {
  /** A new generation begins after so many seconds. */
  readonly periodSeconds: number;
  /** How long each is good for, from its beginning. */
  readonly goodForSeconds: number;
  /** The command says when the credentials expire; `early`: so many seconds after it was asked, though the server knows them longer. */
  readonly tellsExpiry: boolean | 'early';
}

/** More than any copy of a test lasts, on a machine however slow. */
const GENERATIONS = 1_000;
/** Stands in the command line of the helper. */
const COMMAND_SECRET = 'secret-in-a-command-line';
/** What every generation's secrets begin with. */
export const HELPER_SECRETS: readonly string[] = ['helper-secret-', 'helper-token-', COMMAND_SECRET];

const keyOf = (generation: string): string => `ASIAGENERATION${generation}`;
const secretOf = (generation: string): string => `helper-secret-${generation}`;
const tokenOf = (generation: string): string => `helper-token-${generation}`;

/** The command is a shell script, as quick as such helpers are; the first generation begins now. */
export async function makeCredentialHelper(
  t: TestContext,
  options: HelperOptions,
): Promise<CredentialHelper> {
  const { periodSeconds, goodForSeconds, tellsExpiry } = options;
  const folder = await tempFolderFor(t, 'helper');
  const start = Math.floor(Date.now() / 1000);
  const script = join(folder, 'give.sh');
  const log = join(folder, 'log');
  const failure = join(folder, 'failure');
  const config = join(folder, 'config');
  const inShell = (text: string): string => `"'"${text}"'"`;
  const fields = [
    '"Version": 1',
    `"AccessKeyId": ${inShell(keyOf('$generation'))}`,
    `"SecretAccessKey": ${inShell(secretOf('$generation'))}`,
    `"SessionToken": ${inShell(tokenOf('$generation'))}`,
    ...(tellsExpiry ? [`"Expiration": ${inShell('$(date -u -d @$expires +%Y-%m-%dT%H:%M:%SZ)')}`] : []),
  ];
  const lines = [
    `if [ -e "${failure}" ]; then cat "${failure}" >&2; exit 3; fi`,
    `echo run >> "${log}"`,
    `generation=$(( ($(date +%s) - ${start}) / ${periodSeconds} ))`,
    tellsExpiry === 'early'
      ? `expires=$(( $(date +%s) + ${goodForSeconds} ))`
      : `expires=$(( ${start} + generation * ${periodSeconds} + ${goodForSeconds} ))`,
    `printf '%s\\n' '{${fields.join(', ')}}'`,
  ];
  await writeFile(script, `${lines.join('\n')}\n`);
  await writeFile(log, '');
  await writeFile(
    config,
    `[profile helper]\ncredential_process = sh ${script} --password ${COMMAND_SECRET}\n`,
  );
  return {
    env: {
      AWS_CONFIG_FILE: config,
      AWS_PROFILE: 'helper',
      AWS_ACCESS_KEY_ID: undefined,
      AWS_SECRET_ACCESS_KEY: undefined,
    },
    generations: Array.from({ length: GENERATIONS }, (_, index) => ({
      accessKeyId: keyOf(String(index)),
      secretAccessKey: secretOf(String(index)),
      sessionToken: tokenOf(String(index)),
      expiresAtMs:
        tellsExpiry === 'early'
          ? Number.POSITIVE_INFINITY
          : (start + index * periodSeconds + goodForSeconds) * 1000,
    })),
    runs: async () => (await readFile(log, 'utf8')).split('\n').length - 1,
    fail: async (words) => {
      await rm(failure, { force: true });
      await writeFile(failure, `${words}\n`);
    },
  };
}
