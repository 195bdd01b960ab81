/** blobferry itself, as `npm run blobferry` starts it, with its defaults. */
import { readFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { CopySummary, Engine } from '../../src/core/job.ts';
import {
  AWS_KEYS,
  type Claims,
  type CopyJob,
  type FoundCopier,
  type Place,
  plainEnvironment,
} from './copier.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
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
  return { ...AWS_KEYS, NODE_COMPILE_CACHE: COMPILE_CACHE, NODE_EXTRA_CA_CERTS: job.caFile };
}

function urlOf(place: Place): string {
  if (place.kind === 'fs') return pathToFileURL(place.folder).href;
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
