/**
 * Objects as large, and folders as full, as registries have them seldom, each from a folder into one of the four services
 * and back: one sparse blob of 5 GiB and a byte, more than S3 takes in one request (`large-…`), and a repository of 10,500
 * manifests, more than any service lists in one page (`many-…`).
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type FiveServices, startFiveServices } from '../support/five-services.ts';
import { makeTempFolder } from '../support/temp.ts';
import type { CampaignOptions, CampaignResult } from './campaign.ts';
import { runLarge } from './extremes/large.ts';
import { runMany } from './extremes/many.ts';
import type { Service } from './extremes/places.ts';

const MIB = 1024 ** 2;
/** The large object, with room to spare; the file is sparse. */
const CEPH_BYTES = 12 * 1024 * MIB;
const LARGE_MIB = 5 * 1024;
const ENTRIES = 10_500;

/** @param options.count of MiB. */
export function largeCampaign(
  service: Service,
  { seed, count = LARGE_MIB }: CampaignOptions,
): Promise<CampaignResult> {
  const sizeBytes = count * MIB + 1;
  return onServices((services, folder) => runLarge(services, { service, folder, sizeBytes, seed }));
}

/** @param options.count of manifests. */
export function manyCampaign(
  service: Service,
  { count = ENTRIES }: CampaignOptions,
): Promise<CampaignResult> {
  return onServices((services, folder) => runMany(services, { service, folder, entries: count }));
}

async function onServices<Run extends { readonly problems: readonly string[] }>(
  work: (services: FiveServices, folder: string) => Promise<Run>,
): Promise<CampaignResult> {
  await using folder = await makeTempFolder('extremes');
  await mkdir(join(folder.path, 'servers'));
  const services = await startFiveServices(join(folder.path, 'servers'), CEPH_BYTES);
  try {
    const run = await work(services, folder.path);
    return { isGood: run.problems.length === 0, result: { ...run } };
  } finally {
    await services.stop();
  }
}
