/**
 * kill -9 before, in and behind every step of a migration, forth and back: the same command is begun again each time, and
 * in the end the registry is where it should be, with everything that was pushed. Design and figures: docs/reliability.md.
 */
import { join } from 'node:path';
import pLimit, { type LimitFunction } from 'p-limit';
import { buildImages } from '../support/images.ts';
import { type Swift, startSwift } from '../support/swift.ts';
import { makeTempFolder } from '../support/temp.ts';
import type { CampaignOptions, CampaignResult } from './campaign.ts';
import { type KillJob, type KillResult, killMigration } from './migrate-kills/kill-migration.ts';
import { type Direction, type Moment, momentsOf, nameOf, type Seen } from './migrate-kills/moments.ts';
import { WAYS, type Way } from './migrate-kills/ways.ts';
import { Random } from './random.ts';

/** Kills of one migration: between two of them the run gets some steps further. */
const KILLS_MAX = 10;
/** Migrations side by side: they wait more than they work. */
const AT_ONCE = 4;

interface WayResult {
  readonly way: Way;
  readonly moments: readonly Moment[];
  readonly kills: KillResult['kills'];
  readonly notMet: readonly Moment[];
  /** Steps that had nothing to do or to undo, so that nothing of theirs could be killed. */
  readonly idle: readonly string[];
  readonly problems: readonly string[];
  readonly migrations: number;
  readonly seconds: number;
}

/** @param count kills; default: one at each moment. @param only one way alone, by its number. */
export async function migrateKillsCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, count, only } = options;
  await using folder = await makeTempFolder('migrate-kills');
  const images = await buildImages({
    directory: join(folder.path, 'images'),
    seed,
    repositories: ['team/app', 'team/app/nested', 'ab/early', 'zz/late'],
    imagesPerRepository: 5,
    layerBytes: [200],
    largestLayerBytes: 30_000,
  });
  let server: Promise<Swift> | undefined;
  const swift = (): Promise<Swift> => {
    server ??= startSwift({ directory: join(folder.path, 'swift') });
    return server;
  };
  const shared = { images, compileCache: join(folder.path, 'cache'), swift };
  const ways = count === undefined ? WAYS : WAYS.filter(({ isInSlice }) => isInSlice);
  const chosen = only === undefined ? ways : WAYS.slice(only, only + 1);
  const share = count === undefined ? undefined : Math.ceil(count / chosen.length);
  // A slice has too few of each to keep the machine busy.
  const isInTurn = pLimit(count === undefined ? 1 : chosen.length);
  const limit = pLimit(AT_ONCE);
  let done: readonly WayResult[];
  try {
    const work = chosen.map((way) => isInTurn(() => killsOf(way, share, { ...shared, limit }, options)));
    done = await Promise.all(work);
  } finally {
    await (await server?.catch(() => undefined))?.stop();
  }
  if (done.some(({ problems }) => problems.length > 0))
    options.say(
      `again: npm run campaign -- migrate-kills --seed ${seed}${count === undefined ? '' : ` --count ${count}`}`,
    );
  return summary(done, count === undefined);
}

async function killsOf(
  way: Way,
  count: number | undefined,
  {
    limit,
    ...shared
  }: Pick<KillJob, 'images' | 'compileCache' | 'swift'> & { readonly limit: LimitFunction },
  { seed, say }: CampaignOptions,
): Promise<WayResult> {
  const started = performance.now();
  const random = new Random(`${seed}/${way.name}`);
  // What one of them draws does not depend on how far the others are.
  const job = (moments: readonly Moment[], label: string): KillJob => {
    return { way, moments, random: new Random(`${seed}/${way.name}/${label}`), say, ...shared };
  };
  say(`${way.name}: looking for its moments`);
  const watched = await limit(() => killMigration(job([], 'watched')));
  const isWanted = (step: string): boolean => way.steps?.includes(step) ?? step !== '';
  const moments = momentsOf(watched.seen, way.direction, random, isWanted);
  const rounds = roundsOf(count === undefined ? moments : someOf(moments, count, random));
  const inTurns = (all: readonly (readonly Moment[])[]): Promise<readonly KillResult[]> =>
    Promise.all(all.map((some, at) => limit(() => told(job(some, `${some.length}/${at}`)))));
  const first = await inTurns(rounds);
  // What another kill had made unnecessary is met where it is the only one.
  const alone = await inTurns(first.flatMap(({ notMet }) => notMet.map((moment) => [moment])));
  const results = [watched, ...first, ...alone];
  const met = results.flatMap(({ kills }) => kills);
  return {
    way,
    moments,
    kills: met,
    notMet: moments.filter((moment) => count === undefined && !met.some((kill) => kill.moment === moment)),
    idle: idleSteps(watched.seen, way.direction).filter(isWanted),
    problems: results.flatMap(({ problems }) => problems),
    migrations: results.length,
    seconds: Math.round((performance.now() - started) / 1000),
  };
}

async function told(job: KillJob): Promise<KillResult> {
  job.say(`${job.way.name}: ${job.moments.length} kills`);
  const result = await killMigration(job);
  for (const problem of result.problems) job.say(`FAILED ${problem}`);
  for (const moment of result.notMet) job.say(`  not come to: ${nameOf(moment)}`);
  return result;
}

/** Each takes every so-many-th moment: so that the kills of one migration are far from each other. */
function roundsOf(moments: readonly Moment[]): readonly (readonly Moment[])[] {
  const ofStep = Object.values(countBy(moments.map(({ step }) => step)));
  // Two at one step would get into each other's way.
  const count = Math.max(Math.ceil(moments.length / KILLS_MAX), ...ofStep);
  return Array.from({ length: count }, (_, round) => moments.filter((_moment, at) => at % count === round));
}

/** Different steps first. */
function someOf(moments: readonly Moment[], count: number, random: Random): readonly Moment[] {
  const left = [...moments];
  const chosen = new Set<Moment>();
  while (chosen.size < count && left.length > 0) {
    const fresh = left.filter(({ step }) => ![...chosen].some((moment) => moment.step === step));
    const moment = random.pick(fresh.length > 0 ? fresh : left);
    chosen.add(moment);
    left.splice(left.indexOf(moment), 1);
  }
  return moments.filter((moment) => chosen.has(moment));
}

function summary(ways: readonly WayResult[], isFull: boolean): CampaignResult {
  const problems = ways.flatMap((way) => way.problems);
  const missing = isFull ? ways.flatMap(placesMissing) : [];
  const kills = ways.flatMap((way) => way.kills);
  return {
    isGood: problems.length === 0 && missing.length === 0 && kills.length > 0,
    result: {
      kills: kills.length,
      migrations: ways.reduce((sum, { migrations }) => sum + migrations, 0),
      ways: ways.map(({ way, kills: met, migrations, seconds }) => ({
        way: way.name,
        steps: new Set(met.map(({ moment }) => moment.step)).size,
        kills: met.length,
        migrations,
        seconds,
      })),
      killsByPlace: countBy(
        kills.map(({ moment: { place, when } }) => (place === 'in' ? `in: ${when}` : place)),
      ),
      changesBetween: countBy(kills.flatMap(({ change }) => change ?? [])),
      problems: problems.slice(0, 20),
      momentsNotMet: ways.flatMap(({ way, notMet }) =>
        notMet.map((moment) => `${way.name}: ${nameOf(moment)}`),
      ),
      placesNotMet: missing,
    },
  };
}

function idleSteps({ lines }: Seen, direction: Direction): readonly string[] {
  // Whatever was not done is not undone either.
  if (direction === 'back') return [];
  const working = new Set(lines.filter(([, what]) => what === 'do-begun').map(([step]) => step));
  const looked = lines.filter(([, what]) => what === 'check-begun').map(([step]) => step);
  return [...new Set(looked)].filter((step) => !working.has(step));
}

/** Before, in and behind each step; in one that calls nobody nothing can be met. */
function placesMissing({ way, moments, kills, idle }: WayResult): readonly string[] {
  const keyOf = ({ step, place }: Moment): string => `${way.name}: ${place} ${step}`;
  const met = new Set(kills.map(({ moment }) => keyOf(moment)));
  return [
    ...[...new Set(moments.map(keyOf))].filter((key) => !met.has(key)),
    ...idle.map((step) => `${way.name}: ${step} has nothing to do`),
  ];
}

function countBy(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
