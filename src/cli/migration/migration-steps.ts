/** The steps of one migration: what its file, its storages and the command line come to. */
import { getCACertificates } from 'node:tls';
import { DELETE_MAX_DEFAULT } from '../../coordinator/extras.ts';
import { ConfigError, isStorageError } from '../../core/errors.ts';
import type { StorageSpec } from '../../drivers/spec.ts';
import { storageName } from '../../drivers/spec-name.ts';
import type { EnginePort, EngineProgress } from '../../platform/engine-port.ts';
import type { Migration, MsrPlatform } from '../../platform/migration.ts';
import { fetchCa } from '../../platform/msr/msr-ca.ts';
import { msrSteps } from '../../platform/msr/msr-procedure.ts';
import type { MsrSite, NewStorage } from '../../platform/msr/msr-site.ts';
import type { GetAccess } from '../../platform/msr/pull/http-get.ts';
import { noneSteps } from '../../platform/none/none-procedure.ts';
import { msrChecks, type Redirected } from '../../platform/preflight/msr-checks.ts';
import { preflightStep } from '../../platform/preflight/preflight-step.ts';
import { servedBy } from '../../platform/preflight/served.ts';
import { serverAuthority } from '../../platform/preflight/server-authority.ts';
import { storageChecks } from '../../platform/preflight/storage-checks.ts';
import type { Awaiter } from '../../platform/print-commands.ts';
import type { Step } from '../../platform/saga/step.ts';
import { type EngineSite, engineCall } from '../../platform/steps/engine-steps.ts';
import type { CredentialsEnd } from '../../platform/steps/window.ts';
import type { CommandContext } from '../context.ts';
import { jsonLine } from '../json.ts';
import { defaultThreads, type MigrateArguments } from '../program.ts';
import { readProxies } from '../storage/network.ts';
import { schemeOf } from '../storage/url-storage.ts';
import type { Storages } from '../storages.ts';
import { credentialsEnd } from './credentials-end.ts';
import { findingLine } from './migrate-text.ts';
import { placeSection, settingsSection } from './msr-storage.ts';
import { authorityOf } from './open-site.ts';
import { redirectOf } from './redirects.ts';

/** Read-only itself, the second backup, the switch: what takes a few minutes each whatever is copied. */
const ELSEWHERE_MS = 10 * 60_000;
const PULLED_TAGS = 20;

export interface StepsWorld {
  readonly migration: Migration;
  readonly storages: Storages;
  readonly engine: EnginePort;
  readonly given: MigrateArguments;
  readonly context: CommandContext;
  readonly onProgress: (progress: EngineProgress) => void;
  /** Shows lines and waits for a yes. */
  readonly awaiter: Awaiter;
}

/** For whoever writes it into a configuration: the file has every parameter, the name of the storage only some. */
function targetText({ migration, storages }: StepsWorld): string {
  const name = storageName(storages.target);
  return schemeOf(migration.target) === undefined ? `${name}, as in ${migration.target}` : name;
}

export async function stepsOf(world: StepsWorld, site: MsrSite | undefined): Promise<readonly Step[]> {
  const { migration, context, given } = world;
  const { platform } = migration;
  const engine = engineSiteOf(world);
  const window = {
    msMax: migration.windowMsMax,
    elsewhereMs: ELSEWHERE_MS,
    credentials: endingCredentials(world),
    ask: (text: string) => agreed(world, [text], 'Open the window now?'),
  };
  const deleteMax = given.maxDelete ?? DELETE_MAX_DEFAULT;
  const damageMax = given.acceptDamage;
  const common = { passes: migration.passes, window, deleteMax, damageMax };
  if (platform.kind === 'none' || !site) {
    return noneSteps(engine, {
      ...common,
      preflight: preflightOf(world, storageChecksOf(world, undefined)),
      target: targetText(world),
      awaiter: world.awaiter,
    });
  }
  const target = await newStorage(world, platform);
  const access = await pullAccess(platform, context);
  const ofMsr = await msrChecksOf(world, platform, site, target);
  const checks = [...ofMsr, ...storageChecksOf(world, { msr: site.msr, access })];
  return msrSteps(site, engine, {
    ...common,
    procedure: platform.procedure,
    target,
    node: platform.ucpNode ?? '',
    externalUrl: platform.externalUrl,
    isWithoutDigests: given.withoutDigests === true,
    preflight: preflightOf(world, checks),
    pull: { tags: PULLED_TAGS, access },
  });
}

function endingCredentials({ storages, context }: StepsWorld): readonly CredentialsEnd[] {
  return [storages.source, storages.target].flatMap((storage) => {
    const { credentialsExpireMs } = credentialsEnd(storage, context.env);
    return credentialsExpireMs === undefined
      ? []
      : [{ name: storageName(storage), expireMs: credentialsExpireMs }];
  });
}

function engineSiteOf({ engine, context, onProgress }: StepsWorld): Omit<EngineSite, 'digests' | 'window'> {
  const { output } = context;
  return {
    engine,
    pollMs: 1_000,
    onProgress,
    onSaid: (sentence) => output.say(sentence),
  };
}

function preflightOf(world: StepsWorld, checks: Parameters<typeof preflightStep>[0]['checks']): Step {
  const { output } = world.context;
  return preflightStep({
    checks,
    onFinding: (finding) => {
      if (world.given.json) output.print(jsonLine({ event: 'finding', ...finding }));
      else output.say(findingLine(finding));
    },
    ask: (sentences) => agreed(world, sentences, 'Is that as it should be?'),
  });
}

async function agreed(world: StepsWorld, lines: readonly string[], question: string): Promise<boolean> {
  const { context, given } = world;
  if (!given.yes) return await context.asker().agrees(lines, question, context.signal);
  for (const line of lines) context.output.say(line);
  return true;
}

async function pullAccess(platform: MsrPlatform, { env }: CommandContext): Promise<GetAccess> {
  const ca = await authorityOf(platform);
  return {
    env,
    isInsecure: platform.trust.by === 'nobody',
    ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
  };
}

/** @param msr undefined: nothing tells what the registry serves, and no backup of it what its blobs hash to. */
function storageChecksOf(
  world: StepsWorld,
  msr: { readonly msr: MsrSite['msr']; readonly access: GetAccess } | undefined,
): ReturnType<typeof storageChecks> {
  // The settings of MSR name a bucket, and of a folder nothing.
  const isFolder = world.storages.source.kind === 'fs';
  const site = engineSiteOf(world);
  return storageChecks({
    engine: world.engine,
    call: (signal) => engineCall(site, signal),
    isWithoutDigests: world.given.withoutDigests === true,
    hasBackups: msr !== undefined,
    damageMax: world.given.acceptDamage,
    served: msr && isFolder ? servedBy(msr.msr, msr.access) : undefined,
    window: {
      msMax: world.migration.windowMsMax,
      elsewhereMs: ELSEWHERE_MS,
      threads: defaultThreads(),
    },
  });
}

async function msrChecksOf(world: StepsWorld, platform: MsrPlatform, site: MsrSite, target: NewStorage) {
  const { migration, storages, context } = world;
  return msrChecks({
    site,
    procedure: platform.procedure,
    cli: platform.cli,
    source: await placeSection(migration.source, storages.source, context.env),
    target,
    redirects: (signal) => redirected(storages.target, target, signal),
    offeredCa: (signal) => offeredCaText(platform, context, signal),
    isInsecure: platform.trust.by === 'nobody',
  });
}

async function redirected(
  storage: StorageSpec,
  target: NewStorage,
  signal: AbortSignal,
): Promise<Redirected> {
  if (target.by === 'mount') return { nowhere: 'clients get everything from the registry itself' };
  try {
    const sent = await redirectOf(storage, target.section, signal);
    if (sent.address === undefined) return { nowhere: sent.why };
    const authority = await serverAuthority(sent.address, signal);
    return { host: new URL(sent.address).host, authority };
  } catch (error) {
    signal.throwIfAborted();
    if (!isStorageError(error)) throw error;
    return { unknown: `where clients will be sent for blobs cannot be seen: ${error.message}` };
  }
}

async function offeredCaText(
  { url }: MsrPlatform,
  { env }: CommandContext,
  signal: AbortSignal,
): Promise<string> {
  const { certificates } = await fetchCa(url, signal, readProxies(env));
  return certificates.map(({ subject, fingerprint }) => `"${subject}", SHA-256 ${fingerprint}`).join(' and ');
}

/** @throws ConfigError where the file does not say how MSR is to reach the target. */
async function newStorage(
  { migration, storages, context }: StepsWorld,
  { mount }: MsrPlatform,
): Promise<NewStorage> {
  const { target } = storages;
  if (target.kind === 'fs') {
    if (mount) return { by: 'mount', mount };
    throw new ConfigError('The target is a folder, and the migration file does not say how MSR mounts it', {
      hint: 'Write storageVolume (a volume or a full path) or nfsStorageUrl under platform',
    });
  }
  if (mount) {
    throw new ConfigError(`The target ${storageName(target)} is no folder: MSR has nothing to mount`, {
      hint: 'Take storageVolume or nfsStorageUrl out of the migration file',
    });
  }
  return { by: 'settings', section: await settingsSection(migration.target, target, context.env) };
}
