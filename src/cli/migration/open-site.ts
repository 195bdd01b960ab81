/** From the migration file to an MSR that steps can work with. */
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import type { ContainerRunner } from '../../platform/container.ts';
import { Docker } from '../../platform/docker.ts';
import type { Migration, MsrPlatform, ServerAccess } from '../../platform/migration.ts';
import { ByHand } from '../../platform/msr/by-hand.ts';
import { MsrConnection } from '../../platform/msr/msr-connection.ts';
import { type MsrSite, PACE } from '../../platform/msr/msr-site.ts';
import { type Awaiter, PrintedCommands } from '../../platform/print-commands.ts';
import type { CommandContext } from '../context.ts';
import { readProxies } from '../storage/network.ts';
import { readTextFile } from '../storage/text-file.ts';

/** @throws ConfigError where something that the file names is not there. */
export async function openSite(
  migration: Migration,
  platform: MsrPlatform,
  awaiter: Awaiter,
  { env }: Pick<CommandContext, 'env'>,
): Promise<MsrSite> {
  const ca = await authorityOf(platform);
  const mkeCa = await authorityOf(platform.mke);
  const proxies = readProxies(env);
  const msr = new MsrConnection({
    url: platform.url,
    username: platform.username,
    secret: env[platform.secretEnv] ?? '',
    ...(ca === undefined ? {} : { ca }),
    isInsecure: platform.trust.by === 'nobody',
    ...(proxies ? { proxies } : {}),
  });
  return {
    msr,
    containers: containersOf(platform, awaiter, env),
    dtr: {
      image: platform.image,
      replicaId: platform.replicaId,
      mke: platform.mke,
      ...(mkeCa === undefined ? {} : { mkeCa }),
    },
    byHand: new ByHand(platform),
    pace: { ...PACE, ...platform.patience },
    backups: migration.backups,
    digests: join(migration.journal, 'digests'),
    report: migration.report,
  };
}

/** What no message of this migration may repeat. */
export function secretsOf(platform: MsrPlatform, env: CommandContext['env']): readonly string[] {
  return [platform.secretEnv, platform.mke.secretEnv].flatMap((name) => env[name] ?? []);
}

function containersOf(platform: MsrPlatform, awaiter: Awaiter, env: CommandContext['env']): ContainerRunner {
  if (platform.cli === 'print') return new PrintedCommands(awaiter);
  return new Docker({ env, secrets: secretsOf(platform, env) });
}

export async function authorityOf({ trust }: ServerAccess): Promise<string | undefined> {
  if (trust.by !== 'ca') return undefined;
  const text = await readTextFile(trust.file, { failed: 'Cannot read the authority', hint: CA_HINT });
  try {
    new X509Certificate(text);
  } catch {
    throw new ConfigError(`The authority "${trust.file}" is no certificate in PEM`, { hint: CA_HINT });
  }
  return text;
}

const CA_HINT = 'give what /ca of that server answers, once its fingerprint is compared';
