/**
 * A real Ceph in one folder: one monitor, one OSD on a sparse file, one RADOS gateway, all on 127.0.0.1, without
 * authentication inside the cluster. Debian 12 has Ceph 16: SigV4 and payload hashes are checked, x-amz-checksum-* and
 * trailers are unknown, conditions hold on PUT only. A current one lies in a root folder of its own (ceph-root.ts).
 */
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PLACE_IN_ROOT, type Programs, programsIn } from './ceph-root.ts';
import { freePort, onFreePorts } from './ports.ts';
import { type CommandResult, mustRun, type ServerProcess, startServer } from './process.ts';
import type { SwiftUser } from './swift.ts';

export interface Ceph {
  /** `http://127.0.0.1:port`; path style, any region. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The same gateway as Ceph's own Swift. */
  readonly swift: SwiftUser;
  stop(): Promise<void>;
}

export interface CephOptions {
  /** An empty folder, which the caller removes after `stop`. */
  readonly directory: string;
  /** Size of the store in bytes; the file is sparse. Default 8 GiB. */
  readonly storeBytes?: number;
  /** A root folder with the programs in it, from `findCephRoot()`; default: those of this machine. Needs root. */
  readonly root?: string;
}

const ACCESS_KEY_ID = 'testkey';
const SECRET_ACCESS_KEY = 'testsecret';
const SWIFT_USER = 'test:swift';
const DEFAULT_STORE_BYTES = 8 * 1024 ** 3;

/** Starts the three daemons (about six seconds) and makes the user; ports that were taken meanwhile are changed. */
export async function startCeph(options: CephOptions): Promise<Ceph> {
  return onFreePorts((attempt) => startCluster(join(options.directory, `attempt-${attempt}`), options));
}

async function startCluster(directory: string, options: CephOptions): Promise<Ceph> {
  const { root, storeBytes = DEFAULT_STORE_BYTES } = options;
  const seen = root === undefined ? directory : PLACE_IN_ROOT;
  const cluster: Cluster = {
    programs: programsIn(root, directory),
    directory: seen,
    configuration: join(seen, 'ceph.conf'),
    id: randomUUID(),
    monitorPort: await freePort(),
    gatewayPort: await freePort(),
    storeBytes,
  };
  for (const folder of ['mon', 'osd', 'rgw']) await mkdir(join(directory, folder), { recursive: true });
  await writeFile(join(directory, 'keyring'), '');
  await writeFile(join(directory, 'ceph.conf'), configurationOf(cluster));
  const running: ServerProcess[] = [];
  const stop = async (): Promise<void> => {
    // The gateway goes first: without its cluster it would wait for answers that never come.
    for (const daemon of running.splice(0).reverse()) await daemon.stop();
  };
  try {
    running.push(await startMonitor(cluster));
    running.push(await startStore(cluster));
    running.push(await startGateway(cluster));
    await makeUsers(cluster);
  } catch (error) {
    await stop();
    throw error;
  }
  const endpoint = `http://127.0.0.1:${cluster.gatewayPort}`;
  return {
    endpoint,
    accessKeyId: ACCESS_KEY_ID,
    secretAccessKey: SECRET_ACCESS_KEY,
    swift: { authUrl: `${endpoint}/auth/v1.0`, user: SWIFT_USER, password: SECRET_ACCESS_KEY },
    stop,
  };
}

interface Cluster {
  readonly programs: Programs;
  /** As the programs see it. */
  readonly directory: string;
  readonly configuration: string;
  readonly id: string;
  readonly monitorPort: number;
  readonly gatewayPort: number;
  readonly storeBytes: number;
}

async function startMonitor(cluster: Cluster): Promise<ServerProcess> {
  const { directory, configuration } = cluster;
  const map = join(directory, 'monmap');
  const address = `[v2:127.0.0.1:${cluster.monitorPort}/0]`;
  await runIn(cluster, 'monmaptool', [
    '--create',
    '--clobber',
    '--fsid',
    cluster.id,
    '--addv',
    'a',
    address,
    map,
  ]);
  const keyring = ['--keyring', join(directory, 'keyring')];
  await runIn(cluster, 'ceph-mon', ['-c', configuration, '--mkfs', '-i', 'a', '--monmap', map, ...keyring]);
  return startServer({
    ...cluster.programs('ceph-mon', ['-c', configuration, '-i', 'a', '-f']),
    port: cluster.monitorPort,
    isReady: async () =>
      (await runIn(cluster, 'ceph', ceph(cluster, 'mon', 'stat'))).stdout.includes('quorum 0 a'),
  });
}

async function startStore(cluster: Cluster): Promise<ServerProcess> {
  const id = randomUUID();
  const made = await runIn(cluster, 'ceph', ceph(cluster, 'osd', 'new', id));
  const number = made.stdout.trim();
  if (number !== '0') throw new Error(`The first OSD of a new cluster should have number 0, not "${number}"`);
  await runIn(cluster, 'ceph-osd', ['-c', cluster.configuration, '-i', '0', '--mkfs', '--osd-uuid', id]);
  return startServer({
    ...cluster.programs('ceph-osd', ['-c', cluster.configuration, '-i', '0', '-f']),
    isReady: async () => (await runIn(cluster, 'ceph', ceph(cluster, 'osd', 'stat'))).stdout.includes('1 up'),
  });
}

async function startGateway(cluster: Cluster): Promise<ServerProcess> {
  return startServer({
    ...cluster.programs('radosgw', ['-c', cluster.configuration, '-n', 'client.rgw', '-f']),
    // Stopped soon after its start it may hang in its own shutdown.
    endsWithinMs: 1_000,
    port: cluster.gatewayPort,
    isReady: async (signal) => (await fetch(`http://127.0.0.1:${cluster.gatewayPort}/`, { signal })).ok,
  });
}

async function makeUsers(cluster: Cluster): Promise<void> {
  const who = ['-c', cluster.configuration, '-n', 'client.rgw'];
  const admin = (...words: readonly string[]): Promise<CommandResult> =>
    runIn(cluster, 'radosgw-admin', [...who, ...words]);
  const keys = ['--access-key', ACCESS_KEY_ID, '--secret-key', SECRET_ACCESS_KEY];
  await admin('user', 'create', '--uid=test', '--display-name=test', ...keys);
  const swift = [`--subuser=${SWIFT_USER}`, '--access=full', '--key-type=swift'];
  await admin('subuser', 'create', '--uid=test', ...swift, '--secret-key', SECRET_ACCESS_KEY);
}

function runIn({ programs }: Cluster, program: string, args: readonly string[]): Promise<CommandResult> {
  const call = programs(program, args);
  return mustRun(call.command, call.args);
}

function ceph(cluster: Cluster, ...words: readonly string[]): readonly string[] {
  return ['-c', cluster.configuration, '--connect-timeout', '60', ...words];
}

function configurationOf(cluster: Cluster): string {
  const { directory } = cluster;
  const none = ['auth_cluster_required', 'auth_service_required', 'auth_client_required'];
  const plain = ['ms_mon_client_mode', 'ms_client_mode', 'ms_cluster_mode', 'ms_service_mode'];
  const lines = [
    '[global]',
    `fsid = ${cluster.id}`,
    `mon_host = [v2:127.0.0.1:${cluster.monitorPort}/0]`,
    'mon_initial_members = a',
    // One protocol and one address family: half the ports, and nothing beyond this machine.
    'ms_bind_msgr1 = false',
    'ms_bind_ipv6 = false',
    'public_addr = 127.0.0.1',
    'cluster_addr = 127.0.0.1',
    ...none.map((name) => `${name} = none`),
    'auth_allow_insecure_global_id_reclaim = true',
    ...plain.map((name) => `${name} = crc`),
    // No admin sockets: their paths may not be longer than 107 bytes, and temporary folders can be.
    'admin_socket =',
    'pid_file =',
    `log_file = ${directory}/$name.log`,
    `crash_dir = ${directory}`,
    `keyring = ${directory}/keyring`,
    // One copy of everything, on one disk, without a manager daemon.
    'osd_pool_default_size = 1',
    'osd_pool_default_min_size = 1',
    'osd_pool_default_pg_num = 8',
    'osd_pool_default_pgp_num = 8',
    'osd_pool_default_pg_autoscale_mode = off',
    'osd_crush_chooseleaf_type = 0',
    'mon_allow_pool_size_one = true',
    'mon_max_pg_per_osd = 1000',
    'mon_warn_on_pool_no_redundancy = false',
    '[mon]',
    // Each new pool waits for a round of the monitor: at the usual second, a gateway's first start takes ten.
    'paxos_propose_interval = 0.05',
    `mon_data = ${directory}/mon`,
    // A monitor gives up on a disk it thinks too full; test machines often are.
    'mon_data_avail_crit = 1',
    'mon_data_avail_warn = 2',
    '[osd]',
    `osd_data = ${directory}/osd`,
    'osd_objectstore = bluestore',
    `bluestore_block_size = ${cluster.storeBytes}`,
    'bluestore_block_create = true',
    'bluestore_block_preallocate = false',
    'bluestore_prefer_deferred_size_hdd = 0',
    'bluestore_fsck_on_mkfs = false',
    'osd_memory_target = 1073741824',
    'osd_memory_target_autotune = false',
    'osd_class_update_on_start = false',
    'osd_crush_initial_weight = 1',
    '[client]',
    // Without tcp_nodelay every small answer waits 40 ms for the client's delayed acknowledgement.
    `rgw_frontends = beast endpoint=127.0.0.1:${cluster.gatewayPort} tcp_nodelay=1`,
    `rgw_data = ${directory}/rgw`,
    'rgw_run_sync_thread = false',
    'rgw_enable_usage_log = false',
    'rgw_enable_ops_log = false',
    'rgw_thread_pool_size = 64',
    'rgw_swift_account_in_url = true',
  ];
  return `${lines.join('\n')}\n`;
}
