/** What a report of a migration is about, and what it has to admit. */
import { storageName } from '../../drivers/spec-name.ts';
import type { KnownDamage } from '../../platform/engine-port.ts';
import type { Migration } from '../../platform/migration.ts';
import type { Json } from '../../platform/saga/saga-log.ts';
import type { MigrateArguments } from '../program.ts';
import type { Storages } from '../storages.ts';

/** A sentence for each thing that is not checked, or allowed all the same. */
export function caveatsOf(
  { platform }: Migration,
  { withoutDigests, acceptDamage }: Pick<MigrateArguments, 'withoutDigests' | 'acceptDamage'>,
): readonly string[] {
  const digests = withoutDigests
    ? [
        '--without-digests: blobs were compared with the source alone, neither with what they must hash to nor with the list of them in a backup',
      ]
    : [];
  const damage =
    acceptDamage === undefined
      ? []
      : [
          `--accept-damage ${acceptDamage}: up to so many objects that are damaged in the old storage are not in the new one; the report names each`,
        ];
  if (platform.kind === 'none') {
    return [
      'platform none: that the registry was read-only, and that it was switched, is what somebody said',
      ...digests,
      ...damage,
    ];
  }
  const servers = [platform, platform.mke].filter(({ trust }) => trust.by === 'nobody');
  return [
    ...servers.map(({ url }) => `insecure: whoever answered at ${url} was believed`),
    ...(platform.cli === 'print'
      ? ['cli print: the commands of the bootstrapper were run by hand; what came of them was looked at']
      : []),
    ...digests,
    ...damage,
  ];
}

/** A sentence for each object that the new storage lacks, as it was damaged in the old one. */
export function damageCaveats(damage: readonly KnownDamage[]): readonly string[] {
  return damage.map(({ why }) => `damaged in the old storage, and not in the new one: ${why}`);
}

/** What is left to do for people when all steps are done. */
export function afterwards({ platform, backups }: Migration): readonly string[] {
  if (platform.kind === 'none') return [];
  return [
    ...(platform.procedure === 'restore' ? ['MSR runs on one replica: join the others again'] : []),
    `All of the registry's secrets are in ${backups}: remove it when nobody needs a way back any more`,
  ];
}

/** Without secrets. */
export function aboutOf({ file, platform }: Migration, { source, target }: Storages): Record<string, Json> {
  const storages = { file, source: storageName(source), target: storageName(target) };
  if (platform.kind === 'none') return { ...storages, platform: 'none' };
  const { url, procedure, image, replicaId, cli } = platform;
  return { ...storages, platform: 'msr', procedure, url, image, replicaId, cli };
}
