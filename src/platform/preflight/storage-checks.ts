/** Both storages: reachable with the rights that are needed, an empty target, clocks, room, damage that is there already. */
import type {
  EngineCall,
  EnginePort,
  Named,
  StorageFindings,
  SurveyReport,
  TargetFindings,
} from '../engine-port.ts';
import { expiryOf } from './credentials.ts';
import { type Finding, note, ok, type PreflightCheck, problem, skewOf } from './finding.ts';
import { type Forecast, forecastOf, type WindowTerms, windowFinding } from './forecast.ts';
import { roomFor } from './room.ts';
import { type Served, servedFindings } from './served.ts';

type Found = Omit<Finding, 'item'>;

/** Signed requests are refused from about a quarter of an hour on. */
const SKEW_MS_MAX = 5 * 60_000;
const SOURCE = 'source storage';

export interface StorageChecks {
  readonly engine: EnginePort;
  readonly call: (signal: AbortSignal) => EngineCall;
  /** The proof of content comes from backups that are taken later, or from nowhere. */
  readonly isWithoutDigests: boolean;
  /** A registry whose backups say what its blobs hash to. */
  readonly hasBackups: boolean;
  /** So many damaged objects of the source are let be. */
  readonly damageMax?: number | undefined;
  readonly window: WindowTerms;
  /** What the registry serves, where nothing else shows that the source is the storage that it uses. */
  readonly served?: Served | undefined;
}

export function storageChecks({
  engine,
  call,
  isWithoutDigests,
  hasBackups,
  window,
  served,
  damageMax = 0,
}: StorageChecks): readonly PreflightCheck[] {
  let target: TargetFindings | undefined;
  let source: StorageFindings | undefined;
  let forecast: Forecast | undefined;
  let folder: readonly Found[] = [];
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
    { item: 'content of the target', look: async () => (target ? [contentOf(target)] : []) },
    { item: 'clocks', look: async () => [source, target].flatMap((found) => (found ? clockOf(found) : [])) },
    {
      item: 'content of the source',
      needs: SOURCE,
      look: async (signal) => {
        // Before the source is listed: what is pushed later need not be in it.
        const sample = await served?.sample(signal);
        const survey = await engine.survey(call(signal), undefined, sample?.blobs);
        if (served && sample) {
          const name = source?.name ?? 'the source';
          folder = await servedFindings({ served, sample, name, found: survey.wanted }, signal);
        }
        forecast = forecastOf(survey, window, target?.holds === 'ours');
        return [
          ...surveyed(survey, damageMax),
          ...layoutOf(survey, { isWithoutDigests, hasBackups }),
          ...(target ? roomFor(survey, target) : []),
        ];
      },
    },
    { item: 'folder of the source', look: async () => folder },
    { item: 'window', look: async () => (forecast ? [windowFinding(forecast, window)] : []) },
    {
      item: 'credentials',
      look: async () =>
        [source, target].flatMap((found) => (found ? expiryOf(found, Date.now(), forecast) : [])),
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
function rulesOf({ name, kind, rules }: TargetFindings): readonly Found[] {
  if (kind === 'fs') return [ok('a folder has no rules that remove or keep objects')];
  if (rules === undefined) {
    const what = 'its rules for lifecycle, locks and versions were not asked for';
    return [{ is: 'unknown', text: `${name}: ${what}`, hint: 'Look whether they remove or keep objects' }];
  }
  return rules.length === 0 ? [ok(`${name} has none that removes or keeps objects`)] : rules.map(note);
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
  const found = skewOf(name, clockAheadMs);
  if (Math.abs(clockAheadMs) <= SKEW_MS_MAX) return [found];
  return [problem(found.text, 'Set both by NTP: signed requests are refused for this')];
}

function surveyed(survey: SurveyReport, damageMax: number): readonly Found[] {
  const { objects, bytes, archived, maybeArchived, damaged, warnings } = survey;
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
    damageOf(damaged, damageMax),
    ...warnings.map(note),
  ];
}

function named({ count, first }: Named): string {
  return `${first.join(', ')}${count > first.length ? ' and more' : ''}`;
}

function damageOf(damaged: Named, damageMax: number): Found {
  if (damaged.count === 0) return ok('no damage that a listing shows');
  const text = `${damaged.count} objects are damaged already: ${named(damaged)}`;
  if (damaged.count <= damageMax)
    return note(
      `${text}; --accept-damage ${damageMax}: they are left out, and count as nothing that is proved`,
    );
  return problem(
    text,
    `Remove the images that need them, or bring the objects back from a backup: a copy could not be proved. To leave them out knowingly: --accept-damage ${damaged.count}`,
  );
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
