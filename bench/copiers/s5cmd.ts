/** s5cmd, where the user has it: no package of Debian or npm brings it. */
import { AWS_KEYS, bucketOf, type FoundCopier, onlyBucket, type Place, plainEnvironment } from './copier.ts';

const MIB = 1024 ** 2;

export function s5cmd(command: string, version: string): FoundCopier {
  return {
    name: 's5cmd',
    version,
    cannot: (route) =>
      route === 's3-s3' ? 'it knows one endpoint at a time; between two it cannot copy' : undefined,
    commandLine: (job) => ({
      command,
      args: [
        ...[
          '--endpoint-url',
          onlyBucket(job).endpoint,
          '--numworkers',
          String(job.transfers),
          '--log',
          'error',
        ],
        ...['sync', '--size-only', '--part-size', String(Math.max(5, Math.round(job.partBytes / MIB)))],
        sourceOf(job.source),
        targetOf(job.target),
      ],
      env: plainEnvironment(job, { ...AWS_KEYS, SSL_CERT_FILE: job.caFile }),
    }),
    claims: () => ({ hashed: 'nothing compared with the source', bound: 'see the trials' }),
  };
}

function sourceOf(place: Place): string {
  return place.kind === 'fs' ? `${place.folder}/` : `s3://${bucketOf(place)}/*`;
}

function targetOf(place: Place): string {
  return place.kind === 'fs' ? `${place.folder}/` : `s3://${bucketOf(place)}/`;
}
