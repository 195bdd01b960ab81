/** Both storages: reachable with the rights that are needed, an empty target, clocks, room, damage that is there already. */
import type {
  EngineCall,
  EnginePort,
  StorageFindings,
  SurveyReport,
  TargetFindings,
} from '../engine-port.ts';
import { type Finding, note, ok, type PreflightCheck, problem } from './finding.ts';

type Found = Omit<Finding, 'item'>;

/** Signed requests are refused from about a quarter of an hour on. */
const SKEW_MS_MAX = 5 * 60_000;
const SKEW_MS_NOTED = 60_000;
/** No migration is done within so short a time; one that is not done in so long a time is rare. */
const EXPIRY_MS_MIN = 60 * 60_000;
const EXPIRY_MS_NOTED = 7 * 24 * 60 * 60_000;
const SOURCE = 'source storage';

/** Room for what is pushed meanwhile, and for what a file system needs itself. */
const ROOM_FACTOR = 1.05;

export interface StorageChecks {
  readonly engine: EnginePort;
  readonly call: (signal: AbortSignal) => EngineCall;
  /** The proof of content comes from backups that are taken later, or from nowhere. */
  readonly isWithoutDigests: boolean;
  /** A registry whose backups say what its blobs hash to. */
  readonly hasBackups: boolean;
}

export function storageChecks({
  engine,
  call,
  isWithoutDigests,
  hasBackups,
}: StorageChecks): readonly PreflightCheck[] {
  let target: TargetFindings | undefined;
  let source: StorageFindings | undefined;
  return [
    {
      item: SOURCE,
      look: async (signal) => {
        source = await engine.lookAtSource(call(signal));
        return rightsOf(source, ['list', 'read']);
      },
    },
    {
      item: 'target storage',
      // What lies in the target is compared with what the source has.
      needs: SOURCE,
      look: async (signal) => {
        target = await engine.lookAtTarget(call(signal));
        return rightsOf(target, ['list', 'read', 'write', 'delete']);
      },
    },
    { item: 'rules of the target', look: async () => (target ? rulesOf(target) : []) },
    {
      item: 'credentials',
      look: async () => [source, target].flatMap((found) => (found ? expiryOf(found, Date.now()) : [])),
    },
    { item: 'content of the target', look: async () => (target ? [contentOf(target)] : []) },
    { item: 'clocks', look: async () => [source, target].flatMap((found) => (found ? clockOf(found) : [])) },
    {
      item: 'content of the source',
      needs: SOURCE,
      look: async (signal) => {
        const survey = await engine.survey(call(signal));
        return [
          ...surveyed(survey),
          ...layoutOf(survey, { isWithoutDigests, hasBackups }),
          ...(target ? [roomFor(survey, target)] : []),
        ];
      },
    },
  ];
}

function rightsOf(found: StorageFindings, needed: readonly string[]): readonly Found[] {
  const rights = found.rights.filter(({ right }) => needed.includes(right));
  const wrong = rights.filter(({ is }) => is === 'refused');
  const unknown = rights.filter(({ is }) => is === 'unknown');
  const sentences = wrong.map(({ right, why }) =>
    problem(
      `${found.name} may not be used to ${right}${why === undefined ? '' : `: ${why}`}`,
      `Grant the right to ${right} there`,
    ),
  );
  if (sentences.length > 0) return sentences;
  const granted = rights.filter(({ is }) => is === 'granted').map(({ right }) => right);
  // Nothing was refused where nothing was reached: a folder that is not there, a name without a server.
  if (granted.length === 0) {
    return [
      problem(unknown[0]?.why ?? `${found.name} lets nobody do anything`, 'Make it reachable from here'),
    ];
  }
  return [
    ok(`${found.name} can be reached, with the rights to ${granted.join(', ')}`),
    ...unknown.map(
      ({ right, why }): Found => ({
        is: 'unknown',
        text: `Whether one may ${right} in ${found.name}: ${why ?? 'not known'}`,
      }),
    ),
  ];
}

/** Lifecycle, locks and versions: what may remove what was copied, or keep what is to be removed. */
function rulesOf({ name, rules }: TargetFindings): readonly Found[] {
  if (rules === undefined)
    return [{ is: 'unknown', text: `${name} does not tell its lifecycle, lock and versioning rules` }];
  return rules.length === 0 ? [ok(`${name} has none that removes or keeps objects`)] : rules.map(note);
}

function expiryOf({ name, credentialsExpireMs }: StorageFindings, nowMs: number): readonly Found[] {
  if (credentialsExpireMs === undefined) return [];
  const text = `those for ${name} end at ${new Date(credentialsExpireMs).toISOString()}`;
  if (credentialsExpireMs < nowMs + EXPIRY_MS_MIN) {
    return [problem(text, 'Take ones that last longer than the migration')];
  }
  return [
    credentialsExpireMs < nowMs + EXPIRY_MS_NOTED
      ? note(`${text}: will the migration be done then?`)
      : ok(text),
  ];
}

function contentOf({ name, holds, stranger }: TargetFindings): Found {
  if (holds === 'nothing') return ok(`${name} is empty`);
  if (holds === 'ours') return ok(`${name} holds what this migration has copied before, and nothing else`);
  return problem(
    `${name} holds what this migration did not bring: "${stranger ?? 'something'}"`,
    'Give it an empty bucket, folder or root',
  );
}

function clockOf({ name, clockAheadMs }: StorageFindings): readonly Found[] {
  if (clockAheadMs === undefined) return [];
  const seconds = Math.round(Math.abs(clockAheadMs) / 1000);
  const text = `the clock of ${name} is ${seconds} s ${clockAheadMs < 0 ? 'behind' : 'ahead of'} the one here`;
  if (Math.abs(clockAheadMs) > SKEW_MS_MAX)
    return [problem(text, 'Set both by NTP: signed requests are refused for this')];
  return [Math.abs(clockAheadMs) > SKEW_MS_NOTED ? note(text) : ok(text)];
}

function surveyed({
  objects,
  bytes,
  archived,
  maybeArchived,
  damaged,
  warnings,
}: SurveyReport): readonly Found[] {
  const named = ({ count, first }: { readonly count: number; readonly first: readonly string[] }): string =>
    `${first.join(', ')}${count > first.length ? ' and more' : ''}`;
  return [
    ok(`${objects} objects, ${bytes} bytes`),
    ...(archived.count === 0
      ? []
      : [
          problem(
            `${archived.count} objects are archived and cannot be read: ${named(archived)}`,
            'Restore them into a readable tier first',
          ),
        ]),
    ...(maybeArchived === undefined ? [] : [note(maybeArchived)]),
    ...(damaged.count === 0
      ? [ok('no damage that a listing shows')]
      : [
          problem(
            `${damaged.count} objects are damaged already: ${named(damaged)}`,
            'Remove the images that need them, or bring the objects back from a backup: a copy could not be proved',
          ),
        ]),
    ...warnings.map(note),
  ];
}

function layoutOf(
  { layout, reason }: SurveyReport,
  { isWithoutDigests, hasBackups }: Pick<StorageChecks, 'isWithoutDigests' | 'hasBackups'>,
): readonly Found[] {
  const text = `it is laid out as ${layout}: ${reason}`;
  if (layout !== 'msr') return [ok(text)];
  if (isWithoutDigests)
    return [note(`${text}; --without-digests: no blob is compared with what it must hash to`)];
  if (hasBackups) return [ok(`${text}; what each blob must hash to comes from the metadata backups`)];
  return [
    problem(
      `${text}, and no backup says what each blob must hash to`,
      'Write platform: msr, or pass --without-digests, which every report states',
    ),
  ];
}

function roomFor({ bytes }: SurveyReport, { name, freeBytes, holds }: TargetFindings): Found {
  if (freeBytes === undefined) return { is: 'unknown', text: `${name} does not say how much room it has` };
  const text = `${name} has room for ${freeBytes} bytes, and the source holds ${bytes}`;
  if (freeBytes >= bytes * ROOM_FACTOR) return ok(text);
  // What is there already needs no room any more, and how much that is was not counted.
  if (holds === 'ours') return note(`${text}, of which some is there already`);
  return problem(text, 'Make room, or raise the quota');
}
