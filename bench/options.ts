/** What may stand behind `npm run bench --`. */
import { parseArgs } from 'node:util';
import { parseByteRate, parseBytes } from '../src/cli/units.ts';
import { COPIERS } from './copiers/find-copiers.ts';
import type { SetName } from './data/data-set.ts';
import { FULL, GOALS, type Parameters, QUICK } from './plan/parameters.ts';

/** Usage mistakes: a sentence for the user, and no stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface BenchOptions {
  readonly mode: 'run' | 'goals' | 'list' | 'report' | 'compare' | 'help';
  readonly isQuick: boolean;
  readonly patterns: readonly string[];
  readonly copiers: readonly string[];
  readonly peers: ReadonlyMap<string, string>;
  readonly parameters: Parameters;
  readonly withTrials: boolean;
  /** Two result files, from repetitions that take turns. */
  readonly isTwice: boolean;
  /** Of all targets, and not only of those for small objects. */
  readonly hasMd5Etags: boolean;
  readonly sets: readonly SetName[];
  readonly folder: string | undefined;
  readonly out: string | undefined;
  /** Result files. */
  readonly files: readonly string[];
}

export const HELP = `Usage: npm run bench -- [options]
  Copies the same objects with blobferry and with other programs in turn, measures each from outside and checks
  what arrived. Results are JSON lines; docs/benchmarks.md says how to read them.

What runs
  --list                 show cells, copiers found here and floors, and run nothing
  --only CELL,…          cells, as WORKLOAD/ROUTE/SCHEME/CONDITION with * for any text; parts at the end may be left out
  --copiers A,B          of ${COPIERS.join(', ')}
  --peer NAME=FILE       the program to use for a copier (again for another)
  --quick                everything tiny and once, to see that it works
  --repeat N             runs of each copier in each cell (default ${FULL.repeat})
  --full-only            leave out the runs of half the workload: no cost per object without the start
  --no-trials            leave out the flipped bits
  --twice                two benches at once, whose repetitions take turns, and how far they are apart in the end
  --md5-etags            true MD5 ETags in the targets of large bodies too, which costs their server 1.7 s/GiB
  --limit SECONDS        a copier that takes longer has failed (default ${FULL.limitSeconds})
  --folder DIR           where files of sources and targets lie (default: the folder for temporary files)
  --out FILE             where results go (default: bench/results/DATE.jsonl; of --report: bench/results/report.html)

Results
  --report [FILE…]       make one HTML page of result files (default: all of bench/results)
  --compare FILE FILE    how far two benches of the same thing are apart

Goals
  --goals                measure what was promised and print one table: figure, target, floor, reached or not. It has
                         sizes of its own (--small ${GOALS.small} --medium ${GOALS.medium} --large ${GOALS.large} --repeat ${GOALS.repeat}), needs about half an hour of a quiet
                         machine, and exits with 0 whatever is reached. --only names goals: --only small,large-*

Parameters (defaults in brackets; --quick has smaller ones)
  --small N [${FULL.small}]  --medium N [${FULL.medium}]  --medium-size BYTES [1MiB]  --large N [${FULL.large}]  --large-size BYTES [256MiB]
  --mixed N [${FULL.mixed}]  --mixed-median BYTES [1MiB]  --mixed-sigma X [${FULL.mixedSigma}]  --mixed-tail N [${FULL.mixedTail}]  --mixed-tail-size BYTES [1GiB]
  --listing N [${FULL.listing}]  --trial-size BYTES [96MiB]  --seed TEXT [${FULL.seed}]
  --latency MS [${FULL.latencyMs}]  --bandwidth RATE [80MB/s]  --refused PERCENT [${FULL.refusedShare * 100}]
  --requests N [${FULL.limitPerSecond}]  --limited-seconds N [${FULL.limitedSeconds}]   a limited target takes so many a second; how long that is looked at
  --transfers N [${FULL.transfers}]  --part-size BYTES [8MiB]   what peers are told that have to be told
`;

const TEXTS = [
  ...['only', 'copiers', 'repeat', 'limit', 'folder', 'out', 'seed'],
  ...['small', 'medium', 'medium-size', 'large', 'large-size', 'listing', 'trial-size'],
  ...['mixed', 'mixed-median', 'mixed-sigma', 'mixed-tail', 'mixed-tail-size'],
  ...['latency', 'bandwidth', 'refused', 'requests', 'limited-seconds', 'transfers', 'part-size'],
] as const;
const FLAGS = [
  ...['list', 'quick', 'full-only', 'no-trials', 'twice', 'md5-etags', 'report', 'compare', 'goals', 'help'],
] as const;

type TextName = (typeof TEXTS)[number];
type Given = Readonly<Partial<Record<TextName, string>>>;

/** @throws UsageError */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { texts, flags, peers, files } = readArguments(args);
  const isQuick = flags.has('quick');
  const mode =
    (['help', 'list', 'report', 'compare', 'goals'] as const).find((name) => flags.has(name)) ?? 'run';
  if (files.length > 0 && mode !== 'report' && mode !== 'compare')
    throw new UsageError(`"${files[0]}" stands alone: result files go with --report or --compare`);
  if (mode === 'compare' && files.length !== 2) throw new UsageError('--compare takes two result files');
  return {
    mode,
    isQuick,
    patterns: listOf(texts.only),
    copiers: listOf(texts.copiers),
    peers: new Map(peers.map(parsePeer)),
    parameters: readParameters(texts, isQuick ? QUICK : mode === 'goals' ? GOALS : FULL),
    withTrials: !flags.has('no-trials'),
    isTwice: flags.has('twice'),
    hasMd5Etags: flags.has('md5-etags'),
    sets: flags.has('full-only') ? ['full'] : ['half', 'full'],
    folder: texts.folder,
    out: texts.out,
    files,
  };
}

function readArguments(args: readonly string[]): {
  readonly texts: Given;
  readonly flags: ReadonlySet<string>;
  readonly peers: readonly string[];
  readonly files: readonly string[];
} {
  try {
    const parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(TEXTS.map((name) => [name, { type: 'string' } as const])),
        ...Object.fromEntries(FLAGS.map((name) => [name, { type: 'boolean' } as const])),
        peer: { type: 'string', multiple: true },
      },
    });
    const values: Readonly<Record<string, unknown>> = parsed.values;
    const texts = TEXTS.flatMap((name) => (values[name] === undefined ? [] : [[name, String(values[name])]]));
    return {
      texts: Object.fromEntries(texts) as Given,
      flags: new Set(FLAGS.filter((name) => values[name] === true)),
      peers: Array.isArray(values['peer']) ? values['peer'].map(String) : [],
      files: parsed.positionals,
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function listOf(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').filter((word) => word !== '');
}

function parsePeer(text: string): readonly [string, string] {
  const [, name, file] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || file === undefined) throw new UsageError(`--peer ${text}: NAME=FILE is expected`);
  return [name, file];
}

function readParameters(given: Given, defaults: Parameters): Parameters {
  const whole = (name: TextName, fallback: number, min = 1): number =>
    number(name, given[name], fallback, (value) => Number.isSafeInteger(value) && value >= min);
  const size = (name: TextName, fallback: number): number =>
    parsed(name, given[name], fallback, parseBytes, 'a size such as 1MiB');
  return {
    small: evenNumber(whole('small', defaults.small, 2)),
    medium: whole('medium', defaults.medium, 2),
    mediumBytes: size('medium-size', defaults.mediumBytes),
    large: whole('large', defaults.large, 2),
    largeBytes: size('large-size', defaults.largeBytes),
    mixed: whole('mixed', defaults.mixed, 2),
    mixedMedianBytes: size('mixed-median', defaults.mixedMedianBytes),
    mixedSigma: number(
      'mixed-sigma',
      given['mixed-sigma'],
      defaults.mixedSigma,
      (value) => value >= 0 && value <= 4,
    ),
    mixedTail: whole('mixed-tail', defaults.mixedTail, 0),
    mixedTailBytes: size('mixed-tail-size', defaults.mixedTailBytes),
    listing: whole('listing', defaults.listing, 2),
    trialBytes: size('trial-size', defaults.trialBytes),
    latencyMs: number('latency', given.latency, defaults.latencyMs, (value) => value >= 0),
    bandwidthBytesPerSecond: parsed(
      'bandwidth',
      given.bandwidth,
      defaults.bandwidthBytesPerSecond,
      parseByteRate,
      'a rate such as 80MB/s',
    ),
    refusedShare:
      number('refused', given.refused, defaults.refusedShare * 100, (value) => value > 0 && value < 100) /
      100,
    limitPerSecond: whole('requests', defaults.limitPerSecond),
    limitedSeconds: whole('limited-seconds', defaults.limitedSeconds),
    transfers: whole('transfers', defaults.transfers),
    repeat: whole('repeat', defaults.repeat),
    limitSeconds: whole('limit', defaults.limitSeconds),
    seed: given.seed ?? defaults.seed,
    partBytes: size('part-size', defaults.partBytes),
  };
}

function number(
  name: string,
  text: string | undefined,
  fallback: number,
  isAllowed: (value: number) => boolean,
): number {
  if (text === undefined) return fallback;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || !isAllowed(value)) throw new UsageError(`--${name} cannot be ${text}`);
  return value;
}

function parsed(
  name: string,
  text: string | undefined,
  fallback: number,
  parse: (text: string) => number | undefined,
  expected: string,
): number {
  if (text === undefined) return fallback;
  const value = parse(text);
  if (value === undefined || value < 1) throw new UsageError(`--${name} ${text} is not ${expected}`);
  return value;
}

/** Small objects come in pairs of a manifest and its link, and every second pair is in the half. */
function evenNumber(count: number): number {
  return count + (count % 2);
}
