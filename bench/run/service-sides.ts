/** Sides of a copy on Azure, Cloud Storage or Swift: a server of the bench's own in a process of its own. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keyPrefixOf } from '../../src/layout/key-rule.ts';
import { checkService } from '../check/check-target.ts';
import { plantWrongSums } from '../check/planted-sums.ts';
import type { ContainerPlace } from '../copiers/copier.ts';
import type { SetName } from '../data/data-set.ts';
import { fillContainers, specOf } from '../data/fill-containers.ts';
import type { BenchObject } from '../data/objects.ts';
import type { ServiceKind } from '../service-servers/kinds.ts';
import { type ServiceProcess, startServiceProcess } from '../service-servers/service-process.ts';
import type { SourceSide, TargetSide } from './side.ts';

const CONTAINERS = ['full', 'half', 'target'];

/** @param folder of this side's own, for the file with an account that Google's library reads. */
export async function serviceSource(
  kind: ServiceKind,
  folder: string,
  objects: Iterable<BenchObject>,
): Promise<SourceSide> {
  const server = await startServiceProcess(kind, CONTAINERS);
  const placeOf = placesOf(server, folder);
  try {
    const sets = await fillContainers(server, objects);
    return { server, sets, place: (set: SetName) => placeOf(set), close: () => close(server, folder) };
  } catch (error) {
    await close(server, folder);
    throw error;
  }
}

export async function serviceTarget(kind: ServiceKind, folder: string): Promise<TargetSide> {
  const server = await startServiceProcess(kind, CONTAINERS);
  const placeOf = placesOf(server, folder);
  const prefix = keyPrefixOf(specOf(server, 'target'));
  return {
    server,
    // Of bodies that came without one they are none, and of small ones they are.
    etags: undefined,
    place: () => placeOf('target'),
    plant: () => plantWrongSums(server, 'target'),
    check: (_set, expected, sampling) =>
      checkService(server, { container: 'target', prefix }, expected, sampling),
    clear: () => server.clear('target'),
    close: () => close(server, folder),
  };
}

function placesOf(server: ServiceProcess, folder: string): (container: string) => ContainerPlace {
  const { kind, endpoint } = server;
  if (kind !== 'gcs') return (container) => ({ kind, endpoint, container });
  mkdirSync(folder, { recursive: true });
  const accountFile = join(folder, 'account.json');
  const subject = join(folder, 'subject');
  writeFileSync(subject, 'subject-of-the-bench');
  const account = {
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${endpoint}/token`,
    credential_source: { file: subject },
  };
  writeFileSync(accountFile, JSON.stringify(account));
  return (container) => ({ kind, endpoint, container, accountFile });
}

async function close(server: ServiceProcess, folder: string): Promise<void> {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
}
