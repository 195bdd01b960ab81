/** What the section `platform` of a migration file must hold besides values that are right each by itself. */
import { resolve } from 'node:path';
import type { z } from 'zod';
import type { Migration, MsrPlatform, ServerAccess, Trust } from '../../platform/migration.ts';
import type { Environment } from '../storage/environment.ts';
import type { ReadSection, Remarks } from '../storage/section.ts';
import type { mkeParameters, platformParameters } from './parameters.ts';

export interface GivenPlatform {
  /** Where the section begins; undefined: there is none. */
  readonly line: number | undefined;
  readonly given: ReadSection<z.infer<typeof platformParameters>>;
  readonly mke: ReadSection<z.infer<typeof mkeParameters>> | undefined;
  readonly procedure: string | undefined;
  readonly procedureLine: number;
}

export interface Place {
  readonly remarks: Remarks;
  readonly env: Environment;
  /** What paths are relative to. */
  readonly folder: string;
}

/** Problems go to the remarks; where there are any, what is returned is not to be used. */
export function checkPlatform(platform: GivenPlatform, place: Place): Migration['platform'] {
  const { given, line = 1 } = platform;
  const { remarks } = place;
  const { kind } = given.values;
  if (platform.line === undefined) {
    remarks.problem(1, '"platform" is missing', 'write platform: none where there is no MSR');
  } else if (kind === undefined) remarks.problem(line, '"kind" of platform is missing');
  else if (kind === 'none') noteUnused(platform, remarks);
  if (kind !== 'msr') return { kind: 'none' };
  const { image = '', replicaId = '', cli = 'print' } = given.values;
  if (platform.procedure === undefined) {
    remarks.problem(1, '"procedure" is missing; it is reconfigure or restore');
  }
  if (image === '') remarks.problem(line, '"image" of platform is missing');
  if (replicaId === '') remarks.problem(line, '"replicaId" of platform is missing');
  if (!platform.mke) remarks.problem(line, '"mke" of platform is missing');
  const { storageVolume, nfsStorageUrl, ucpNode, externalUrl } = given.values;
  if (storageVolume !== undefined && nfsStorageUrl !== undefined) {
    remarks.problem(
      given.lineOf('nfsStorageUrl'),
      '"nfsStorageUrl" stands beside "storageVolume"; give one of them',
    );
  }
  if (platform.procedure === 'restore' && ucpNode === undefined) {
    remarks.problem(line, '"ucpNode" of platform is missing', 'procedure restore makes the replica there');
  }
  if (platform.procedure === 'reconfigure') {
    for (const name of ['ucpNode', 'externalUrl'] as const) {
      if (given.values[name] === undefined) continue;
      remarks.note(given.lineOf(name), `"${name}" of platform has no effect with procedure reconfigure`);
    }
  }
  return {
    kind: 'msr',
    procedure: platform.procedure === 'restore' ? 'restore' : 'reconfigure',
    ...accessOf('platform', given, place, given.values.tokenEnv),
    cli: cli === 'docker' ? 'docker' : 'print',
    image,
    replicaId,
    mount: mountOf(storageVolume, nfsStorageUrl),
    ucpNode,
    externalUrl,
    patience: patienceOf(given.values),
    mke: platform.mke ? accessOf('mke', platform.mke, place) : NOWHERE,
  };
}

function patienceOf(values: z.infer<typeof platformParameters>): MsrPlatform['patience'] {
  const { readOnlyMax, jobsMax, commandMax, gcMax } = values;
  return {
    ...(readOnlyMax === undefined ? {} : { switchMsMax: readOnlyMax }),
    ...(jobsMax === undefined ? {} : { drainMsMax: jobsMax }),
    ...(commandMax === undefined ? {} : { containerMsMax: commandMax }),
    ...(gcMax === undefined ? {} : { collectionMsMax: gcMax }),
  };
}

function mountOf(volume: string | undefined, nfs: string | undefined): MsrPlatform['mount'] {
  if (volume !== undefined) return { volume };
  return nfs === undefined ? undefined : { nfs };
}

/** Never used: a problem was named where it stands in. */
const NOWHERE: ServerAccess = { url: '', username: '', secretEnv: '', trust: { by: 'system' } };

function noteUnused(
  { given, mke, line = 1, procedure, procedureLine }: GivenPlatform,
  remarks: Remarks,
): void {
  for (const [name, value] of Object.entries(given.values)) {
    if (name === 'kind' || value === undefined) continue;
    remarks.note(given.lineOf(name), `"${name}" of platform has no effect with kind none`);
  }
  if (mke) remarks.note(line, '"mke" of platform has no effect with kind none');
  if (procedure) remarks.note(procedureLine, '"procedure" has no effect with kind none');
}

function accessOf(
  section: string,
  { values, lineOf }: ReadSection<z.infer<typeof mkeParameters>>,
  place: Place,
  tokenEnv?: string,
): ServerAccess {
  const { remarks, env } = place;
  const { url = '', username = '', passwordEnv } = values;
  const here = lineOf('');
  if (url === '') remarks.problem(here, `"url" of ${section} is missing`);
  if (username === '') remarks.problem(here, `"username" of ${section} is missing`);
  if (passwordEnv !== undefined && tokenEnv !== undefined) {
    remarks.problem(
      lineOf('tokenEnv'),
      `"tokenEnv" of ${section} stands beside "passwordEnv"; give one of them`,
    );
  }
  const secretEnv = passwordEnv ?? tokenEnv ?? '';
  const names = section === 'mke' ? '"passwordEnv"' : '"passwordEnv" or "tokenEnv"';
  if (secretEnv === '') remarks.problem(here, `${names} of ${section} is missing`);
  else if (!env[secretEnv]?.trim()) {
    const name = passwordEnv === undefined ? 'tokenEnv' : 'passwordEnv';
    // What stands there may be a secret that is spelt like the name of a variable.
    const sentence = `"${name}" of ${section} names an environment variable that is not set or empty`;
    remarks.problem(lineOf(name), sentence);
  }
  return { url, username, secretEnv, trust: trustOf(section, { values, lineOf }, place) };
}

function trustOf(
  section: string,
  { values, lineOf }: ReadSection<z.infer<typeof mkeParameters>>,
  { remarks, folder }: Place,
): Trust {
  const { ca, insecure } = values;
  if (insecure !== true) return ca === undefined ? { by: 'system' } : { by: 'ca', file: resolve(folder, ca) };
  const line = lineOf('insecure');
  if (ca !== undefined)
    remarks.problem(line, `"insecure" of ${section} stands beside "ca"; give one of them`);
  remarks.note(line, `"insecure" of ${section}: whoever answers there is believed and gets the credentials`);
  return { by: 'nobody' };
}
