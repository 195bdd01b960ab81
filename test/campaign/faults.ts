/**
 * Faults of the wire and of storages, one in each small copy: whatever goes wrong, no wrong object is in the target, no
 * run says "done" that is not, and nothing is called proved that nothing proved. Design and figures: docs/reliability.md.
 */
import pLimit from 'p-limit';
import { missingFuse, mountFuse } from '../support/fuse.ts';
import { makeTempFolder } from '../support/temp.ts';
import type { CampaignOptions, CampaignResult } from './campaign.ts';
import { type CasePlan, DIGEST_SOURCES, describeCase, planCase } from './faults/plan-case.ts';
import { type CaseResult, runCase } from './faults/run-case.ts';

/** Cases mostly wait: for retries, for hanging answers. */
const CASES_AT_ONCE = 20;

interface Ran {
  readonly plan: CasePlan;
  readonly result: CaseResult;
}

/** @param options `only`: the number of one case to run alone; `count` is then of no meaning. */
export async function faultsCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, count = 1_000, only, say } = options;
  const missing = missingFuse();
  if (missing !== false) throw new Error(missing);
  const numbers = only === undefined ? Array.from({ length: count }, (_, index) => index) : [only];
  const ground = await makeTempFolder('fault-ground');
  const mount = await mountFuse(ground.path);
  const limit = pLimit(CASES_AT_ONCE);
  try {
    const ran = await Promise.all(
      numbers.map((number) =>
        limit(async (): Promise<Ran> => {
          const plan = planCase(seed, number);
          const result = await runCase(plan, { mount, folder: ground.path }).catch(
            (error: Error): CaseResult => ({
              problems: [String(error.stack)],
              wrongUnproved: 0,
              faults: 0,
              exit: -1,
            }),
          );
          tell(plan, result, seed, say);
          return { plan, result };
        }),
      ),
    );
    return summary(ran);
  } finally {
    await mount.stop();
    await ground.remove();
  }
}

function tell(plan: CasePlan, { problems }: CaseResult, seed: string, say: (line: string) => void): void {
  if (problems.length === 0) return;
  say(`FAILED ${describeCase(plan)}`);
  for (const problem of problems) say(`  ${problem}`);
  say(`  again: npm run campaign -- faults --seed ${seed} --case ${plan.number}`);
}

function summary(ran: readonly Ran[]): CampaignResult {
  const failed = ran.filter(({ result }) => result.problems.length > 0);
  const count = (holds: (one: Ran) => boolean): number => ran.filter(holds).length;
  const byDigests = DIGEST_SOURCES.map((digests) => [digests, count(({ plan }) => plan.digests === digests)]);
  const exits = [...new Set(ran.map(({ result }) => result.exit))].sort((a, b) => a - b);
  return {
    isGood: failed.length === 0 && ran.length > 0,
    result: {
      cases: ran.length,
      failed: failed.map(({ plan }) => plan.number),
      faultsThatTookEffect: ran.reduce((sum, { result }) => sum + result.faults, 0),
      kindsOfFaults: new Set(ran.map(({ plan }) => plan.fault.name)).size,
      objectsWrongAndUnproved: ran.reduce((sum, { result }) => sum + result.wrongUnproved, 0),
      casesByDigestSource: Object.fromEntries(byDigests),
      casesByExit: Object.fromEntries(
        exits.map((exit) => [exit, count(({ result }) => result.exit === exit)]),
      ),
    },
  };
}
