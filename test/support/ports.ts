/** Ports for servers that cannot be told to choose one themselves (`:0`) and say which they took. */
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';

/**
 * Below the range from which Linux takes ports for outgoing connections and for `listen(0)` (32768 and up), so that a
 * port found free here is not taken by chance before the server binds it.
 */
const PORT_MIN = 15_000;
const PORT_MAX = 32_000;
const TRIES = 200;
const ATTEMPTS = 4;

/**
 * A port on 127.0.0.1 that nobody listens on now, and that no other process of these tests is given as long as this one
 * lives. A stranger may still be quicker: `onFreePorts` tries again then.
 * @param min the lowest port, and `max` the one behind the highest.
 */
export async function freePort(min = PORT_MIN, max = PORT_MAX): Promise<number> {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const port = randomInt(min, max);
    if ((await isFree(port)) && (await isReserved(port))) return port;
  }
  throw new Error(`No free port on 127.0.0.1 between ${min} and ${max} in ${TRIES} tries`);
}

/** Starts a server on ports of its own choice, and once more on others when one was taken in between. */
export async function onFreePorts<S>(start: (attempt: number) => Promise<S>): Promise<S> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(attempt);
    } catch (error) {
      if (attempt === ATTEMPTS || !isPortTaken(error)) throw error;
    }
  }
}

/** In the words of the C library, of Node, of Swift and of memcached. */
export function isPortTaken(error: unknown): boolean {
  return /address already in use|EADDRINUSE|could not bind to|failed to listen on tcp port/i.test(
    String(error),
  );
}

/**
 * Whether it is this process that listens there: what answers on a port may be somebody else who was quicker.
 * Undefined where the system does not tell (it is Linux's /proc that does).
 */
export function listensOn(pid: number, port: number): boolean | undefined {
  try {
    const sockets = new Set(listenersOn(port).map((inode) => `socket:[${inode}]`));
    return readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.has(linkOf(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return undefined;
  }
}

/** proc_pid_net(5): the local address is hexadecimal, state 0A is LISTEN, the tenth field is the inode. */
function listenersOn(port: number): readonly string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readTable(table)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, address = '', , state]) => address.endsWith(local) && state === '0A')
      .map((fields) => fields[9] ?? ''),
  );
}

function readTable(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    // Without IPv6 there is one table.
    if (path.endsWith('6')) return [];
    throw error;
  }
}

/** Empty for one that was closed since it was listed. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Linux's abstract sockets (unix(7)) are names that go with their process, and only one process can have one. */
function isReserved(port: number): Promise<boolean> {
  if (process.platform !== 'linux') return Promise.resolve(true);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ path: `\0blobferry-test-port-${port}` }, () => resolve(true)).unref();
  });
}
