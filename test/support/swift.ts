/**
 * A real OpenStack Swift in one folder: proxy, account, container and object server and memcached, all on 127.0.0.1, one
 * copy of everything, with tempauth and the S3 layer. Debian's packages; swift-proxy speaks both protocols on one port.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, onFreePorts } from './ports.ts';
import { mustRun, type ServerProcess, startServer } from './process.ts';

/** Who asks tempauth for a token, which is one account's. */
export interface SwiftUser {
  /** Of tempauth v1: `http://127.0.0.1:port/auth/v1.0`. */
  readonly authUrl: string;
  readonly user: string;
  readonly password: string;
}

export interface Swift extends SwiftUser {
  /** The same server as an S3 service, path style; key and secret are user and password. */
  readonly endpoint: string;
  /** Of another account. */
  readonly other: SwiftUser;
  /** Process of the server that keeps the listings, for a test that makes it wait. */
  readonly containerPid: number;
  stop(): Promise<void>;
}

const USER = 'test:tester';
const PASSWORD = 'testing';
const OTHER = { user: 'other:keeper', password: 'keeping' };
const KINDS = ['account', 'container', 'object'] as const;
/** A Python of the machine's own may stand first in PATH and lacks Debian's modules. */
const PYTHON = '/usr/bin/python3';

/**
 * A container learns of an object by a request of the object server, which by default gives up after half a second and
 * leaves the rest to a daemon that does not run here: on a busy machine an object so stays out of the listing for ever,
 * and the registry's driver, which waits 15 seconds for its parts to show up there, answers 500.
 */
const PATIENCE = ['conn_timeout = 60', 'node_timeout = 60', 'container_update_timeout = 60'];

/** A token that does not get into the cache is refused, and by default a third of a second decides on that. */
const CACHE_PATIENCE = [
  'connect_timeout = 30',
  'io_timeout = 30',
  'pool_timeout = 30',
  'error_suppression_limit = 1000000',
];

/** @param options.directory an empty folder, which the caller removes after `stop`. */
export async function startSwift(options: { readonly directory: string }): Promise<Swift> {
  return onFreePorts((attempt) => startNode(join(options.directory, `attempt-${attempt}`)));
}

interface Node {
  readonly directory: string;
  readonly proxyPort: number;
  readonly cachePort: number;
  readonly ports: Readonly<Record<(typeof KINDS)[number], number>>;
}

async function startNode(directory: string): Promise<Swift> {
  const node: Node = {
    directory,
    proxyPort: await freePort(),
    cachePort: await freePort(),
    ports: { account: await freePort(), container: await freePort(), object: await freePort() },
  };
  await mkdir(join(directory, 'devices', 'd1'), { recursive: true });
  await mkdir(join(directory, 'etc'));
  await writeConfiguration(node);
  await makeRings(node);
  const running: ServerProcess[] = [];
  const start = async (starting: Promise<ServerProcess>): Promise<ServerProcess> => {
    const server = await starting;
    running.push(server);
    return server;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(running.splice(0).map((server) => server.stop()));
  };
  const endpoint = `http://127.0.0.1:${node.proxyPort}`;
  const authUrl = `${endpoint}/auth/v1.0`;
  try {
    // None of them asks another before it is asked itself.
    const [, , container] = await settled([
      start(startCache(node)),
      start(startPart(node, 'account', node.ports.account)),
      start(startPart(node, 'container', node.ports.container)),
      start(startPart(node, 'object', node.ports.object)),
      start(startPart(node, 'proxy', node.proxyPort)),
    ]);
    const other = { ...OTHER, authUrl };
    return { authUrl, endpoint, user: USER, password: PASSWORD, other, containerPid: container.pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The results in order; rejects only when all have ended, so that whoever stops them knows them all. */
async function settled<T extends readonly Promise<unknown>[]>(
  starting: readonly [...T],
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(starting);
  return Promise.all(starting);
}

function startCache({ cachePort }: Node): Promise<ServerProcess> {
  return startServer({
    command: 'memcached',
    args: ['-l', '127.0.0.1', '-p', String(cachePort), '-U', '0', '-u', 'root', '-m', '64'],
    port: cachePort,
    isReady: async (signal) => answersAt(cachePort, signal),
  });
}

/** Memcached closes what is no request of its own, which fetch takes for an error: but somebody is there. */
async function answersAt(port: number, signal: AbortSignal): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`, { signal });
    return true;
  } catch (error) {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
    return code !== 'ECONNREFUSED' && !signal.aborted;
  }
}

function startPart({ directory }: Node, kind: string, port: number): Promise<ServerProcess> {
  const path = kind === 'proxy' ? '/healthcheck' : '/recon/version';
  return startServer({
    command: PYTHON,
    args: [join(directory, 'etc', 'launch.py'), join(directory, 'etc'), kind],
    port,
    isReady: async (signal) => (await fetch(`http://127.0.0.1:${port}${path}`, { signal })).status < 500,
  });
}

/** What `swift-ring-builder` does by nine commands, each of which loads all of Swift. */
async function makeRings({ directory, ports }: Node): Promise<void> {
  const devices = KINDS.map((kind) => `${kind}=${ports[kind]}`);
  await mustRun(PYTHON, [join(directory, 'etc', 'rings.py'), join(directory, 'etc'), ...devices]);
}

async function writeConfiguration(node: Node): Promise<void> {
  const etc = join(node.directory, 'etc');
  const write = (name: string, lines: readonly string[]): Promise<void> =>
    writeFile(join(etc, name), `${lines.join('\n')}\n`);
  await write('swift.conf', [
    '[swift-hash]',
    'swift_hash_path_suffix = testsuffix',
    'swift_hash_path_prefix = testprefix',
    '[storage-policy:0]',
    'name = gold',
    'default = yes',
  ]);
  await write('launch.py', LAUNCHER);
  await write('rings.py', RINGS);
  const common = (port: number): readonly string[] => [
    '[DEFAULT]',
    'bind_ip = 127.0.0.1',
    `bind_port = ${port}`,
    'user = root',
    `swift_dir = ${etc}`,
    `devices = ${join(node.directory, 'devices')}`,
    'mount_check = false',
    'disable_fallocate = true',
    'log_level = ERROR',
    'workers = 0',
    // Another port is chosen at once.
    'bind_timeout = 1',
    ...PATIENCE,
  ];
  for (const kind of KINDS) {
    await write(`${kind}-server.conf`, [
      ...common(node.ports[kind]),
      '[pipeline:main]',
      `pipeline = recon ${kind}-server`,
      `[app:${kind}-server]`,
      `use = egg:swift#${kind}`,
      '[filter:recon]',
      'use = egg:swift#recon',
      `recon_cache_path = ${node.directory}`,
    ]);
  }
  await write('proxy-server.conf', [...common(node.proxyPort), ...proxyLines(node)]);
}

function proxyLines({ cachePort }: Node): readonly string[] {
  const filters: Readonly<Record<string, readonly string[]>> = {
    catch_errors: [],
    gatekeeper: [],
    healthcheck: [],
    cache: [`memcache_servers = 127.0.0.1:${cachePort}`, ...CACHE_PATIENCE],
    listing_formats: [],
    bulk: [],
    tempurl: [],
    s3api: ['location = us-east-1', 's3_acl = false', 'dns_compliant_bucket_names = true'],
    tempauth: [
      'user_admin_admin = admin .admin .reseller_admin',
      'user_test_tester = testing .admin',
      'user_test_reader = reading',
      'user_other_keeper = keeping .admin',
    ],
    copy: [],
    'container-quotas': [],
    slo: [],
    dlo: [],
    versioned_writes: ['allow_versioned_writes = true'],
    symlink: [],
  };
  const egg = (name: string): string =>
    ({ cache: 'memcache', 'container-quotas': 'container_quotas' })[name] ?? name;
  return [
    '[pipeline:main]',
    `pipeline = ${Object.keys(filters).join(' ')} proxy-server`,
    '[app:proxy-server]',
    'use = egg:swift#proxy',
    'allow_account_management = true',
    'account_autocreate = true',
    // There is one copy of everything: a server that is left alone for a minute after ten errors is no service.
    'error_suppression_limit = 1000000',
    ...Object.entries(filters).flatMap(([name, lines]) => [
      `[filter:${name}]`,
      `use = egg:swift#${egg(name)}`,
      ...lines,
    ]),
  ];
}

/** The servers read swift.conf from /etc/swift unless they are told otherwise first. */
const LAUNCHER: readonly string[] = [
  'import os, sys',
  'from swift.common import utils',
  'etc, kind = sys.argv[1:3]',
  'utils.set_swift_dir(etc)',
  'from swift.common.wsgi import run_wsgi',
  'options = {}',
  "if kind == 'object':",
  '    from swift.obj import server',
  "    options['global_conf_callback'] = server.global_conf_callback",
  "sys.exit(run_wsgi(os.path.join(etc, kind + '-server.conf'), kind + '-server', verbose=True, **options))",
];

/** Sixteen partitions, one copy, one device. */
const RINGS: readonly string[] = [
  'import os, sys',
  'from swift.common.ring import RingBuilder',
  'etc = sys.argv[1]',
  'for argument in sys.argv[2:]:',
  "    kind, port = argument.split('=')",
  '    builder = RingBuilder(4, 1, 1)',
  "    place = {'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': int(port), 'device': 'd1'}",
  "    builder.add_dev({**place, 'weight': 100.0, 'meta': '', 'replication_ip': '127.0.0.1', 'replication_port': int(port)})",
  '    builder.rebalance()',
  "    builder.get_ring().save(os.path.join(etc, kind + '.ring.gz'))",
];
