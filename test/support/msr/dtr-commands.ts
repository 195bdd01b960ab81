/** The bootstrapper of the stand-in: `backup`, `restore`, `reconfigure` and `destroy` with the flags that MSR documents. */
import { isAbsolute } from 'node:path';
import { backupPieces, type RestoredBackup, readBackup } from './backup.ts';
import { isRecord, type JsonRecord, textOf } from './json.ts';
import { driverIn, type MsrState, readOnlyIn, withDefaults } from './state.ts';

/** Of the MKE cluster that the bootstrapper talks to. */
const MKE = { url: 'https://mke.example.com', username: 'admin', password: 'mke-password' };

export interface Run {
  readonly flags: ReadonlyMap<string, string>;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: Buffer;
  readonly isTty: boolean;
  readonly out: (bytes: Uint8Array) => void;
  readonly log: (line: string) => void;
}

/** `value`: takes one. The environment variable that may stand for it, where there is one. */
type Flags = Readonly<Record<string, 'value' | 'switch'>>;

const OF_MKE: Flags = {
  'ucp-url': 'value',
  'ucp-username': 'value',
  'ucp-password': 'value',
  'ucp-ca': 'value',
  'ucp-insecure-tls': 'switch',
  debug: 'switch',
};
const OF_STORAGE: Flags = {
  'dtr-storage-volume': 'value',
  'nfs-storage-url': 'value',
  'nfs-options': 'value',
  'async-nfs': 'switch',
};

const FLAGS: Readonly<Record<string, Flags>> = {
  backup: {
    ...OF_MKE,
    'existing-replica-id': 'value',
    'config-only': 'switch',
    'ignore-events-table': 'switch',
  },
  restore: {
    ...OF_MKE,
    ...OF_STORAGE,
    'replica-id': 'value',
    'ucp-node': 'value',
    'dtr-external-url': 'value',
    'dtr-use-default-storage': 'switch',
  },
  reconfigure: {
    ...OF_MKE,
    ...OF_STORAGE,
    'existing-replica-id': 'value',
    'dtr-external-url': 'value',
    'storage-migrated': 'switch',
    'reinitialize-storage': 'switch',
  },
  destroy: { ...OF_MKE, 'replica-id': 'value' },
};

class Refused extends Error {}

/** Parses flags as the bootstrapper does: what it does not know, it refuses. @throws Error in its words. */
export function parseFlags(
  state: MsrState,
  command: string,
  args: readonly string[],
): ReadonlyMap<string, string> {
  const known = flagsOf(state, command);
  const flags = new Map<string, string>();
  for (let at = 0; at < args.length; at += 1) {
    const [, name = '', inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(args[at] ?? '') ?? [];
    if (name === 'help-extended') {
      flags.set(name, '');
      continue;
    }
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) throw new Refused(`flag provided but not defined: ${args[at]}`);
    if (name === 'ucp-password') throw new Refused('a secret does not belong into arguments');
    if (kind === 'switch') flags.set(name, inline ?? 'true');
    else if (inline !== undefined) flags.set(name, inline);
    else {
      at += 1;
      const value = args[at];
      if (value === undefined) throw new Refused(`flag needs an argument: --${name}`);
      flags.set(name, value);
    }
  }
  return flags;
}

function flagsOf(state: MsrState, command: string): Flags {
  const flags = FLAGS[command];
  if (!flags) throw new Refused(`No help topic for '${command}'`);
  const { 'storage-migrated': migrated, ...others } = flags;
  return migrated && state.assumes.hasStorageMigrated !== false ? flags : others;
}

/** @returns the exit code. */
export async function runDtr(state: MsrState, command: string, run: Run): Promise<number> {
  try {
    if (run.flags.has('help-extended')) {
      const names = Object.keys(flagsOf(state, command)).map((name) => `   --${name}`);
      run.out(Buffer.from(`OPTIONS:\n${names.join('\n')}\n`));
      return 0;
    }
    demandMke(run);
    if (command === 'backup') return backup(state, run);
    if (command === 'restore') return await restore(state, run);
    if (command === 'reconfigure') return await reconfigure(state, run);
    return await destroy(state, run);
  } catch (error) {
    run.log(`level=fatal msg=${JSON.stringify(error instanceof Error ? error.message : String(error))}`);
    return 1;
  }
}

function demandMke({ flags, environment }: Run): void {
  const said = [flags.get('ucp-url'), flags.get('ucp-username'), environment['UCP_PASSWORD']];
  if (said.includes(undefined)) throw new Refused('--ucp-url, --ucp-username and UCP_PASSWORD are required');
  if (!flags.has('ucp-ca') && !flags.has('ucp-insecure-tls')) {
    throw new Refused('x509: certificate signed by unknown authority');
  }
  if (said[0] !== MKE.url || said[1] !== MKE.username || said[2] !== MKE.password) {
    throw new Refused('invalid username or password');
  }
}

function replicaIn(state: MsrState, { flags }: Run, flag: string): string {
  const id = flags.get(flag) ?? '';
  if (!state.replicas.ids.includes(id)) throw new Refused(`no running replica with id "${id}" (--${flag})`);
  return id;
}

function backup(state: MsrState, run: Run): number {
  if (run.isTty) throw new Refused('refusing to write a backup to a terminal');
  replicaIn(state, run, 'existing-replica-id');
  run.log('level=info msg="Beginning Docker Trusted Registry backup"');
  const rows = state.rows();
  const { properties, crons } = rows;
  const kept = run.flags.has('config-only') ? { properties: properties ?? [], crons: crons ?? [] } : rows;
  const nowMs = Date.now() + state.clockAheadMs;
  for (const piece of backupPieces(state.version, kept, nowMs)) run.out(piece);
  run.log('level=info msg="Backup complete"');
  return 0;
}

async function restore(state: MsrState, run: Run): Promise<number> {
  const { flags } = run;
  if (run.isTty) throw new Refused('a backup cannot be read from a terminal');
  const id = flags.get('replica-id') ?? '';
  if (!/^[0-9a-f]{12}$/.test(id)) throw new Refused('--replica-id is required');
  if (state.replicas.ids.length > 0) throw new Refused('replicas exist; run destroy first');
  const ways = ['dtr-use-default-storage', 'dtr-storage-volume', 'nfs-storage-url'];
  if (ways.filter((way) => flags.has(way)).length !== 1) {
    throw new Refused(`exactly one of --${ways.join(', --')} is required`);
  }
  const found = readBackup(run.stdin);
  if (found.version !== state.version) {
    throw new Refused(`the backup is of version ${found.version}, this is ${state.version}`);
  }
  const recorded = propertyIn(found, 'registrySettings');
  const isReadOnly =
    state.assumes.restoresReadOnly !== false && propertyIn(found, 'readOnlyRegistry') === true;
  state.restoreRows(found.rows);
  const { section, mounted } = storageFor(state, run, isRecord(recorded) ? recorded : {}, found, isReadOnly);
  await state.replicas.start([id], isReadOnly);
  await state.useStorage(section, mounted, true);
  run.log('level=info msg="Restore complete"');
  return 0;
}

function propertyIn({ rows }: RestoredBackup, key: string): JsonRecord[string] | undefined {
  return rows.properties?.find((row) => row['key'] === key)?.['value'];
}

function storageFor(
  state: MsrState,
  { flags }: Run,
  recorded: JsonRecord,
  found: RestoredBackup,
  isReadOnly: boolean,
): { readonly section: JsonRecord; readonly mounted: MsrState['mounted'] } {
  const before = isRecord(recorded['storage']) ? recorded['storage'] : {};
  const { maintenance: _, ...rest } = withDefaults(before, isReadOnly);
  if (flags.has('dtr-use-default-storage')) {
    const volume = textOf(propertyIn(found, 'storageVolume'));
    const isLocal = driverIn(before) === 'filesystem';
    const section = { ...withDefaults({}, isReadOnly), ...rest };
    return { section, mounted: isLocal ? mountOf(state, volume) : undefined };
  }
  const said = flags.get('dtr-storage-volume') ?? flags.get('nfs-storage-url') ?? '';
  const section = withDefaults({ filesystem: { rootdirectory: '/storage' } }, isReadOnly);
  return { section, mounted: mountOf(state, said) };
}

/** A volume or NFS address that the host has, or a full path. */
function mountOf(state: MsrState, said: string): { readonly folder: string; readonly said: string } {
  const folder = state.options.volumes?.[said] ?? (isAbsolute(said) ? said : undefined);
  if (folder === undefined) throw new Refused(`no such volume: ${said}`);
  return { folder, said };
}

async function reconfigure(state: MsrState, run: Run): Promise<number> {
  const { flags } = run;
  replicaIn(state, run, 'existing-replica-id');
  const said = flags.get('dtr-storage-volume') ?? flags.get('nfs-storage-url');
  if (said === undefined) {
    run.log('level=info msg="Nothing to reconfigure"');
    return 0;
  }
  const mounted = mountOf(state, said);
  const wasReadOnly = readOnlyIn(state.section) || state.isReadOnly;
  const isReadOnly = wasReadOnly && state.assumes.reconfiguresReadOnly !== false;
  const section = withDefaults({ filesystem: { rootdirectory: '/storage' } }, isReadOnly);
  const isWiped = state.assumes.withoutMigratedFlag === 'wipes' && !flags.has('storage-migrated');
  await state.useStorage(section, mounted, !isWiped && !flags.has('reinitialize-storage'));
  run.log('level=info msg="Reconfigure complete"');
  return 0;
}

async function destroy(state: MsrState, run: Run): Promise<number> {
  await state.replicas.destroy(replicaIn(state, run, 'replica-id'));
  run.log('level=info msg="Replica removed"');
  return 0;
}
