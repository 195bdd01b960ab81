/** `mc mirror`: MinIO's client. It finds its number of objects at once itself. */
import { join } from 'node:path';
import { bucketOf, type FoundCopier, KEYS, type Place, plainEnvironment } from './copier.ts';

export function minioClient(command: string, version: string): FoundCopier {
  return {
    name: 'mc',
    version,
    cannot: () => undefined,
    commandLine: (job) => ({
      command,
      args: ['mirror', '--quiet', placeOf('source', job.source), placeOf('target', job.target)],
      env: plainEnvironment(job, {
        MC_CONFIG_DIR: join(job.scratch, 'mc'),
        SSL_CERT_FILE: job.caFile,
        ...alias('source', job.source),
        ...alias('target', job.target),
      }),
    }),
    claims: () => ({ hashed: 'nothing compared with the source', bound: 'see the trials' }),
  };
}

function alias(name: string, place: Place): Readonly<Record<string, string>> {
  if (place.kind === 'fs') return {};
  const url = new URL(place.endpoint);
  url.username = KEYS.accessKeyId;
  url.password = KEYS.secretAccessKey;
  return { [`MC_HOST_${name}`]: url.href.replace(/\/$/, '') };
}

function placeOf(name: string, place: Place): string {
  return place.kind === 'fs' ? `${place.folder}/` : `${name}/${bucketOf(place)}`;
}
