/** A repository of many tags from a folder into a service and back: listings of many pages, of both sides. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runBlobferry } from '../../support/cli.ts';
import type { FiveServices } from '../../support/five-services.ts';
import { folderStore } from '../../support/object-store.ts';
import { sha256Hex } from '../../support/seeded.ts';
import { makePlace, type Service } from './places.ts';

const REVISIONS = 'docker/registry/v2/repositories/x/_manifests/revisions/sha256';
const RUN_MS_MAX = 3_600_000;

export interface ManyRun {
  readonly service: Service;
  readonly entries: number;
  readonly secondsThere: number;
  readonly secondsAgain: number;
  readonly secondsBack: number;
  readonly problems: readonly string[];
}

export interface ManyOptions {
  readonly service: Service;
  readonly folder: string;
  readonly entries: number;
}

export async function runMany(services: FiveServices, options: ManyOptions): Promise<ManyRun> {
  const { service, folder, entries } = options;
  const [source, back] = [join(folder, `many-${service}`), join(folder, `many-${service}-back`)];
  const names = await writeRevisions(source, entries);
  await mkdir(back);
  const place = await makePlace(services, service, folder, 'many');
  const problems: string[] = [];
  const run = async (
    command: string,
    from: string,
    to: string,
    expected: Readonly<Record<string, number>>,
  ): Promise<number> => {
    const args = [command, '--from', from, '--to', to, '--json'];
    const options = { env: services.env, timeoutMs: RUN_MS_MAX };
    const { code, stderr, seconds, summary } = await runBlobferry(args, options);
    if (code !== 0)
      problems.push(`${service}: ${command} to ${to} ended with ${code}: ${stderr.slice(-500)}`);
    for (const [field, count] of Object.entries(expected))
      if (summary?.[field] !== count)
        problems.push(`${service}: ${command}: ${field} is ${summary?.[field]}`);
    return Math.round(seconds);
  };
  const compare = (what: string, found: readonly string[]): void => {
    const isSame = found.length === names.length && [...found].sort().every((name, at) => name === names[at]);
    if (!isSame) problems.push(`${service}: ${what} has ${found.length} names instead of ${names.length}`);
  };
  const from = `file://${source}`;
  const secondsThere = await run('copy', from, place.settings, { objectsCopied: entries });
  compare(
    'the target',
    (await place.store.names()).map((name) => name.slice(place.prefix.length)),
  );
  const secondsAgain = await run('copy', from, place.settings, { objectsCopied: 0, objectsSkipped: entries });
  await run('verify', from, place.settings, { objectsMatched: entries });
  const secondsBack = await run('copy', place.settings, `file://${back}`, { objectsCopied: entries });
  compare('the folder', await folderStore(back).names());
  await rm(source, { recursive: true });
  await rm(back, { recursive: true });
  return { service, entries, secondsThere, secondsAgain, secondsBack, problems };
}

/** @returns the names, sorted. */
async function writeRevisions(root: string, entries: number): Promise<readonly string[]> {
  const names: string[] = [];
  for (let at = 0; at < entries; at += 1) {
    const hex = sha256Hex(`manifest ${at}`);
    await mkdir(join(root, REVISIONS, hex), { recursive: true });
    await writeFile(join(root, REVISIONS, hex, 'link'), `sha256:${hex}`);
    names.push(`${REVISIONS}/${hex}/link`);
  }
  return names.sort();
}
