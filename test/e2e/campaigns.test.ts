/**
 * A twentieth of the campaigns of test/campaign/: the same code, fewer of everything. `BLOBFERRY_CAMPAIGN_SEED` gives
 * another seed; what fails prints how to repeat it.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { CampaignOptions, CampaignResult } from '../campaign/campaign.ts';
import { faultsCampaign } from '../campaign/faults.ts';
import { killsCampaign } from '../campaign/kills.ts';
import { migrateKillsCampaign } from '../campaign/migrate-kills.ts';
import { missingFuse } from '../support/fuse.ts';
import { missingTools } from '../support/tools.ts';

const seed = process.env['BLOBFERRY_CAMPAIGN_SEED'] ?? 'slice';

async function slice(
  t: TestContext,
  campaign: (options: CampaignOptions) => Promise<CampaignResult>,
  count: number,
): Promise<Readonly<Record<string, unknown>>> {
  const said: string[] = [];
  const { isGood, result } = await campaign({ seed, count, say: (line) => said.push(line) });
  t.diagnostic(JSON.stringify({ seed, ...result }));
  assert.ok(isGood, `seed ${seed}\n${said.join('\n')}`);
  return result;
}

describe('a slice of the campaigns', () => {
  it('kills a mixed copy 5 times, after which the target is the source', async (t) => {
    const { kills } = await slice(t, killsCampaign, 5);
    assert.equal(kills, 5);
  });

  const skip = missingTools('registry', 'skopeo');
  it('kills migrations forth and back 6 times, after which each is where it should be', {
    skip,
  }, async (t) => {
    const { kills, ways } = await slice(t, migrateKillsCampaign, 6);
    assert.ok(Number(kills) >= 5, `${kills} kills`);
    assert.equal((ways as readonly unknown[]).length, 2);
  });

  it('meets 50 faults and lets none of them through', { skip: missingFuse() }, async (t) => {
    const { cases, faultsThatTookEffect } = await slice(t, faultsCampaign, 50);
    assert.equal(cases, 50);
    assert.ok(Number(faultsThatTookEffect) >= 50);
  });
});
