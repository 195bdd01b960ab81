/** What the kernel's error codes mean for a copy: one table, so that every operation answers alike. */

import { constants } from 'node:os';
import type { Operation } from '../../core/counters.ts';
import { type ErrorKind, type ErrorScope, StorageError } from '../../core/errors.ts';

interface Meaning {
  readonly kind: ErrorKind;
  readonly isTransient: boolean;
  readonly scope: ErrorScope;
  readonly sentence: string;
  readonly hint?: string;
}

/** What was being done, for the message; `key` is absent where the whole backend is meant. */
export interface FsContext {
  readonly backend: string;
  readonly operation: Operation;
  readonly key?: string;
}

const PERMISSION_HINT =
  'Run blobferry as the owner of the files or as root; on NFS the export may need no_root_squash';
const RETRY_HINT =
  'Run again; if it stays, look at the kernel log (dmesg) and the state of the disk or mount';
const CHECK_HINT =
  'Look at the kernel log (dmesg) and have the file system checked (fsck, xfs_repair, scrub)';
const TICKET_HINT = 'Get a Kerberos ticket for the user that blobferry runs as (kinit), then run again';
const GONE_HINT = 'Check that the file system is still mounted, mount it again and run again';

function object(kind: ErrorKind, sentence: string, hint?: string): Meaning {
  return { kind, isTransient: false, scope: 'object', sentence, ...(hint === undefined ? {} : { hint }) };
}

function backend(kind: ErrorKind, sentence: string, hint: string): Meaning {
  return { kind, isTransient: false, scope: 'backend', sentence, hint };
}

function transient(kind: ErrorKind, sentence: string, hint: string): Meaning {
  return { kind, isTransient: true, scope: 'object', sentence, hint };
}

/** Linux errno names; see errno(3). Codes that are not here are kind `unexpected`. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: object('not-found', 'there is no such object'),
  ENOTDIR: object('not-found', 'there is no such object (a file stands where a folder would have to be)'),
  EISDIR: object('not-found', 'there is a folder of this name, not an object'),
  EACCES: object('denied', 'permission denied', PERMISSION_HINT),
  EPERM: object('denied', 'operation not permitted', `${PERMISSION_HINT}, or the file is immutable (lsattr)`),
  ELOOP: object(
    'denied',
    'it is a symbolic link that leads in a circle or may not be followed',
    'Replace the link by what it points to',
  ),
  ENAMETOOLONG: object(
    'invalid-name',
    'the name is longer than the file system can hold',
    'A name between two slashes may have 255 bytes, a whole path 4,095; such a key fits an object store only',
  ),
  EILSEQ: object(
    'invalid-name',
    'the file system cannot hold this name',
    'Use a file system without name encoding',
  ),
  EFBIG: object(
    'unsupported',
    'the object is larger than a file of this file system may be',
    'Use another file system, or raise the limit (ulimit -f)',
  ),
  EMLINK: object(
    'unsupported',
    'the folder can hold no more folders',
    'Use a file system without such a limit',
  ),
  EXDEV: backend(
    'unsupported',
    'another file system is mounted inside the root folder, and a finished file cannot be moved into it',
    'Give the mounted folder itself as root directory',
  ),
  ENOSPC: backend(
    'no-space',
    'no space (or no inode) is left on the file system',
    'Free or add space (df -h, df -i) and run again: what was copied stays',
  ),
  EDQUOT: backend(
    'no-space',
    'the disk quota is used up',
    'Raise the quota and run again: what was copied stays',
  ),
  EROFS: backend('denied', 'the file system is mounted read-only', 'Mount it read-write and run again'),
  ENOTCONN: backend('unavailable', 'the file system is no longer connected', GONE_HINT),
  ENODEV: object('unavailable', 'the device is gone', GONE_HINT),
  // What open(2) answers for a socket.
  ENXIO: object('unsupported', 'it is a socket or device, not a regular file', 'Remove it from the storage'),
  EIO: transient(
    'unavailable',
    'the disk or the file server answered with an input/output error',
    RETRY_HINT,
  ),
  ESTALE: transient('unavailable', 'the file server no longer knows the file it was asked for', RETRY_HINT),
  EAGAIN: transient('unavailable', 'the file system asks to try again', RETRY_HINT),
  EBUSY: transient('unavailable', 'the file is in use', RETRY_HINT),
  EINTR: transient('unavailable', 'the call was interrupted', RETRY_HINT),
  ENOMEM: transient('unavailable', 'the kernel is out of memory', RETRY_HINT),
  EMFILE: transient(
    'unavailable',
    'this process has too many open files',
    'Raise the limit (ulimit -n) or lower --concurrency',
  ),
  ENFILE: transient(
    'unavailable',
    'the machine has too many open files',
    'Raise fs.file-max or lower --concurrency',
  ),
  ETIMEDOUT: transient('timeout', 'the file server did not answer in time', RETRY_HINT),
  // What mounts over a network pass on of it.
  ECONNREFUSED: transient('unavailable', 'the file server refuses connections', RETRY_HINT),
  ECONNRESET: transient('unavailable', 'the file server closed the connection', RETRY_HINT),
  ECONNABORTED: transient('unavailable', 'the connection to the file server broke', RETRY_HINT),
  EHOSTDOWN: transient('unavailable', 'the file server is down', RETRY_HINT),
  EHOSTUNREACH: transient('unavailable', 'the file server cannot be reached', RETRY_HINT),
  ENETDOWN: transient('unavailable', 'the network to the file server is down', RETRY_HINT),
  ENETUNREACH: transient('unavailable', 'the network of the file server cannot be reached', RETRY_HINT),
  EREMOTEIO: transient('unavailable', 'the file server met an input/output error', RETRY_HINT),
  ENOLCK: transient('unavailable', 'the file server has no locks left', RETRY_HINT),
  ESHUTDOWN: backend('unavailable', 'the file system has shut itself down', GONE_HINT),
  EBADMSG: object('corrupt', 'the file system found its own data damaged', CHECK_HINT),
  EUCLEAN: object('corrupt', 'the file system is damaged here', CHECK_HINT),
  EKEYEXPIRED: backend('denied', 'the ticket for the file server has expired', TICKET_HINT),
  ENOKEY: backend('denied', 'there is no ticket for the file server', TICKET_HINT),
};

/** Every code the table knows, for tests and documents. */
export const KNOWN_CODES: readonly string[] = Object.keys(MEANINGS);

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
  // Linux has these beyond what Node knows at all.
  [117, 'EUCLEAN'],
  [126, 'ENOKEY'],
  [127, 'EKEYEXPIRED'],
]);

/** The errno name of a Node error, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  // Node has no names for ESTALE and EDQUOT, which are what NFS and quotas answer with; some calls say just UNKNOWN.
  const [, said] = /^Unknown system error -(\d+)$/.exec(error.code) ?? [];
  const number = said ?? (error.code === 'UNKNOWN' && 'errno' in error ? -Number(error.errno) : undefined);
  return number === undefined ? error.code : (NAMES.get(Number(number)) ?? error.code);
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = codeOf(error);
  return code !== undefined && codes.includes(code);
}

/**
 * A `StorageError` for what a file call threw. Errors that already are one pass through, and so does whatever has no
 * errno: the signal's reason, an error thrown by a body, a fault of our own.
 */
export function fromErrno(context: FsContext, error: unknown): unknown {
  const code = codeOf(error);
  if (
    error instanceof StorageError ||
    code === undefined ||
    !/^(E[A-Z0-9]+|UNKNOWN|Unknown system error -\d+)$/.test(code)
  )
    return error;
  const meaning = MEANINGS[code] ?? object('unexpected', `the system answered ${code}`);
  return build(context, meaning, { code, cause: error });
}

export interface Refusal {
  readonly kind: ErrorKind;
  readonly sentence: string;
  readonly hint?: string;
  readonly isTransient?: boolean;
  readonly scope?: ErrorScope;
  readonly code?: string;
  readonly cause?: unknown;
}

/** A refusal of the driver's own, not the kernel's. */
export function refusal(context: FsContext, reason: Refusal): StorageError {
  const meaning: Meaning = { isTransient: false, scope: 'object', ...reason };
  return build(context, meaning, { code: reason.code, cause: reason.cause });
}

function build(
  context: FsContext,
  meaning: Meaning,
  origin: { readonly code?: string | undefined; readonly cause?: unknown },
): StorageError {
  const what = context.key === undefined ? context.backend : `"${context.key}" in ${context.backend}`;
  const suffix = origin.code === undefined ? '' : ` (${origin.code})`;
  return new StorageError(
    `Cannot ${VERBS[context.operation]} ${what}: ${meaning.sentence}${suffix}`,
    {
      kind: meaning.kind,
      backend: context.backend,
      operation: context.operation,
      ...(context.key === undefined ? {} : { key: context.key }),
      ...(origin.code === undefined ? {} : { backendCode: origin.code }),
      isTransient: meaning.isTransient,
      scope: meaning.scope,
    },
    { cause: origin.cause, hint: meaning.hint },
  );
}

const VERBS: Readonly<Record<Operation, string>> = {
  list: 'list',
  stat: 'look at',
  read: 'read',
  write: 'write',
  copy: 'copy',
  begin: 'begin the upload of',
  part: 'write a part of',
  complete: 'complete the upload of',
  abort: 'abort the upload of',
  remove: 'remove',
  flush: 'make durable',
};
