/** s3cmd: one object at a time. */
import { bucketOf, type FoundCopier, KEYS, onlyBucket, type Place, plainEnvironment } from './copier.ts';

const MIB = 1024 ** 2;

export function s3cmd(command: string, version: string): FoundCopier {
  return {
    name: 's3cmd',
    version,
    cannot: (route) =>
      route === 's3-s3' ? 'it knows one endpoint at a time; between two it cannot copy' : undefined,
    commandLine: (job) => {
      const { protocol, host } = new URL(onlyBucket(job).endpoint);
      return {
        command,
        args: [
          ...[
            '--config=/dev/null',
            `--access_key=${KEYS.accessKeyId}`,
            `--secret_key=${KEYS.secretAccessKey}`,
          ],
          ...[`--host=${host}`, `--host-bucket=${host}`],
          ...(protocol === 'https:' ? ['--ssl', `--ca-certs=${job.caFile}`] : ['--no-ssl']),
          ...['--no-progress', '--quiet', '--no-check-md5', '--no-preserve'],
          `--multipart-chunk-size-mb=${Math.max(5, Math.round(job.partBytes / MIB))}`,
          'sync',
          placeOf(job.source),
          placeOf(job.target),
        ],
        env: plainEnvironment(job),
      };
    },
    claims: (route) =>
      route === 's3-fs'
        ? { hashed: 'MD5, compared with the ETag where that is one', bound: 'files: nothing checks them' }
        : {
            hashed: 'MD5, compared with the answer’s ETag',
            bound: 'payload sha256, computed by a second reading',
          },
  };
}

function placeOf(place: Place): string {
  return place.kind === 'fs' ? `${place.folder}/` : `s3://${bucketOf(place)}/`;
}
