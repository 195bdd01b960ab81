/**
 * Objects as large, and folders as full, as registries have them seldom: one sparse blob of 5 GiB and a byte, which no
 * service takes in one request, and a repository of 10,500 manifests, which no service lists in one page. Each goes from a folder
 * into each of the four services, one after the other, and back.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startFiveServices } from '../support/five-services.ts';
import { makeTempFolder } from '../support/temp.ts';
import type { CampaignOptions, CampaignResult } from './campaign.ts';
import { type LargeRun, runLarge } from './extremes/large.ts';
import { type ManyRun, runMany } from './extremes/many.ts';
import { SERVICES } from './extremes/places.ts';

const MIB = 1024 ** 2;
/** Every service here is asked for the whole of it: a little more than the largest object. */
const CEPH_BYTES = 12 * 1024 * MIB;

/** @param count of MiB of the large object, and of manifests. */
export async function extremesCampaign({ seed, count, say }: CampaignOptions): Promise<CampaignResult> {
  const sizeBytes = (count ?? 5 * 1024) * MIB + 1;
  const entries = count ?? 10_500;
  const large: LargeRun[] = [];
  const many: ManyRun[] = [];
  for (const service of SERVICES) {
    await using folder = await makeTempFolder('extremes');
    await mkdir(join(folder.path, 'servers'));
    const services = await startFiveServices(join(folder.path, 'servers'), CEPH_BYTES);
    try {
      say(`${service}: ${entries} entries`);
      many.push(await runMany(services, { service, folder: folder.path, entries }));
      say(JSON.stringify(many.at(-1)));
      say(`${service}: ${sizeBytes} bytes`);
      large.push(await runLarge(services, { service, folder: folder.path, sizeBytes, seed }));
      say(JSON.stringify(large.at(-1)));
    } finally {
      await services.stop();
    }
  }
  const problems = [...large, ...many].flatMap((run) => run.problems);
  return { isGood: problems.length === 0, result: { sizeBytes, entries, large, many } };
}
