/** A command in a container: what is run, or shown to be run by hand. */
import { BlobferryError } from '../core/errors.ts';
import { quoted } from './shell.ts';

export interface ContainerSpec {
  /** See `containerName`. */
  readonly name: string;
  readonly image: string;
  /** The command and its arguments; never a secret, as every process of the host can read them. */
  readonly command: readonly string[];
  /** Variables in the container by name, and the variable here that holds the secret of each. */
  readonly secretEnv: Readonly<Record<string, string>>;
  /** Absolute paths. What goes in, and where what comes out is put: a new file for its owner alone. */
  readonly stdinFile?: string;
  readonly stdoutFile?: string;
  /** Docker takes it away when it ends: for those of which nobody asks how they ended. */
  readonly isRemoved?: true;
  /** How long it may take. */
  readonly msMax: number;
}

export interface ContainerEnd {
  /** Somebody, or an earlier run of the program, had begun it. */
  readonly wasThere: boolean;
}

/** Docker, or a person who runs what is shown. */
export interface ContainerRunner {
  /**
   * Runs it to its end, unless it runs or has run already.
   * @throws ContainerError; the signal's reason.
   */
  run(spec: ContainerSpec, signal: AbortSignal): Promise<ContainerEnd>;
  /** What became of an earlier run of this name; one that runs still is waited for. `none`: nothing is known of any. */
  past(spec: ContainerSpec, signal: AbortSignal): Promise<'none' | 'ended-well' | 'failed'>;
  /** Does this version of a command know a flag? */
  knowsFlag(image: string, command: readonly string[], flag: string, signal: AbortSignal): Promise<boolean>;
  /** Takes away what is left of it once its effect was seen; none being there is fine. */
  remove(name: string, signal: AbortSignal): Promise<void>;
}

export type ContainerErrorKind =
  /** There is no `docker` to be run, or none that answers. Nothing was begun. */
  | 'missing'
  /** It was not begun: no such image, a name that is taken. */
  | 'refused'
  /** It ran and failed, and may have done part of its work. */
  | 'failed'
  | 'timeout'
  /** It was begun, and Docker does not say how it ended. */
  | 'unknown'
  /** Somebody was asked to run it and has not. */
  | 'not-done'
  /** A file could not be read or written. */
  | 'file';

export class ContainerError extends BlobferryError {
  readonly kind: ContainerErrorKind;
  /** The last lines that it said, without secrets. */
  readonly log: readonly string[];

  constructor(
    kind: ContainerErrorKind,
    message: string,
    options: { readonly hint?: string; readonly cause?: unknown; readonly log?: readonly string[] } = {},
  ) {
    super(message, options);
    this.kind = kind;
    this.log = options.log ?? [];
  }

  /** Ask what is so before it is run again. */
  get mayHaveActed(): boolean {
    return ['failed', 'timeout', 'unknown', 'not-done', 'file'].includes(this.kind);
  }
}

/** `blobferry-<run>-<step>`; a later attempt of a step has its number behind it, as an earlier one does not count. */
export function containerName(run: string, step: string, attempt = 1): string {
  return `blobferry-${run}-${step}${attempt === 1 ? '' : `-${attempt}`}`;
}

/** `containerName` of this attempt of a step and of those before it. */
export function containerNames(run: string, step: string, attempt: number): readonly string[] {
  return Array.from({ length: attempt }, (_, at) => containerName(run, step, at + 1));
}

/**
 * Takes away what is left of containers whose effect was seen: a program that was killed could not.
 * @returns what is to be said of those that stay, which is no failure of what they did; empty: nothing.
 */
export async function tidied(
  containers: Pick<ContainerRunner, 'remove'>,
  names: Iterable<string>,
  signal: AbortSignal,
): Promise<string> {
  let left = '';
  for (const name of names) {
    try {
      await containers.remove(name, signal);
    } catch (error) {
      if (!(error instanceof ContainerError)) throw error;
      left += `; ${error.message}`;
    }
  }
  return left;
}

/** @throws TypeError for what must never be run: a mistake of whoever built it. */
export function demandHarmless({ name, image, command, secretEnv }: ContainerSpec): void {
  const flag = command.find((word) => /^--?reinitialize-storage\b/.test(word));
  if (flag !== undefined) throw new TypeError(`${flag} erases every tag, and is never run`);
  if (!/^blobferry-[a-z0-9-]+$/.test(name)) throw new TypeError(`"${name}" is no name for a container`);
  if (image.startsWith('-')) throw new TypeError('An image that begins with a dash would be a flag');
  const odd = Object.entries(secretEnv)
    .flat()
    .find((word) => !/^[A-Za-z_]\w*$/.test(word));
  if (odd !== undefined) throw new TypeError('A secret is named by a variable, never given');
}

/** @param help what a command prints of itself. @param flag without its dashes. */
export function listsFlag(help: string, flag: string): boolean {
  return new RegExp(`(?:^|[\\s,])--${flag}(?![\\w-])`).test(help);
}

/** What follows `docker`. There is never a terminal: a backup is refused to one, and would be changed by it. */
export function runArguments(spec: ContainerSpec): readonly string[] {
  const { name, image, command, secretEnv, stdinFile, stdoutFile, isRemoved } = spec;
  return [
    'run',
    ...(isRemoved ? ['--rm'] : []),
    '--name',
    name,
    ...(stdinFile === undefined ? [] : ['-i']),
    // Else the whole backup would be put into the log of the container as well.
    ...(stdoutFile === undefined ? [] : ['--log-driver', 'none']),
    ...Object.keys(secretEnv).flatMap((variable) => ['-e', variable]),
    image,
    ...command,
  ];
}

/** The same for a POSIX shell, where the secrets' variables are set. */
export function shellCommand(spec: ContainerSpec): string {
  const secrets = Object.entries(spec.secretEnv).map(([inside, here]) => `${inside}="$${here}" `);
  const words = ['docker', ...runArguments(spec)].map(quoted).join(' ');
  const input = spec.stdinFile === undefined ? '' : ` < ${quoted(spec.stdinFile)}`;
  const line = `${secrets.join('')}${words}${input}`;
  return spec.stdoutFile === undefined ? line : `(umask 077; ${line} > ${quoted(spec.stdoutFile)})`;
}

/**
 * The same for a POSIX shell, for whoever goes on by hand: it may be pasted once more, as nothing of it stays behind.
 */
export function shellCommandOnce(spec: ContainerSpec): string {
  return shellCommand({ ...spec, isRemoved: true });
}
