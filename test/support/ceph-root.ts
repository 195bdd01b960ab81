/**
 * A current Ceph beside Debian 12's own: a root folder that `install-ceph.sh` has filled with the packages of a newer
 * suite. Its programs see that folder as `/` and the cluster's folder at one place in it, through mounts that only they
 * have and that end with them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingTool } from './tools.ts';

/** Where programs in a root folder see the folder that they were given. */
export const PLACE_IN_ROOT = '/mnt';

const DEFAULT_ROOT = '/var/lib/blobferry-tests/ceph-current';
const INSTALLER = fileURLToPath(new URL('./install-ceph.sh', import.meta.url));

/** What to start for a program of Ceph and its arguments. */
export type Programs = (
  program: string,
  args: readonly string[],
) => { readonly command: string; readonly args: readonly string[] };

/** The folder that BLOBFERRY_CEPH_ROOT names, or where the installer puts it; undefined where nothing was installed. */
export function findCephRoot(): string | undefined {
  const root = process.env['BLOBFERRY_CEPH_ROOT'] || DEFAULT_ROOT;
  return existsSync(join(root, '.version')) ? root : undefined;
}

/** For `describe(title, { skip: missingCurrentCeph() }, …)`. */
export function missingCurrentCeph(): string | false {
  if (findCephRoot() === undefined) return missingTool('ceph-current', `as root: ${INSTALLER}`);
  if (process.getuid?.() !== 0) return missingTool('ceph-current', 'a root folder takes root to enter');
  return false;
}

/** As Debian names it, such as `20.2.4+ds-2`. */
export function versionIn(root: string): string {
  return readFileSync(join(root, '.version'), 'utf8').trim();
}

/** @param directory what the programs are to see at `PLACE_IN_ROOT`; without a root they see everything as it is. */
export function programsIn(root: string | undefined, directory: string): Programs {
  if (root === undefined) return (program, args) => ({ command: program, args });
  const enter =
    'mount --bind /proc "$1/proc" && mount --bind /dev "$1/dev" && mount --bind "$2" "$1$3" && root=$1 && shift 3 && exec chroot "$root" "$@"';
  return (program, args) => ({
    command: 'unshare',
    args: ['--mount', 'sh', '-c', enter, 'sh', root, directory, PLACE_IN_ROOT, program, ...args],
  });
}
