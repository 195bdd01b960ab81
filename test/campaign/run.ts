/**
 * Long runs: `npm run campaign -- NAME [--seed S] [--count N] [--case N]`. A full run appends one JSON line to
 * results/NAME.jsonl (of `large-…` and `many-…`, what stands before the dash): commit, seed, machine, what was done and what came
 * out; one with a count or a case of its own only prints it. The tests run a seeded slice of each
 * (test/measure/cost.test.ts, test/e2e/campaigns.test.ts, test/e2e/object-extremes.test.ts).
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import type { CampaignOptions, CampaignResult } from './campaign.ts';
import { SERVICES } from './extremes/places.ts';
import { largeCampaign, manyCampaign } from './extremes.ts';
import { faultsCampaign } from './faults.ts';
import { killsCampaign } from './kills.ts';
import { memoryCampaign } from './memory.ts';
import { migrateKillsCampaign } from './migrate-kills.ts';
import { outageCampaign } from './outage.ts';

const CAMPAIGNS: Readonly<Record<string, (options: CampaignOptions) => Promise<CampaignResult>>> = {
  faults: faultsCampaign,
  kills: killsCampaign,
  'migrate-kills': migrateKillsCampaign,
  memory: ({ seed }) => memoryCampaign(seed),
  outage: ({ seed }) => outageCampaign(seed),
  ...Object.fromEntries(
    SERVICES.flatMap((service) => [
      [`large-${service}`, (options: CampaignOptions) => largeCampaign(service, options)],
      [`many-${service}`, (options: CampaignOptions) => manyCampaign(service, options)],
    ]),
  ),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, count: { type: 'string' }, case: { type: 'string' } },
});
const [name = ''] = positionals;
const campaign = CAMPAIGNS[name];
const numbers = [values.count, values.case];
if (!campaign || numbers.some((text) => text !== undefined && !/^\d{1,6}$/.test(text))) {
  console.error(
    `npm run campaign -- NAME [--seed S] [--count N] [--case N]; NAME: ${Object.keys(CAMPAIGNS).join(', ')}`,
  );
  process.exit(2);
}
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const seed = values.seed ?? commit;
const started = performance.now();
const { isGood, result } = await campaign({
  seed,
  ...(values.count === undefined ? {} : { count: Number(values.count) }),
  ...(values.case === undefined ? {} : { only: Number(values.case) }),
  say: (line) => console.error(line),
});
const machine = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  memoryGib: Math.round(totalmem() / 1024 ** 3),
  node: process.version,
};
const line = JSON.stringify({
  campaign: name,
  commit,
  seed,
  isGood,
  ...result,
  seconds: Math.round((performance.now() - started) / 1000),
  machine,
  at: new Date().toISOString(),
});
const isFull = values.count === undefined && values.case === undefined;
if (isFull)
  appendFileSync(
    new URL(`./results/${name.replace(/^(large|many)-.*/, '$1')}.jsonl`, import.meta.url),
    `${line}\n`,
  );
console.log(line);
process.exitCode = isGood ? 0 : 1;
