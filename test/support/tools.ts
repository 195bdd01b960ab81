/**
 * The programs real tests need, and what to do without them: a test is skipped with a reason nobody overlooks, unless
 * `BLOBFERRY_TEST_REQUIRED` (names separated by commas, or `all`) says that it must run.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Requirement {
  readonly commands: readonly string[];
  /** Debian packages that bring the commands. */
  readonly packages: readonly string[];
}

const REQUIREMENTS = {
  ceph: {
    commands: ['monmaptool', 'ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph'],
    packages: ['ceph-mon', 'ceph-osd', 'radosgw', 'ceph-common'],
  },
  // In a root folder of its own: test/support/ceph-root.ts looks for it.
  'ceph-current': { commands: [], packages: [] },
  swift: {
    commands: ['swift-proxy-server', 'swift-ring-builder', 'memcached'],
    packages: ['swift-proxy', 'swift-account', 'swift-container', 'swift-object', 'memcached'],
  },
  registry: { commands: ['docker-registry'], packages: ['docker-registry'] },
  skopeo: { commands: ['skopeo'], packages: ['skopeo'] },
  rclone: { commands: ['rclone'], packages: ['rclone'] },
  aws: { commands: ['aws'], packages: ['awscli'] },
  s3cmd: { commands: ['s3cmd'], packages: ['s3cmd'] },
  zsh: { commands: ['zsh'], packages: ['zsh'] },
  fish: { commands: ['fish'], packages: ['fish'] },
  // From npm: test/support/azurite.ts looks for it.
  azurite: { commands: [], packages: [] },
  // The oldest supported Node, from npm: its test finds out whether it can be had.
  'node-24': { commands: [], packages: [] },
  // One below 24, as Debian 12 has it, besides the pinned one: its test looks for it.
  'old-node': { commands: [], packages: ['nodejs'] },
  // Python's module and the device have no command: test/support/fuse.ts looks for them.
  fuse: { commands: ['fusermount3'], packages: ['fuse3', 'python3-fusepy'] },
  // A file system that does not tell upper from lower case; its mount needs a loop device, which its test looks for.
  exfat: { commands: ['mkfs.exfat', 'mount.exfat-fuse'], packages: ['exfatprogs', 'exfat-fuse'] },
  promtool: { commands: ['promtool'], packages: ['prometheus'] },
} as const satisfies Readonly<Record<string, Requirement>>;

export type ToolName = keyof typeof REQUIREMENTS;

/** How every skip reason of a missing tool begins; the test command gathers them by it. */
export const MISSING = 'missing here: ';

/** The command's absolute path, or undefined where `PATH` does not have it. */
export function findCommand(name: string, path: string = process.env['PATH'] ?? ''): string | undefined {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/**
 * For `describe(title, { skip: missingTools('ceph', 'skopeo') }, …)`: false where everything is there, else why the
 * tests are skipped. Throws where `BLOBFERRY_TEST_REQUIRED` names a tool that is not there.
 */
export function missingTools(...names: readonly ToolName[]): string | false {
  const problems = names.map((name) => ({ name, why: whatIsMissing(REQUIREMENTS[name]) }));
  const missing = problems.filter(({ why }) => why !== undefined);
  if (missing.length === 0) return false;
  const text = `${MISSING}${missing.map(({ name, why }) => `${name} (${why})`).join(', ')}`;
  demandUnrequired(
    missing.map(({ name }) => name),
    text,
  );
  return text;
}

/** The same for something that only its test can look for: `test.skip(missingTool('node-24', 'npm has it not'))`. */
export function missingTool(name: ToolName, why: string): string {
  const text = `${MISSING}${name} (${why})`;
  demandUnrequired([name], text);
  return text;
}

function demandUnrequired(names: readonly string[], text: string): void {
  if (names.some(isRequired)) throw new Error(`${text}; BLOBFERRY_TEST_REQUIRED says that it must be there`);
}

function whatIsMissing(requirement: Requirement): string | undefined {
  const commands = requirement.commands.filter((command) => findCommand(command) === undefined);
  if (commands.length === 0) return undefined;
  return `no ${commands.join(', ')}; apt-get install ${requirement.packages.join(' ')}`;
}

function isRequired(name: string): boolean {
  const required = (process.env['BLOBFERRY_TEST_REQUIRED'] ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  const unknown = required.filter((word) => word !== 'all' && !Object.hasOwn(REQUIREMENTS, word));
  if (unknown.length > 0) {
    const known = ['all', ...Object.keys(REQUIREMENTS)].join(', ');
    throw new Error(`BLOBFERRY_TEST_REQUIRED names "${unknown.join('", "')}"; known are ${known}`);
  }
  return required.includes('all') || required.includes(name);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
