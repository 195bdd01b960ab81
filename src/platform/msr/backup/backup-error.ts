/** Why an archive is no metadata backup that can be used; nothing of its content is in the message. */
import { ConfigError } from '../../../core/errors.ts';

export type BackupProblem =
  /** Packed by gzip, zstd … */
  | 'compressed'
  /** It ends before its end, or goes on behind it. */
  | 'truncated'
  | 'no-archive'
  /** An archive of something else, or with members that no backup has. */
  | 'foreign'
  /** Members that would lie outside of it, or are links. */
  | 'unsafe'
  | 'version'
  /** Tables or rows that every backup has are not there. */
  | 'incomplete';

const HINT =
  'Look at what wrote it: the bootstrapper of the very version that runs writes a plain tar to its standard output and nothing else; then run again';

export class BackupError extends ConfigError {
  readonly problem: BackupProblem;

  constructor(
    name: string,
    problem: BackupProblem,
    reason: string,
    options: { readonly hint?: string } = {},
  ) {
    super(`"${name}" is no usable backup of MSR's metadata: ${reason}`, { hint: HINT, ...options });
    this.problem = problem;
  }
}
