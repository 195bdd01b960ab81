/** rclone, with the flags that make it fastest here. */
import { bucketOf, type FoundCopier, KEYS, type Place, plainEnvironment } from './copier.ts';

/**
 * What helps here: `--fast-list` (one listing instead of one per folder, and a registry has a folder for each
 * blob), no HEAD before each GET and behind each PUT, the time from the listing and not from a HEAD.
 * `--checksum` and the default compare times or MD5s that listings do not give; objects of a registry never change
 * under their name, so sizes are enough, as for blobferry. Without a HEAD behind it, an object that was copied over several
 * streams (from 256 MiB on) has size 0 for rclone 1.75.2, and the copy fails; 64 objects at once need no such streams.
 */
const TUNED: readonly string[] = [
  '--fast-list',
  '--size-only',
  '--use-server-modtime',
  '--s3-no-check-bucket',
  '--s3-no-head',
  '--s3-no-head-object',
  '--no-update-modtime',
  '--multi-thread-streams=0',
];

export function rclone(name: string, command: string, version: string): FoundCopier {
  return {
    name,
    version,
    cannot: () => undefined,
    commandLine: (job) => ({
      command,
      args: [
        'copy',
        ...TUNED,
        ...[`--transfers=${job.transfers}`, `--checkers=${job.transfers}`],
        ...[`--s3-chunk-size=${job.partBytes}B`, `--s3-upload-cutoff=${job.partBytes}B`],
        ...['--log-level=ERROR', '--stats=0', `--ca-cert=${job.caFile}`],
        placeOf('source', job.source),
        placeOf('target', job.target),
      ],
      env: plainEnvironment(job, {
        RCLONE_CONFIG: '/dev/null',
        ...remote('SOURCE', job.source),
        ...remote('TARGET', job.target),
      }),
    }),
    claims: (route) =>
      route === 's3-fs'
        ? { hashed: 'MD5, compared with the ETag where that is one', bound: 'files: nothing checks them' }
        : {
            hashed: 'MD5 of what fits one PUT, compared with the source’s; nothing of objects in parts',
            bound: 'Content-MD5 of one PUT, a hash of each part',
          },
  };
}

/** Two remotes of different names: rclone would let a server copy between its own buckets by itself. */
function remote(name: string, place: Place): Readonly<Record<string, string>> {
  if (place.kind === 'fs') return {};
  const prefix = `RCLONE_CONFIG_${name}`;
  return {
    [`${prefix}_TYPE`]: 's3',
    [`${prefix}_PROVIDER`]: 'Other',
    [`${prefix}_ENDPOINT`]: place.endpoint,
    [`${prefix}_ACCESS_KEY_ID`]: KEYS.accessKeyId,
    [`${prefix}_SECRET_ACCESS_KEY`]: KEYS.secretAccessKey,
  };
}

function placeOf(name: string, place: Place): string {
  return place.kind === 'fs' ? place.folder : `${name}:${bucketOf(place)}`;
}
