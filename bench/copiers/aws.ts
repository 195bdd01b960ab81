/** The AWS command line: `aws s3 sync`, told to do more at once than it does by itself. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AWS_KEYS,
  bucketOf,
  type CopyJob,
  type FoundCopier,
  onlyBucket,
  type Place,
  plainEnvironment,
} from './copier.ts';

export function awsCli(command: string, version: string): FoundCopier {
  return {
    name: 'aws',
    version,
    cannot: (route) =>
      route === 's3-s3' ? 'it knows one endpoint at a time; between two it cannot copy' : undefined,
    commandLine: (job) => ({
      command,
      args: [
        ...['--endpoint-url', onlyBucket(job).endpoint, 's3', 'sync', '--size-only', '--only-show-errors'],
        placeOf(job.source),
        placeOf(job.target),
      ],
      env: plainEnvironment(job, {
        ...AWS_KEYS,
        AWS_CONFIG_FILE: writeConfig(job),
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
        AWS_CA_BUNDLE: job.caFile,
      }),
    }),
    claims: (route) =>
      route === 's3-fs'
        ? { hashed: 'nothing', bound: 'files: nothing checks them' }
        : { hashed: 'what a body must be signed with', bound: 'see the trials' },
  };
}

function writeConfig({ scratch, transfers, partBytes }: CopyJob): string {
  const file = join(scratch, 'aws-config');
  const lines = [
    '[default]',
    's3 =',
    `  max_concurrent_requests = ${transfers}`,
    '  max_queue_size = 10000',
    `  multipart_threshold = ${partBytes}`,
    `  multipart_chunksize = ${partBytes}`,
    '  addressing_style = path',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

function placeOf(place: Place): string {
  return place.kind === 'fs' ? place.folder : `s3://${bucketOf(place)}`;
}
