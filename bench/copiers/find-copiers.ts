/** Which copiers there are on this machine, in the order in which they are shown. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { hasService } from '../plan/cell.ts';
import { awsCli } from './aws.ts';
import { blobferry } from './blobferry.ts';
import type { CopierSearch, FoundCopier } from './copier.ts';
import { minioClient } from './minio-client.ts';
import { rclone } from './rclone.ts';
import { s3cmd } from './s3cmd.ts';
import { s5cmd } from './s5cmd.ts';

const run = promisify(execFile);

interface Peer {
  /** Names of the program, the likeliest first. */
  readonly programs: readonly string[];
  readonly versionArgs: readonly string[];
  /** What its version looks like, where another program of that name would not do. */
  readonly looksLike?: RegExp;
  /** An environment variable that names the program. */
  readonly variable?: string;
  readonly install: string;
  make(command: string, version: string): FoundCopier;
}

const PEERS = {
  rclone: {
    programs: ['rclone'],
    versionArgs: ['version'],
    install: 'apt-get install rclone',
    make: (command, version) => rclone('rclone', command, version),
  },
  'rclone-new': {
    programs: ['rclone-new'],
    versionArgs: ['version'],
    variable: 'RCLONE_NEW',
    install: 'set RCLONE_NEW to a newer rclone than Debian’s, or put it into PATH as rclone-new',
    make: (command, version) => rclone('rclone-new', command, version),
  },
  mc: {
    // Midnight Commander is called mc too, hence the check of the version's text below.
    programs: ['minio-client', 'mcli', 'mc'],
    versionArgs: ['--version'],
    install: 'MinIO’s client: apt-get install minio-client (Debian 13)',
    make: minioClient,
  },
  aws: {
    programs: ['aws'],
    versionArgs: ['--version'],
    install: 'apt-get install awscli',
    make: awsCli,
  },
  s3cmd: {
    programs: ['s3cmd'],
    versionArgs: ['--version'],
    install: 'apt-get install s3cmd',
    make: s3cmd,
  },
  s5cmd: {
    programs: ['s5cmd'],
    versionArgs: ['version'],
    looksLike: /^v\d+\.\d+\.\d+/,
    install: 'neither Debian nor npm has it; put it into PATH, or give it with --peer s5cmd=FILE',
    make: s5cmd,
  },
} as const satisfies Readonly<Record<string, Peer>>;

type PeerName = keyof typeof PEERS;

export const COPIERS: readonly string[] = ['blobferry', 'blobferry-sdk', ...Object.keys(PEERS)];

/** Used for `s3cmd` only when it is asked for or there is no `aws`: they take long, and one of them is enough. */
const STAND_IN: Readonly<Record<string, string>> = { s3cmd: 'aws' };

export interface FindOptions {
  /** Names; empty: all of them. */
  readonly names: readonly string[];
  /** Files to use instead of what `PATH` has, by name of the peer. */
  readonly commands: ReadonlyMap<string, string>;
  readonly commit: string;
}

/** @throws Error where a name is none of a copier. */
export async function findCopiers({
  names,
  commands,
  commit,
}: FindOptions): Promise<readonly CopierSearch[]> {
  for (const name of [...names, ...commands.keys()]) {
    if (!COPIERS.includes(name))
      throw new Error(`There is no copier "${name}"; there are ${COPIERS.join(', ')}`);
  }
  const wanted = names.length > 0 ? names : COPIERS;
  const found: CopierSearch[] = [];
  for (const name of COPIERS) {
    if (!wanted.includes(name)) continue;
    const isFilled = found.some((one) => one.name === STAND_IN[name] && !('missing' in one));
    if (names.length === 0 && isFilled) continue;
    found.push(isPeer(name) ? await findPeer(name, commands.get(name)) : ownCopier(name, commit));
  }
  return found;
}

function isPeer(name: string): name is PeerName {
  return Object.hasOwn(PEERS, name);
}

function ownCopier(name: string, commit: string): FoundCopier {
  const own = blobferry(name === 'blobferry' ? 'direct' : 'sdk', commit);
  return name === 'blobferry' ? own : onlyWhereSet(own);
}

async function findPeer(name: PeerName, given: string | undefined): Promise<CopierSearch> {
  const peer: Peer = PEERS[name];
  const named = given ?? (peer.variable === undefined ? undefined : process.env[peer.variable]);
  const commands = named === undefined ? peer.programs.flatMap(allInPath) : [named];
  const problems: string[] = [];
  for (const command of commands) {
    try {
      const { stdout, stderr } = await run(command, [...peer.versionArgs], { timeout: 30_000 });
      const version = `${stdout}${stderr}`.trim().split('\n')[0] ?? '';
      if (name === 'mc' && /midnight/i.test(version)) continue;
      if (peer.looksLike?.test(version) === false) {
        problems.push(`${command} is another program: its version is "${version.slice(0, 60)}"`);
        continue;
      }
      return onlyWhereSet(peer.make(command, version));
    } catch (error) {
      problems.push(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
    }
  }
  const why = problems.length > 0 ? `cannot be used (${problems.join('; ')})` : 'is not installed';
  return { name, missing: `${name} ${why}: ${peer.install}` };
}

/** Peers are set up for S3 and files; how they do with other services is not what the bench is about. */
function onlyWhereSet(copier: FoundCopier): FoundCopier {
  const reason = 'the bench has no settings of it for this service';
  return { ...copier, cannot: (route) => (hasService(route) ? reason : copier.cannot(route)) };
}

function allInPath(program: string): readonly string[] {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .filter((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
