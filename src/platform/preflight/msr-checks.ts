/** MSR itself: its version, its health, what it does by the clock, and whether it runs on the storage that is the source. */
import { BlobferryError } from '../../core/errors.ts';
import { helpCommand } from '../msr/dtr-commands.ts';
import { isMounted, mountOf, mountText } from '../msr/mounts.ts';
import { CLOCK_MS_MAX, clockAheadOf } from '../msr/msr-clock.ts';
import { clusterProblems, readClusterStatus } from '../msr/msr-cluster.ts';
import { changesRegistry, listCrons } from '../msr/msr-crons.ts';
import { isMsrError } from '../msr/msr-error.ts';
import { readHealth, readSpec, readVersion } from '../msr/msr-info.ts';
import { listJobs, mayStillAct } from '../msr/msr-jobs.ts';
import { readRegistrySettings } from '../msr/msr-registry-settings.ts';
import { readSettings } from '../msr/msr-settings.ts';
import type { MsrSite, NewStorage } from '../msr/msr-site.ts';
import type { StorageSection } from '../msr/registry-settings.ts';
import { type Finding, note, ok, type PreflightCheck, problem, skewOf } from './finding.ts';

type Found = Omit<Finding, 'item'>;

/** `authority`: who vouches for the host, in words. `nowhere`: why nobody is sent anywhere. */
export type Redirected =
  | { readonly host: string; readonly authority: string }
  | { readonly nowhere: string }
  | { readonly unknown: string };

export interface MsrChecks {
  readonly site: MsrSite;
  readonly procedure: 'restore' | 'reconfigure';
  readonly cli: 'docker' | 'print';
  /** As MSR's settings have it. */
  readonly source: StorageSection;
  readonly target: NewStorage;
  /** Where clients are sent for blobs once the registry is on its new storage. */
  readonly redirects: (signal: AbortSignal) => Promise<Redirected>;
  /** What the server offers under `/ca`, in a sentence with its fingerprint. */
  readonly offeredCa: (signal: AbortSignal) => Promise<string>;
  readonly isInsecure: boolean;
}

const ACCESS = 'access to MSR';
const VERSION = 'version of MSR';
const IMAGE = 'image';

export function msrChecks(checks: MsrChecks): readonly PreflightCheck[] {
  // Whoever is not let in, or talks to another version, would hear the same from each of the others.
  const then = (item: string, look: PreflightCheck['look']): PreflightCheck => ({
    item,
    needs: VERSION,
    look,
  });
  return [
    { item: ACCESS, look: (signal) => access(checks, signal) },
    { item: VERSION, needs: ACCESS, look: (signal) => version(checks, signal) },
    then(IMAGE, (signal) => image(checks, signal)),
    then('health of MSR', (signal) => health(checks, signal)),
    then('clock of MSR', (signal) => clock(checks, signal)),
    then('calls of its API', (signal) => api(checks, signal)),
    then('storage of MSR', (signal) => storage(checks, signal)),
    then('volumes', (signal) => volumes(checks, signal)),
    then('crons', (signal) => crons(checks, signal)),
    then('running jobs', (signal) => jobs(checks, signal)),
    then('redirects', (signal) => redirects(checks, signal)),
    {
      item: 'commands',
      // Docker would only say that there is no such image.
      ...(checks.cli === 'docker' ? { needs: IMAGE } : {}),
      look: (signal) => commands(checks, signal),
    },
  ];
}

/** Everything after this is for administrators alone, as this is. */
async function access(
  { site, offeredCa, isInsecure }: MsrChecks,
  signal: AbortSignal,
): Promise<readonly Found[]> {
  try {
    await readSettings(site.msr, signal);
  } catch (error) {
    if (!isMsrError(error, 'tls')) throw error;
    // What was wrong first is the news, whatever the server says under /ca.
    const offered = await offeredCa(signal).then(
      (said) => `It offers ${said}`,
      (why: unknown) => {
        signal.throwIfAborted();
        return `What it offers cannot be seen: ${why instanceof Error ? why.message : String(why)}`;
      },
    );
    return [
      problem(
        `${error.message}. ${offered}`,
        'Compare the fingerprint with its operator, save what /ca gives, and name the file with ca',
      ),
    ];
  }
  const trust = isInsecure
    ? [note('insecure: the certificate of MSR is not checked, whoever answers is believed')]
    : [];
  return [ok(`${site.msr.name} lets this administrator in`), ...trust];
}

async function version({ site }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  const { text, major, minor } = await readVersion(site.msr, signal);
  if (major === 2 && minor === 9) return [ok(`${site.msr.name} runs MSR ${text}`)];
  return [
    problem(
      `${site.msr.name} runs MSR ${text}, and these procedures are those of 2.9`,
      'Update MSR to 2.9 first, or migrate with platform: none',
    ),
  ];
}

async function image({ site }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  const { text } = await readVersion(site.msr, signal);
  const tag = /:([\w.-]+)$/.exec(site.dtr.image)?.[1];
  if (tag === text) return [ok(`${site.dtr.image} is of the version that runs`)];
  return [
    problem(
      `MSR runs ${text}, and the image is ${site.dtr.image}`,
      'Write the image of the very version that runs: another one restores no backup',
    ),
  ];
}

async function health({ site }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  const { isHealthy, problem: said } = await readHealth(site.msr, signal);
  const { replicas } = await readSettings(site.msr, signal);
  const status = await readClusterStatus(site.msr, signal);
  const found = clusterProblems(status, replicas);
  // The same in other words, most of the time.
  const problems = [...found, ...(isHealthy || found.length > 0 ? [] : [`MSR says of its health: ${said}`])];
  if (!replicas.includes(site.dtr.replicaId)) {
    problems.push(`There is no replica ${site.dtr.replicaId}; there are ${replicas.join(', ')}`);
  }
  if (status.readOnly === undefined) problems.push('MSR does not tell whether its replicas are read-only');
  if (problems.length > 0) return [problem(problems.join('; '), 'Mend the cluster first')];
  return [ok(`replicas ${replicas.join(', ')} are well`)];
}

/** Whether a backup is fresh is seen by the times in it. */
async function clock({ site }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  const aheadMs = await clockAheadOf(site.msr, signal);
  if (aheadMs === undefined) return [{ is: 'unknown', text: 'MSR does not tell its time' }];
  const found = skewOf(site.msr.name, aheadMs);
  if (Math.abs(aheadMs) <= CLOCK_MS_MAX) return [found];
  return [
    problem(
      `${found.text}: nobody could tell by its times whether a backup is fresh`,
      'Set both by NTP, and those of all nodes of the cluster',
    ),
  ];
}

/** Where the server describes its own API: does it still have what is called here? */
async function api({ site, target }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  const spec = await readSpec(site.msr, signal);
  if (!spec) return [{ is: 'unknown', text: 'MSR does not describe its API under /api/v0/docs.json' }];
  const needed = [
    'POST /api/v0/meta/settings',
    'GET /api/v0/meta/cluster_status',
    'POST /api/v0/jobs',
    'POST /api/v0/crons',
    ...(target.by === 'settings' ? ['PUT /api/v0/admin/settings/registry'] : []),
  ];
  const missing = needed.filter((call) => !spec.operations.has(call));
  if (missing.length === 0) return [ok('it has every call that is needed')];
  // A description may leave out what is there: each step sees its own effect anyway.
  return [note(`its description does not name ${missing.join(', ')}`)];
}

async function storage({ site, source, target }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  const settings = await readRegistrySettings(site.msr, signal);
  const running = settings.storage;
  if (!running)
    return [
      problem('The settings of the registry name no storage, or several', 'Look at System > Storage in MSR'),
    ];
  const shown = Object.entries(settings.place).filter(([, value]) => value !== '');
  const text = `MSR runs on ${running.driver} ${shown.map(([name, value]) => `${name} ${String(value)}`).join(', ')}`;
  const already = 'Nothing is left to migrate, or source and target are swapped';
  if (target.by === 'settings' && settings.isAt(target.section)) {
    return [problem(`${text}, which is the target already`, already)];
  }
  // The step that mounts it would be found done, and all tests of the new storage would be of the old one.
  if (target.by === 'mount' && (await isMounted(site.msr, signal, target.mount))) {
    const where = `${text.trim()} on ${mountText(target.mount)}`;
    return [problem(`${where}, which is the target already`, already)];
  }
  if (target.by === 'settings' && settings.masksSecrets) {
    return [
      problem(
        `${text}, and masks the secrets of its settings: put back, they would be lost`,
        'Switch under System > Storage in the web interface of MSR, and migrate with platform: none',
      ),
    ];
  }
  if (!settings.isAt(source)) {
    return [
      problem(
        `${text}, and the source is ${source.driver}, or lies elsewhere`,
        'Describe the storage that MSR uses as the source',
      ),
    ];
  }
  // Which folder a replica has mounted is not in its settings: what it serves is looked for in the source instead.
  return [ok(text.trim())];
}

/** A destroy removes the volumes of a replica: https://docs.mirantis.com/msr/2.9/cli-ref/destroy.html */
async function volumes(
  { site, procedure, source, target }: MsrChecks,
  signal: AbortSignal,
): Promise<readonly Found[]> {
  if (procedure !== 'restore') return [];
  const own = /^dtr-registry-/;
  if (target.by === 'mount' && 'volume' in target.mount && own.test(target.mount.volume)) {
    return [
      problem(
        `The new storage is ${target.mount.volume}, a volume of a replica, which is destroyed with it`,
        'Give it a volume of another name, or a full path',
      ),
    ];
  }
  if (source.driver !== 'filesystem') return [ok('the old storage is in no volume of a replica')];
  const mount = mountOf(await readSettings(site.msr, signal));
  const volume = mount && 'volume' in mount ? mount.volume : '';
  if (mount && !own.test(volume)) return [ok('the old storage is in no volume of a replica')];
  return [
    problem(
      'The old storage lies in a volume of a replica, and procedure restore destroys the replicas with their volumes',
      'Write procedure: reconfigure, which destroys nothing',
    ),
  ];
}

async function crons({ site }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  const found = (await listCrons(site.msr, signal)).filter(({ action }) => changesRegistry(action));
  if (found.length === 0) return [ok('none that collects garbage, prunes tags or mirrors')];
  const named = found.map(({ action, schedule }) => `${action} (${schedule})`).join(', ');
  return [note(`${named}: taken away at the beginning and put back at the end`)];
}

async function jobs({ site }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  const found: Found[] = [];
  for await (const job of listJobs(site.msr, signal)) {
    if (changesRegistry(job.action) && mayStillAct(job)) {
      found.push(note(`${job.action} (${job.id}) is "${job.status}": it is waited for`));
    }
  }
  return found.length > 0 ? found : [ok('none that writes or removes')];
}

async function redirects(
  { site, redirects: find }: MsrChecks,
  signal: AbortSignal,
): Promise<readonly Found[]> {
  const settings = await readRegistrySettings(site.msr, signal);
  if (settings.disablesRedirects === true)
    return [ok('disabled: clients get everything from the registry itself')];
  const sent = await find(signal);
  if ('nowhere' in sent) return [ok(sent.nowhere)];
  if ('unknown' in sent) return [{ is: 'unknown', text: sent.unknown }];
  return [
    {
      is: 'ask',
      text: `after the switch clients fetch blobs from ${sent.host} (${sent.authority}): every node must reach it and trust that`,
      hint: 'Or set redirect.disable in the storage settings of MSR first',
    },
  ];
}

async function commands({ site, cli }: MsrChecks, signal: AbortSignal): Promise<readonly Found[]> {
  if (cli === 'print') return [note('commands of the bootstrapper are printed, and waited for')];
  const { image } = site.dtr;
  const knows = await site.containers.knowsFlag(image, helpCommand('backup'), 'existing-replica-id', signal);
  if (!knows)
    throw new BlobferryError(`${image} does not know --existing-replica-id: is it the bootstrapper of MSR?`);
  return [ok(`docker runs ${image}`)];
}
