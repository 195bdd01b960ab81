/**
 * Switches the registry to its new storage by its settings, with the metadata kept and read-only carried over. The
 * settings as they were are in a private file beside the backups, secrets and all: what takes the switch back needs them.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobferryError } from '../../../core/errors.ts';
import { writePrivately } from '../../private-file.ts';
import type { Effect, Step, StepContext, StepKind } from '../../saga/step.ts';
import { BrokenEpoch } from '../../steps/watched.ts';
import { awaited, lookAtReplicas, switchPatience, takesWrites } from '../look-at-replicas.ts';
import type { MsrConnection } from '../msr-connection.ts';
import { isMsrError, MsrError } from '../msr-error.ts';
import { newestSwitch } from '../msr-jobs.ts';
import { putRegistrySettings, readRegistrySettings, switchStorage } from '../msr-registry-settings.ts';
import type { MsrSite } from '../msr-site.ts';
import { type JsonRecord, RegistrySettings, type StorageSection } from '../registry-settings.ts';
import { NotBegun } from './not-begun.ts';
import { cronsByHand, savedCrons } from './saved-crons.ts';
import { READ_ONLY } from './step-ids.ts';

const SWITCH = 'switch';
const SETTLED = 'settled';
/** Job that made it read-only, when it was on its new storage. */
const LAST_SWITCH = 'lastSwitch';
/** Somebody was told that pushes may be on the new storage alone, and has answered for them by running again. */
const WAS_TOLD = 'wasTold';
/** Of the whole run: what an earlier attempt has sent may act late. */
const SENT = 'sent';

const PUSHED = {
  is: 'blocked',
  why: 'the registry takes writes on its old storage, and what was pushed there is not in the new one',
  hint: 'If it was brought back to stay, move the folder "steps" out of the journal, and the next run begins anew. Else make it read-only, copy once more with "blobferry copy --frozen --into-nonempty", and run again',
} as const;

/** From then on nobody writes to the old storage, read-only or not. */
export function isSwitched({ memoryOf }: Pick<StepContext, 'memoryOf'>): boolean {
  return memoryOf(SWITCH).get(SETTLED) === true;
}

function wasSent({ memory }: Pick<StepContext, 'memory'>): boolean {
  return memory.get(SENT) === true;
}

type SwitchSite = Pick<MsrSite, 'msr' | 'pace' | 'byHand' | 'backups'>;

/** @param kind `forward` behind a restore, where nothing is undone any more. */
export function switchStep(
  site: SwitchSite,
  target: StorageSection,
  kind: Extract<StepKind, 'reversible' | 'forward'>,
): Step {
  const { msr } = site;
  const seen = (ctx: StepContext, is: (settings: RegistrySettings) => boolean): Promise<Effect> =>
    settled(site, ctx, is);
  const step: Step = {
    id: SWITCH,
    title: 'Switch the registry to its new storage',
    changes: 'The settings of the registry name the new storage; replicas restart, and stay read-only',
    kind,
    restsOn: [READ_ONLY],
    check: async ({ signal, heldOf }) => {
      const settings = await readRegistrySettings(msr, signal);
      if (settings.isAt(target)) return { is: 'done' };
      // Behind a restore there is no epoch any more, and what is pushed to the old storage now is copied by nobody.
      if (kind === 'forward') return (await takesWrites(msr, signal)) ? PUSHED : { is: 'todo' };
      // Replicas restart for it, and whether it held until then could not be told any more.
      const held = await heldOf(READ_ONLY);
      if (held.is !== 'held') throw new BrokenEpoch(`Read-only did not hold: ${held.why}`);
      return { is: 'todo' };
    },
    do: async (ctx) => {
      await keepBefore(site, ctx);
      ctx.memory.keepFirst(SENT, true);
      await switchStorage(msr, ctx.signal, target, true);
    },
    effect: async (ctx) => {
      const effect = await seen(ctx, (settings) => settings.isAt(target));
      if (effect.is === 'shown') {
        ctx.memory.keep(SETTLED, true);
        ctx.memory.keep(LAST_SWITCH, (await lastSwitchNow(msr, ctx.signal)) ?? null);
      }
      return effect;
    },
    ways: (ctx) => ({
      forward: [],
      back: kind === 'forward' ? oldStorageByHand(site, ctx) : settingsByHand(site, ctx),
    }),
  };
  if (kind === 'forward') return step;
  return {
    ...step,
    undo: async (ctx) => {
      if (!wasSent(ctx)) return;
      await demandNothingPushed(site, ctx, target);
      ctx.memory.keep(SETTLED, false);
      await putRegistrySettings(msr, ctx.signal, await before(site, ctx));
    },
    undone: async (ctx) => {
      if (!wasSent(ctx)) return { is: 'shown', evidence: 'nothing was sent that would switch it' };
      const storage = new RegistrySettings(await before(site, ctx)).storage;
      return await seen(ctx, (settings) => storage !== undefined && settings.isAt(storage));
    },
  };
}

/**
 * Switched back, a registry that has taken pushes on its new storage would name blobs that the old one lacks.
 * @throws MsrError where it takes writes there, or may have since it was switched: once, as nobody else can say.
 */
async function demandNothingPushed(
  { msr, byHand }: SwitchSite,
  { signal, memory }: StepContext,
  target: StorageSection,
): Promise<void> {
  if (!(await readRegistrySettings(msr, signal)).isAt(target)) return;
  const takes = await takesWrites(msr, signal);
  if (!takes && (memory.get(WAS_TOLD) === true || !(await wasLifted(msr, signal, memory)))) return;
  memory.keep(WAS_TOLD, true);
  const operation = 'switch the registry back';
  const details = { kind: 'unexpected', server: msr.name, operation, isTransient: false } as const;
  throw new MsrError(
    takes
      ? 'it takes writes on its new storage, and what was pushed there is not in the old one'
      : 'it was switched since it is on its new storage (there is a newer job ro_registry), and what may have been pushed there is not in the old one',
    { ...details, mayHaveActed: false },
    {
      hint: takes
        ? `Make it read-only, copy the other way with "blobferry copy --frozen --into-nonempty", and run again: ${byHand.readOnly(true)}`
        : 'Copy the other way with "blobferry copy --frozen --into-nonempty", unless nothing was pushed, and run again',
    },
  );
}

/** Read-only now, it may have taken writes all the same. */
async function wasLifted(
  msr: MsrConnection,
  signal: AbortSignal,
  memory: Pick<StepContext['memory'], 'get'>,
): Promise<boolean> {
  const known = memory.get(LAST_SWITCH);
  return typeof known === 'string' && (await lastSwitchNow(msr, signal)) !== known;
}

/** Undefined where MSR does not tell. */
async function lastSwitchNow(msr: MsrConnection, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await newestSwitch(msr, signal);
  } catch (error) {
    if (isMsrError(error)) return undefined;
    throw error;
  }
}

/** The whole way back: the old storage, its crons, and writes again. */
export function oldStorageByHand(
  site: Pick<SwitchSite, 'byHand' | 'backups'>,
  ctx: StepContext,
): readonly string[] {
  return [
    ...settingsByHand(site, ctx),
    site.byHand.readOnly(false),
    ...cronsByHand(site.byHand, savedCrons(ctx.memoryOf('crons-away'))),
  ];
}

function settingsByHand(site: Pick<SwitchSite, 'byHand' | 'backups'>, ctx: StepContext): readonly string[] {
  const file = fileOf(site, ctx);
  return existsSync(file) ? [site.byHand.call('PUT', '/api/v0/admin/settings/registry', { file })] : [];
}

function fileOf({ backups }: Pick<SwitchSite, 'backups'>, { run }: StepContext): string {
  return join(backups, `blobferry-${run}-settings.json`);
}

/** Once: what a second attempt finds may be what the first one made. @throws NotBegun */
async function keepBefore(site: SwitchSite, ctx: StepContext): Promise<void> {
  const file = fileOf(site, ctx);
  if (existsSync(file)) return;
  const settings = await readRegistrySettings(site.msr, ctx.signal);
  const { storage } = settings;
  if (!storage) throw new NotBegun('The settings of the registry name no storage, or several');
  if (settings.masksSecrets) {
    throw new NotBegun('MSR masks the secrets of its settings: put back, they would be lost', {
      hint: 'Switch under System > Storage in the web interface of MSR',
    });
  }
  try {
    await writePrivately(file, `${JSON.stringify(settings.switchedTo(storage, true))}\n`);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NotBegun(`The settings as they are cannot be kept in ${file}: ${why}`, {
      cause,
      hint: 'Free space there, then run the same migration again',
    });
  }
}

async function before(site: SwitchSite, ctx: StepContext): Promise<JsonRecord> {
  const file = fileOf(site, ctx);
  try {
    return JSON.parse(await readFile(file, 'utf8')) as JsonRecord;
  } catch {
    throw new BlobferryError(`The settings as they were cannot be read from ${file}`, {
      hint: 'Set the old storage under System > Storage in the web interface of MSR, with its metadata kept',
    });
  }
}

/** Replicas restart: until all of them are back, read-only and on that storage. */
async function settled(
  { msr, pace }: SwitchSite,
  { signal, isGlance }: StepContext,
  is: (settings: RegistrySettings) => boolean,
): Promise<Effect> {
  let evidence = '';
  const wrong = await awaited(signal, switchPatience(pace, { isGlance }), async () => {
    const settings = await readRegistrySettings(msr, signal);
    const { storage } = settings;
    evidence = storage
      ? [storage.driver, placeText(settings)].filter((text) => text !== '').join(' ')
      : 'no storage';
    if (!is(settings)) return `the registry is on ${evidence}`;
    const looked = await lookAtReplicas(msr, signal);
    return looked.evidence.is === 'read-only' ? undefined : looked.evidence.reasons.join('; ');
  });
  return wrong === undefined
    ? { is: 'shown', evidence: `the registry is on ${evidence}, read-only` }
    : { is: 'missing', why: wrong };
}

function placeText(settings: RegistrySettings): string {
  const place = Object.entries(settings.place).filter(([, value]) => value !== '');
  return place.map(([name, value]) => `${name} ${String(value)}`).join(', ');
}
