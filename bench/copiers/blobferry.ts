/** blobferry itself, as `npm run blobferry` starts it, with its defaults. */
import { readFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { CopySummary, Engine } from '../../src/core/job.ts';
import {
  AWS_KEYS,
  type BucketPlace,
  type Claims,
  type CopyJob,
  type FoundCopier,
  type Place,
  plainEnvironment,
} from './copier.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** Makes it believe that the target checks no checksum that costs anything. */
const UNBOUND = new URL('../support/unbound.ts', import.meta.url).href;
const PACKAGE = new URL('../../package.json', import.meta.url);
/** Where the script of package.json has it; without it each start would strip the types of all sources anew. */
const COMPILE_CACHE = join(tmpdir(), 'node-compile-cache');

export function blobferry(engine: Engine, commit: string): FoundCopier {
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { readonly version: string };
  return {
    name: engine === 'direct' ? 'blobferry' : 'blobferry-sdk',
    version: `${version} (${commit}), engine ${engine}, Node ${process.versions.node}`,
    cannot: () => undefined,
    commandLine: (job) => ({
      command: process.execPath,
      args: [
        ...(job.isUnbound ? ['--import', UNBOUND] : []),
        CLI,
        'copy',
        ...['--from', urlOf(job.source), '--to', urlOf(job.target)],
        ...['--journal', join(job.scratch, 'journal'), '--json'],
        ...(job.isPrefilled ? ['--into-nonempty'] : []),
        ...(engine === 'sdk' ? ['--engine', 'sdk'] : []),
        ...(job.onePutBytes === undefined ? [] : onePut(job.onePutBytes)),
      ],
      env: plainEnvironment(job, environmentOf(job)),
    }),
    claims: (_route, stdout) => claimsOf(stdout),
    explain: (stdout) => {
      const summary = summaryOf(stdout);
      const first = summary?.exceptions[0];
      return summary?.stoppedBy?.message ?? (first && `${first.state}: ${first.error.message}`);
    },
  };
}

const MIB = 1024 ** 2;

/** A part as large as the object, and memory for one in each thread beside what the process and its threads hold. */
function onePut(bytes: number): readonly string[] {
  const threads = availableParallelism();
  const slabMib = 2 ** Math.ceil(Math.log2(Math.max(1, bytes / MIB)));
  const memoryMib = 160 + threads * (40 + slabMib);
  return ['--threads', String(threads), '--part-size', `${slabMib}MiB`, '--memory', `${memoryMib}MiB`];
}

function environmentOf(job: CopyJob): Readonly<Record<string, string>> {
  const own = { NODE_COMPILE_CACHE: COMPILE_CACHE, NODE_EXTRA_CA_CERTS: job.caFile };
  return { ...AWS_KEYS, ...own, ...keysOf(job.source), ...keysOf(job.target) };
}

/** Where the tools of each service look. */
function keysOf(place: Place): Readonly<Record<string, string>> {
  switch (place.kind) {
    case 'azure':
      return { AZURE_STORAGE_KEY: Buffer.alloc(64, 'key').toString('base64') };
    case 'gcs':
      return { GOOGLE_APPLICATION_CREDENTIALS: place.accountFile ?? '' };
    case 'swift':
      return { ST_AUTH: `${place.endpoint}/auth/v1.0`, ST_USER: 'test:tester', ST_KEY: 'testing' };
    default:
      return {};
  }
}

function urlOf(place: Place): string {
  switch (place.kind) {
    case 'fs':
      return pathToFileURL(place.folder).href;
    case 'azure':
      return `azure://testaccount/${place.container}?endpoint=${place.endpoint}/testaccount&trimlegacyrootprefix=true`;
    case 'gcs':
      return `gs://${place.container}?endpoint=${place.endpoint}`;
    case 'swift':
      return `swift://${place.container}`;
    case 's3':
      return s3Url(place);
  }
}

function s3Url(place: BucketPlace): string {
  return `s3://${place.bucket}?endpoint=${place.endpoint}&region=us-east-1`;
}

function claimsOf(stdout: string): Claims {
  const summary = summaryOf(stdout);
  if (!summary) return { hashed: 'no summary', bound: 'no summary' };
  const { objectsCopied, objectsByProof, binding } = summary;
  const { digest, ...others } = objectsByProof;
  const otherwise = Object.entries(others).filter(([, count]) => count > 0);
  const of = digest === objectsCopied ? 'all' : `${digest} of`;
  const rest = otherwise.map(([by, count]) => `; ${count} proved by: ${by}`).join('');
  const hashed =
    objectsCopied === 0
      ? 'nothing to copy'
      : `sha256 of ${of} ${objectsCopied} objects, compared with the digests in their paths${rest}`;
  return { hashed, bound: binding };
}

function summaryOf(stdout: string): CopySummary | undefined {
  try {
    const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as CopySummary;
    return last.event === 'summary' ? last : undefined;
  } catch {
    return undefined;
  }
}
