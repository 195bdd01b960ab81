/**
 * Objects as large, and folders as full, as registries have them seldom: one sparse blob of 5 GiB and a byte, which no
 * service takes in one request, and a repository of 10,500 manifests, which no service lists in one page. Each goes from a folder
 * into one of the four services and back.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startFiveServices } from '../support/five-services.ts';
import { makeTempFolder } from '../support/temp.ts';
import type { CampaignOptions, CampaignResult } from './campaign.ts';
import { runLarge } from './extremes/large.ts';
import { runMany } from './extremes/many.ts';
import type { Service } from './extremes/places.ts';

const MIB = 1024 ** 2;
/** Every service here is asked for the whole of it: a little more than the largest object. */
const CEPH_BYTES = 12 * 1024 * MIB;

/** @param options.count of MiB of the large object, and of manifests. */
export async function extremesCampaign(
  service: Service,
  { seed, count, say }: CampaignOptions,
): Promise<CampaignResult> {
  await using folder = await makeTempFolder('extremes');
  await mkdir(join(folder.path, 'servers'));
  const services = await startFiveServices(join(folder.path, 'servers'), CEPH_BYTES);
  try {
    const sizeBytes = (count ?? 5 * 1024) * MIB + 1;
    say(`${service}: an object of ${sizeBytes} bytes`);
    const large = await runLarge(services, { service, folder: folder.path, sizeBytes, seed });
    say(JSON.stringify(large));
    const entries = count ?? 10_500;
    say(`${service}: ${entries} manifests`);
    const many = await runMany(services, { service, folder: folder.path, entries });
    return { isGood: large.problems.length + many.problems.length === 0, result: { large, many } };
  } finally {
    await services.stop();
  }
}
