/**
 * kill -9 at random moments: the same command is begun again each time, and in the end the target is the source.
 * Design and figures: docs/reliability.md.
 */
import { makeTempFolder } from '../support/temp.ts';
import type { CampaignOptions, CampaignResult } from './campaign.ts';
import { type JobResult, type Route, runKillJob, sentAgainMax } from './kills/kill-job.ts';
import { makeKillTree } from './kills/kill-tree.ts';
import { Random } from './random.ts';

/** Few kills meet the first two. */
const ROUTES: readonly Route[] = [
  { source: 's3', target: 's3', layout: 'raw' },
  { source: 's3', target: 'fs', layout: 'registry' },
  { source: 's3', target: 's3', layout: 'registry' },
  { source: 'fs', target: 's3', layout: 'registry' },
];
/** More than this a job does not survive without being done. */
const KILLS_OF_JOB_MAX = 25;

interface Job extends JobResult {
  readonly name: string;
}

export async function killsCampaign({ seed, count = 100, say }: CampaignOptions): Promise<CampaignResult> {
  const tree = makeKillTree(seed);
  await using cache = await makeTempFolder('kill-cache');
  const jobs: Job[] = [];
  const random = new Random(seed);
  let left = count;
  for (let at = 0; left > 0; at += 1) {
    const route = ROUTES[at % ROUTES.length];
    if (!route) break;
    const name = `${route.source} -> ${route.target}, ${route.layout}`;
    say(`${name}: up to ${Math.min(left, KILLS_OF_JOB_MAX)} kills`);
    const kills = Math.min(left, count <= 10 ? Math.ceil(count / 2) : KILLS_OF_JOB_MAX);
    const job = await runKillJob({ route, tree, random, kills, compileCache: cache.path, say });
    jobs.push({ ...job, name });
    for (const problem of job.problems) say(`FAILED ${name}: ${problem}`);
    left -= job.kills.length;
    if (job.problems.length > 0 || job.kills.length === 0) break;
  }
  if (jobs.some(({ problems }) => problems.length > 0))
    say(`again: npm run campaign -- kills --seed ${seed} --count ${count}`);
  return summary(jobs, count);
}

function summary(jobs: readonly Job[], count: number): CampaignResult {
  const kills = jobs.flatMap((job) => job.kills);
  const problems = jobs.flatMap((job) => job.problems);
  const sum = (of: (job: Job['kills'][number]) => number): number =>
    kills.reduce((total, kill) => total + of(kill), 0);
  return {
    isGood: problems.length === 0 && kills.length === count,
    result: {
      kills: kills.length,
      jobs: jobs.map(({ name, kills: killed, seconds }) => ({ route: name, kills: killed.length, seconds })),
      problems: problems.slice(0, 20),
      runsOverBeforeTheirKill: jobs.reduce((total, job) => total + job.runsTooShort, 0),
      killsByMoment: countBy(kills.map(({ trigger }) => trigger)),
      killsByPhase: countBy(kills.map(({ phase }) => phase)),
      sourceChangesBetween: countBy(kills.flatMap(({ change }) => change ?? [])),
      sentAgain: {
        objectsVisibleBefore: sum(({ again }) => again.visible.length),
        objects: sum(({ again }) => again.objects),
        parts: sum(({ again }) => again.parts),
        bytes: sum(({ again }) => again.bytes),
        boundPerKill: { bucket: sentAgainMax('s3'), folder: sentAgainMax('fs') },
      },
    },
  };
}

function countBy(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
