/**
 * Long runs: `npm run campaign -- NAME [--seed S]`. Each appends one JSON line to results/NAME.jsonl: commit, seed,
 * machine, what was done and what came out. The tests run a seeded slice of each (test/e2e/cost.test.ts).
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { memoryCampaign } from './memory.ts';

type Campaign = (
  seed: string,
) => Promise<{ readonly isGood: boolean; readonly result: Readonly<Record<string, unknown>> }>;

const CAMPAIGNS: Readonly<Record<string, Campaign>> = { memory: memoryCampaign };

const { values, positionals } = parseArgs({ allowPositionals: true, options: { seed: { type: 'string' } } });
const [name = ''] = positionals;
const campaign = CAMPAIGNS[name];
if (!campaign) {
  console.error(`Which campaign? There is: ${Object.keys(CAMPAIGNS).join(', ')}`);
  process.exit(2);
}
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const seed = values.seed ?? commit;
const { isGood, result } = await campaign(seed);
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
  machine,
  at: new Date().toISOString(),
});
appendFileSync(new URL(`./results/${name}.jsonl`, import.meta.url), `${line}\n`);
console.log(line);
process.exitCode = isGood ? 0 : 1;
