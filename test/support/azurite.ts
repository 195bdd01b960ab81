/**
 * Azurite, Microsoft's emulator of Azure Storage, blob service alone, from npm. It checks signatures, MD5 and CRC64; what
 * it does not know is in docs. It is looked for in node_modules, or where BLOBFERRY_AZURITE names its folder.
 */
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { AzureSpec } from '../../src/drivers/spec.ts';
import { freePort, onFreePorts } from './ports.ts';
import { cleanEnvironment, startServer } from './process.ts';
import { missingTool } from './tools.ts';

export const ACCOUNT = 'testaccount';
/** 64 bytes, as Azure's own keys have. */
export const ACCOUNT_KEY = Buffer.from('k3y/of+the-emulator='.repeat(4).slice(0, 64)).toString('base64');
/** A second account of the same service. */
const OTHER_ACCOUNT = 'otheraccount';
const OTHER_ACCOUNT_KEY = Buffer.from('other/k3y+of-that-emulator='.repeat(3).slice(0, 64)).toString(
  'base64',
);

export interface Azurite {
  /** `http://127.0.0.1:port/testaccount` */
  readonly endpoint: string;
  /** A second account of the same service. */
  readonly other: AzuriteAccount;
  stop(): Promise<void>;
}

export interface AzuriteAccount {
  readonly account: string;
  readonly accountKey: string;
  readonly endpoint: string;
}

export function firstAccountOf({ endpoint }: Pick<Azurite, 'endpoint'>): AzuriteAccount {
  return { account: ACCOUNT, accountKey: ACCOUNT_KEY, endpoint };
}

/** For `describe(title, { skip: missingAzurite() }, …)`. */
export function missingAzurite(): string | false {
  return findAzurite() === undefined ? missingTool('azurite', 'npm install azurite') : false;
}

/** @param options.directory an empty folder, which the caller removes after `stop`. */
export async function startAzurite(options: { readonly directory: string }): Promise<Azurite> {
  const main = findAzurite();
  if (main === undefined) throw new Error('Azurite is not installed');
  return onFreePorts(async (attempt) =>
    startOn(await freePort(), main, join(options.directory, `attempt-${attempt}`)),
  );
}

export function azuriteSpec({ endpoint }: Pick<Azurite, 'endpoint'>, container: string): AzureSpec {
  return {
    kind: 'azure',
    accountName: ACCOUNT,
    container,
    endpoint,
    rootDirectory: '',
    hasSlashRoot: false,
    access: { type: 'shared-key', accountKey: ACCOUNT_KEY },
    skipsTlsVerify: false,
  };
}

/** The same for a container of the other account. */
export function otherSpec({ endpoint }: Pick<Azurite, 'endpoint'>, container: string): AzureSpec {
  return {
    ...azuriteSpec({ endpoint: endpoint.replace(ACCOUNT, OTHER_ACCOUNT) }, container),
    accountName: OTHER_ACCOUNT,
    access: { type: 'shared-key', accountKey: OTHER_ACCOUNT_KEY },
  };
}

/** Settings as the registry writes them. */
export function azureYaml({ accountName, container, endpoint, access }: AzureSpec): string {
  const key = access.type === 'shared-key' ? `accountkey: ${access.accountKey}` : '';
  const sas = access.type === 'sas' ? `sastoken: ${access.token}` : '';
  return [
    'azure:',
    ...[`accountname: ${accountName}`, `container: ${container}`, `serviceurl: ${endpoint}`].map(indented),
    ...['trimlegacyrootprefix: true', key, sas].filter(Boolean).map(indented),
    '',
  ].join('\n');
}

function indented(line: string): string {
  return `  ${line}`;
}

async function startOn(port: number, main: string, directory: string): Promise<Azurite> {
  await mkdir(directory, { recursive: true });
  const endpoint = `http://127.0.0.1:${port}/${ACCOUNT}`;
  const server = await startServer({
    command: process.execPath,
    args: [
      main,
      ...['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', directory],
      ...['--silent', '--disableTelemetry', '--skipApiVersionCheck', '--disableProductStyleUrl'],
      ...['--blobKeepAliveTimeout', '60'],
    ],
    cwd: directory,
    port,
    env: cleanEnvironment({
      AZURITE_ACCOUNTS: `${ACCOUNT}:${ACCOUNT_KEY};${OTHER_ACCOUNT}:${OTHER_ACCOUNT_KEY}`,
    }),
    isReady: async (signal) => (await fetch(`${endpoint}?comp=list`, { signal })).status === 403,
  });
  const other = {
    account: OTHER_ACCOUNT,
    accountKey: OTHER_ACCOUNT_KEY,
    endpoint: `http://127.0.0.1:${port}/${OTHER_ACCOUNT}`,
  };
  return { endpoint, other, stop: () => server.stop() };
}

function findAzurite(): string | undefined {
  const folder = process.env['BLOBFERRY_AZURITE'];
  const require = createRequire(folder ? join(folder, 'package.json') : import.meta.url);
  try {
    const manifest = folder ? require.resolve('./package.json') : require.resolve('azurite/package.json');
    return join(dirname(manifest), 'dist', 'src', 'blob', 'main.js');
  } catch {
    return undefined;
  }
}
