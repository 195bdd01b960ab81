/** All that the stand-in is: what its API, its registry and its command line look at and change. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RegistryStorage } from '../registry.ts';
import type { TempFolder } from '../temp.ts';
import { Jobs } from './jobs.ts';
import { isRecord, type JsonRecord, textOf } from './json.ts';
import { Metadata, type Rows } from './metadata.ts';
import { Replicas } from './replicas.ts';
import { type MsrStorage, NOT_DRIVERS, openMsrStorage } from './storage.ts';

export interface MsrUser {
  password: string;
  readonly tokens: Set<string>;
  readonly isAdmin: boolean;
}

export interface MsrOptions {
  /** Where its objects are at first. A folder is a volume or a full path of the host, mounted as `/storage`. */
  readonly storage: RegistryStorage;
  /** Default 3. */
  readonly replicas?: number;
  /** Looks at the cluster's state until a restarted replica is back; default 1. */
  readonly looksPerRestart?: number;
  /** False: a registry without `/v2/`, for tests of the API alone; default true. */
  readonly hasRegistry?: boolean;
  /** Default `2.9.18`. */
  readonly version?: string;
  /** PEM: https, and the certificate under `/ca`. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** `/v2/` wants a token, as MSR does; default: anybody may push and pull. */
  readonly wantsRegistryToken?: boolean;
  /** Volumes and NFS addresses that exist on the host, with their folders. */
  readonly volumes?: Readonly<Record<string, string>>;
  /** What is not known of 2.9; see the table in `msr.ts`. */
  readonly assumes?: Assumptions;
}

export interface Assumptions {
  /** GET meta/settings says `readOnlyRegistry`; default false. */
  readonly settingsTellReadOnly?: boolean;
  /** cluster_status says `replica_readonly`; default true. */
  readonly statusTellsReadOnly?: boolean;
  /** Issues of the database at the top (the manual) or one level below; default `top`. */
  readonly issuesAt?: 'top' | 'nested';
  /** What the path of DELETE names; default `id`, as in older releases. */
  readonly cronsDeletedBy?: 'id' | 'action';
  /** Name of the field of a log's line; default `data`. */
  readonly logField?: 'data' | 'Data';
  /** The registry's settings: `storage` as an object (default), or YAML in `config` as well. */
  readonly settingsShape?: 'storage' | 'config';
  /** `/api/v0/docs.json` exists; default true. */
  readonly hasSpec?: boolean;
  /** `/api/v0/admin/version` exists; default true. */
  readonly hasVersion?: boolean;
  /** `reconfigure` lists `--storage-migrated`; default true. */
  readonly hasStorageMigrated?: boolean;
  /** A change of the storage without word about the metadata: kept as the manual says of 2.9 (default), or wiped as before. */
  readonly withoutMigratedFlag?: 'keeps' | 'wipes';
  /** A restore brings read-only back if the backup was made so; default true. */
  readonly restoresReadOnly?: boolean;
  /** A reconfigure leaves a registry read-only that was; default true. */
  readonly reconfiguresReadOnly?: boolean;
}

export interface MsrCronRow extends JsonRecord {
  id: string;
  action: string;
}

export class MsrState {
  readonly options: MsrOptions;
  readonly version: string;
  readonly metadata = new Metadata();
  readonly crons = new Map<string, MsrCronRow>();
  readonly users = new Map<string, MsrUser>();
  readonly jobs: Jobs;
  readonly replicas: Replicas;
  readonly tree: string;
  /** Of the registry, with the storage's secrets. */
  registrySettings: JsonRecord;
  isReadOnly = false;
  /** How wrong its clock is: in its answers and in its backups. */
  clockAheadMs = 0;
  /** What is mounted as `/storage`, and how that was said. */
  mounted: { readonly folder: string; readonly said: string } | undefined;
  storage: MsrStorage;
  /** Digests that the storage did not have when the registry last looked. */
  missing: readonly string[] = [];
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: MsrOptions, folder: TempFolder) {
    this.options = options;
    this.version = options.version ?? '2.9.18';
    this.tree = join(folder.path, 'tree');
    const { storage } = options;
    this.mounted =
      'filesystem' in storage ? { folder: storage.filesystem, said: storage.filesystem } : undefined;
    this.registrySettings = { storage: withDefaults(sectionOf(storage), false) };
    this.storage = openMsrStorage(this.section, this.mounted?.folder);
    const looksPerRestart = options.looksPerRestart ?? 1;
    const hasRegistry = options.hasRegistry ?? true;
    this.replicas = new Replicas({ tree: this.tree, looksPerRestart, hasRegistry });
    this.jobs = new Jobs(
      (action) => this.#effectOf(action),
      () => this.replicas.ids,
    );
    this.users.set('admin', { password: 'admin-password', tokens: new Set(), isAdmin: true });
    this.users.set('reader', { password: 'reader-password', tokens: new Set(), isAdmin: false });
  }

  get assumes(): Assumptions {
    return this.options.assumes ?? {};
  }

  get section(): JsonRecord {
    const { storage } = this.registrySettings;
    return isRecord(storage) ? storage : {};
  }

  async start(): Promise<void> {
    await this.replicas.start(replicaIds(this.options.replicas ?? 3), this.isReadOnly);
  }

  async close(): Promise<void> {
    await this.replicas.stop();
    this.storage.close();
  }

  /** One after the other: what changes metadata or storage. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(task, task);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  absorb(): Promise<void> {
    return this.inTurn(() => this.metadata.absorb(this.tree, this.storage));
  }

  setReadOnly(isReadOnly: boolean): void {
    this.isReadOnly = isReadOnly;
    const job = this.jobs.create('ro_registry', true);
    job.status = 'running';
    this.replicas.switchTo(isReadOnly, () => {
      job.status = 'done';
    });
  }

  /** @param section the whole of `storage`. @throws Error where it cannot be used. */
  async useStorage(section: JsonRecord, mounted: MsrState['mounted'], keepsMetadata: boolean): Promise<void> {
    const storage = openMsrStorage(section, mounted?.folder);
    await this.inTurn(async () => {
      this.storage.close();
      this.storage = storage;
      this.mounted = mounted;
      this.registrySettings = { ...this.registrySettings, storage: section };
      if (!keepsMetadata) this.metadata.clear();
    });
    this.isReadOnly = readOnlyIn(section);
    await this.reload();
  }

  /** The registry looks at its storage anew: what is not there cannot be pulled. */
  async reload(): Promise<void> {
    const ids = this.replicas.ids;
    await this.replicas.stop();
    this.missing = await this.inTurn(() => this.metadata.rebuild(this.tree, this.storage));
    await this.replicas.start(ids, this.isReadOnly);
  }

  /** All that a backup holds. */
  rows(): Rows {
    return {
      ...this.metadata.rows(),
      crons: [...this.crons.values()],
      properties: [
        { key: 'registrySettings', value: this.registrySettings },
        { key: 'storageVolume', value: this.mounted?.said ?? '' },
        { key: 'readOnlyRegistry', value: this.isReadOnly },
        { key: 'version', value: this.version },
      ],
      private_keys: [{ id: 'signing', key: 'a private key that nobody should see' }],
      events: [{ id: 'event-1', type: 'TAG', actor: 'admin' }],
    };
  }

  /** A row of a table, as a restore finds it. */
  restoreRows(rows: Rows): void {
    this.metadata.replaceBy(rows);
    this.crons.clear();
    for (const row of rows.crons ?? []) {
      const [id, action] = [textOf(row['id']), textOf(row['action'])];
      this.crons.set(action, { ...row, id, action });
    }
  }

  async #effectOf(action: string): Promise<readonly string[]> {
    if (action === 'onlinegc_blobs' || action === 'onlinegc' || action === 'gc') {
      const swept = await this.inTurn(() => this.metadata.sweep(this.storage));
      await this.reload();
      return [
        `starting ${action}`,
        ...swept.map((path) => `deleted ${path}`),
        `${swept.length} blobs deleted`,
      ];
    }
    return [`${action} has nothing to do`];
  }

  async removeRepository(name: string): Promise<boolean> {
    const isThere = this.metadata.repositories.some(({ id }) => id === name);
    const folder = join(this.tree, 'docker/registry/v2/repositories', name);
    // Others may lie below it, such as team/app/nested.
    for (const own of ['_layers', '_manifests', '_uploads'])
      await rm(join(folder, own), { recursive: true, force: true });
    await this.absorb();
    return isThere;
  }

  async removeTag(repository: string, tag: string): Promise<boolean> {
    const isThere = this.metadata.tags.some(({ pk }) => pk === `${repository}:${tag}`);
    const folder = join(this.tree, 'docker/registry/v2/repositories', repository, '_manifests/tags', tag);
    await rm(folder, { recursive: true, force: true });
    await this.absorb();
    return isThere;
  }
}

/** Twelve hex digits, as MSR makes them. */
function replicaIds(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `f1e2d3c4b5${(0xa0 + index).toString(16)}`);
}

export function readOnlyIn(section: JsonRecord): boolean {
  const { maintenance } = section;
  const readonly = isRecord(maintenance) ? maintenance['readonly'] : undefined;
  return isRecord(readonly) && readonly['enabled'] === true;
}

/** What the registry has in `storage` beside the driver. */
export function withDefaults(section: JsonRecord, isReadOnly: boolean): JsonRecord {
  return {
    delete: { enabled: true },
    redirect: { disable: true },
    cache: { blobdescriptor: 'redis' },
    maintenance: { uploadpurging: { enabled: true }, readonly: { enabled: isReadOnly } },
    ...section,
  };
}

export function driverIn(section: JsonRecord): string {
  return Object.keys(section).find((name) => !NOT_DRIVERS.includes(name)) ?? '';
}

/** The driver's section as MSR has it: a folder is always mounted as `/storage`. */
export function sectionOf(storage: RegistryStorage): JsonRecord {
  if ('filesystem' in storage) return { filesystem: { rootdirectory: '/storage' } };
  if ('swift' in storage) {
    const { authUrl, user, password, container, prefix } = storage.swift;
    return {
      swift: { authurl: authUrl, authversion: 1, username: user, password, container, prefix: prefix ?? '' },
    };
  }
  const { endpoint, bucket, accessKeyId, secretAccessKey, region, rootDirectory } = storage.s3;
  return {
    s3: {
      accesskey: accessKeyId,
      secretkey: secretAccessKey,
      region: region ?? 'us-east-1',
      regionendpoint: endpoint,
      bucket,
      rootdirectory: rootDirectory ?? '/',
      secure: false,
      v4auth: true,
    },
  };
}
