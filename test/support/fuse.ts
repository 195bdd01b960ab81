/**
 * A folder seen through a file system that misbehaves: errors, delays and flipped bits by rules, each of which tells how
 * often it took effect. Works as root with /dev/fuse; ends with this process, however that ends.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cleanEnvironment } from './process.ts';
import { makeTempFolder } from './temp.ts';
import { missingTool, missingTools } from './tools.ts';

/** Debian's own Python has Debian's modules; another one may come first in PATH. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = fileURLToPath(new URL('./faulty-fs.py', import.meta.url));

/** `flush`: a file is closed, where a mount over a network may say what became of the writes before. */
export const FUSE_OPERATIONS = [
  'chmod',
  'chown',
  'create',
  'flush',
  'fsync',
  'fsyncdir',
  'getattr',
  'mkdir',
  'open',
  'read',
  'readdir',
  'rename',
  'rmdir',
  'unlink',
  'write',
] as const;

export type FuseOperation = (typeof FUSE_OPERATIONS)[number];

export interface FuseRule {
  readonly op: FuseOperation | readonly FuseOperation[];
  /** A regular expression for the path below the mount, which begins with a slash; default: every path. */
  readonly match?: string;
  /** Lets this many matching calls pass first. */
  readonly skip?: number;
  /** Befalls every nth matching call; default each. */
  readonly every?: number;
  /** Default: always. */
  readonly times?: number;
  /** `EIO`, `ESTALE`, `ENOSPC`, … */
  readonly errno?: string;
  readonly delayMs?: number;
  /** Does not answer until the rule is removed. */
  readonly hangs?: true;
  /** For `read` and `write`: turns a bit of this byte of the file over; a call that does not reach it is no matching one. */
  readonly flipAt?: number;
  /** For `read`: the file has no bytes from here on, whatever its size is said to be. */
  readonly endsAt?: number;
  /** For `write`: lets this many bytes pass first, over all matching files. */
  readonly afterBytes?: number;
}

export interface FuseFaults {
  /** How often each rule took effect, in their order. */
  used(): Promise<readonly number[]>;
  /** Rejects unless every rule took effect as often as its `times` says, without one at least once. */
  assertUsedUp(): Promise<void>;
  /** Ends the misbehaviour; what it did stays counted. */
  remove(): Promise<void>;
}

export interface FuseMount {
  /** The folder's contents are seen below this one. */
  readonly path: string;
  readonly pid: number;
  misbehave(rules: readonly FuseRule[]): Promise<FuseFaults>;
  /** Unmounts, ends the program and removes the mount point; may be called twice. */
  stop(): Promise<void>;
}

/** For `describe(title, { skip: missingFuse() }, …)`. */
export function missingFuse(): string | false {
  const missing = missingTools('fuse');
  if (missing !== false) return missing;
  if (!existsSync('/dev/fuse')) return missingTool('fuse', 'there is no /dev/fuse');
  const hasModule = spawnSync(PYTHON, ['-c', 'import fusepy']).status === 0;
  return hasModule ? false : missingTool('fuse', 'apt-get install python3-fusepy');
}

export async function mountFuse(folder: string): Promise<FuseMount> {
  const mountPoint = await makeTempFolder('fuse');
  // Not killed with its parent like other children: it must see its standard input end, to unmount.
  const child = spawn(PYTHON, [PROGRAM, mountPoint.path, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: cleanEnvironment(),
  });
  const exited = once(child, 'exit');
  const remote = new Remote(child);
  try {
    await Promise.race([
      remote.ready,
      exited.then(([code]) => Promise.reject(new Error(`The FUSE file system ended with ${code}`))),
    ]);
  } catch (error) {
    await mountPoint.remove();
    throw error;
  }
  let stopping: Promise<void> | undefined;
  return {
    path: mountPoint.path,
    pid: child.pid ?? 0,
    misbehave: (rules) => remote.misbehave(rules),
    stop: () => {
      child.stdin.end();
      stopping ??= exited.then(() => mountPoint.remove());
      return stopping;
    },
  };
}

type Answer = { readonly ready: true } | { readonly id: number; readonly result: readonly number[] };

class Remote {
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (result: readonly number[]) => void>();
  #nextId = 1;

  constructor(child: ChildProcess) {
    this.#child = child;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    if (!child.stdout) throw new Error('The FUSE file system has no standard output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      if ('ready' in answer) resolve();
      else this.#waiting.get(answer.id)?.(answer.result);
    });
  }

  async misbehave(rules: readonly FuseRule[]): Promise<FuseFaults> {
    const ids = await this.#call({ call: 'install', rules });
    const used = (): Promise<readonly number[]> => this.#call({ call: 'used', ids });
    return {
      used,
      assertUsedUp: async () => demandUsedUp(rules, await used()),
      remove: async () => void (await this.#call({ call: 'remove', ids })),
    };
  }

  #call(request: Readonly<Record<string, unknown>>): Promise<readonly number[]> {
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<readonly number[]>();
    this.#waiting.set(id, resolve);
    this.#child.stdin?.write(`${JSON.stringify({ ...request, id })}\n`);
    return promise.finally(() => this.#waiting.delete(id));
  }
}

function demandUsedUp(rules: readonly FuseRule[], used: readonly number[]): void {
  const left = rules.flatMap((rule, index) => {
    const count = used[index] ?? 0;
    const isUsedUp = rule.times === undefined ? count > 0 : count === rule.times;
    const name = `${rule.errno ?? nameOf(rule)} on ${rule.op}`;
    return isUsedUp ? [] : [`${name} took effect ${count} times of ${rule.times ?? 'at least one'}`];
  });
  if (left.length > 0) throw new Error(`Faults were not used up: ${left.join('; ')}`);
}

function nameOf({ endsAt, flipAt, hangs }: FuseRule): string {
  if (hangs) return 'no answer';
  if (endsAt !== undefined) return 'an early end';
  return flipAt === undefined ? 'a delay' : 'a flipped bit';
}
