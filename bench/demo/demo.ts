/**
 * `npm run demo`: a small registry is made in a temporary folder, moved to an S3 server that runs here, proved, damaged
 * on purpose and caught. Needs no root, no network and no other program; leaves nothing behind.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { copySummaryText, type Given } from '../../src/cli/summary.ts';
import { shellQuoted } from '../../src/cli/text.ts';
import { formatBytes, formatDuration, formatObjects } from '../../src/cli/units.ts';
import { verifySummaryText } from '../../src/cli/verify-summary.ts';
import type { CopySummary } from '../../src/core/job.ts';
import type { VerifySummary } from '../../src/verify/summary.ts';
import { type S3Server, startS3Server } from '../s3-server/s3-server.ts';
import { type CliEnvironment, type CliRun, runCopy, runVerify } from './cli-process.ts';
import { makeSampleRegistry, type Sample } from './sample-images.ts';
import { Story } from './story.ts';

const BUCKET = 'demo';

interface Stage {
  readonly story: Story;
  readonly server: S3Server;
  readonly sample: Sample;
  readonly given: Given;
  readonly env: CliEnvironment;
}

async function main(): Promise<number> {
  const startedMs = performance.now();
  const story = new Story();
  story.title('A registry moves from a folder to an S3 bucket, with proof');
  const folder = await mkdtemp(join(tmpdir(), 'blobferry-demo-'));
  try {
    await play(story, folder);
  } catch (error) {
    story.fail(error instanceof Error ? error.message : String(error));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const seconds = formatDuration((performance.now() - startedMs) / 1000);
  if (story.problems.length === 0) {
    console.log(
      story.paint('good', `✓ Everything went as it should, in ${seconds}.`),
      'Nothing of it is left on this machine.\n',
    );
    return 0;
  }
  console.log(story.paint('bad', `✗ Not everything went as it should:`));
  for (const problem of story.problems) console.log(`  ${problem}`);
  return 1;
}

async function play(story: Story, folder: string): Promise<void> {
  const root = join(folder, 'registry');
  const sample = await makeSampleRegistry(root);
  const { counts } = sample;
  story.chapter(`A registry was made in ${root}`);
  story.tell(
    `${sample.repositories} repositories, ${sample.images} images, ${sample.tags} tags: ${formatObjects(objectsIn(sample))}, ${formatBytes(counts.bytes)}; one push was never finished`,
  );
  const server = await startS3Server({ buckets: [BUCKET] });
  try {
    story.chapter(`An S3 server listens on ${server.endpoint}`);
    story.tell('In memory, and strict: it checks signatures, payload hashes and checksums');
    const given = {
      from: pathToFileURL(root).href,
      to: `s3://${BUCKET}/registry?endpoint=${server.endpoint}`,
    };
    const stage = { story, server, sample, given, env: environment(join(folder, 'state')) };
    await copyOnce(stage);
    await copyAgain(stage);
    await verifyAll(stage);
    await damageAndVerify(stage);
  } finally {
    await server.close();
  }
}

/** Nothing of the user's own settings: the demo's key opens the demo's server and nothing else. */
function environment(stateFolder: string): CliEnvironment {
  return {
    PATH: process.env['PATH'],
    XDG_STATE_HOME: stateFolder,
    AWS_ACCESS_KEY_ID: 'testkey',
    AWS_SECRET_ACCESS_KEY: 'testsecret',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

function objectsIn({ counts }: Sample): number {
  return counts.objects.blob + counts.objects.link + counts.objects.tag;
}

function argumentsOf({ from, to }: Given): readonly string[] {
  return ['--from', from, '--to', to];
}

function typed(command: string, { from, to }: Given): string {
  return `blobferry ${command} --from ${shellQuoted(from)} --to ${shellQuoted(to)}`;
}

async function copyOnce({ story, sample, given, env }: Stage): Promise<void> {
  story.command(typed('copy', given));
  const summary = summaryOf(story, await runCopy(argumentsOf(given), env), 0);
  if (summary === undefined) return;
  story.tell(copySummaryText(summary, given, story.paint));
  const { objects, bytes } = sample.counts;
  for (const objectClass of ['blob', 'link', 'tag'] as const) {
    story.expect(`copied ${objectClass}s`, summary.objectsByClass[objectClass].copied, objects[objectClass]);
  }
  story.expect('copied objects', summary.objectsCopied, objectsIn(sample));
  story.expect('copied bytes', summary.bytesCopied, bytes);
  story.expect(
    'left-out folders are named',
    summary.leftOut.some((path) => path.includes('/_uploads/')),
    true,
  );
}

async function copyAgain({ story, sample, given, env }: Stage): Promise<void> {
  story.command('the same again');
  const summary = summaryOf(story, await runCopy(argumentsOf(given), env), 0);
  if (summary === undefined) return;
  story.tell(firstParagraph(copySummaryText(summary, given, story.paint)));
  story.expect('objects copied again', summary.objectsCopied, 0);
  story.expect('objects skipped', summary.objectsSkipped, objectsIn(sample));
}

async function verifyAll({ story, server, sample, given, env }: Stage): Promise<void> {
  story.command(typed('verify --deep', given));
  const summary = summaryOf(story, await runVerify([...argumentsOf(given), '--deep'], env), 0);
  if (summary === undefined) return;
  story.tell(verifySummaryText(summary, given, story.paint));
  const { objects } = sample.counts;
  story.expect('proved by their digests', summary.matchedBy.digest, objects.blob + objects.link);
  story.expect('compared with the source', summary.matchedBy.content, objects.tag);
  story.expect('objects in the bucket', (await server.keys(BUCKET)).length, objectsIn(sample));
}

/** A proof that cannot fail proves nothing. */
async function damageAndVerify({ story, server, given, env }: Stage): Promise<void> {
  const [largest] = (await server.keys(BUCKET)).toSorted((left, right) => right.sizeBytes - left.sizeBytes);
  const bytes = largest && (await server.get(BUCKET, largest.key));
  if (largest === undefined || bytes === undefined) throw new Error('The bucket is empty');
  const damaged = Uint8Array.from(bytes);
  const middle = Math.floor(damaged.length / 2);
  damaged[middle] = (damaged[middle] ?? 0) ^ 1;
  await server.put(BUCKET, [{ key: largest.key, body: damaged }]);
  story.command(
    `the same again, after one bit of ${formatBytes(damaged.length)} was flipped behind its back`,
  );
  const summary = summaryOf(story, await runVerify([...argumentsOf(given), '--deep'], env), 3);
  if (summary === undefined) return;
  story.tell(verifySummaryText(summary, given, story.paint));
  story.expect('objects with wrong content', summary.objectsWrongContent, 1);
  story.expect('the object that was damaged', `registry/${summary.exceptions[0]?.path}`, largest.key);
}

function summaryOf<Summary extends CopySummary | VerifySummary>(
  story: Story,
  run: CliRun<Summary>,
  exitCode: number,
): Summary | undefined {
  story.expect('exit code', run.exitCode, exitCode);
  if (run.summary === undefined || run.exitCode !== exitCode) story.tell(run.stderr);
  if (run.summary === undefined) story.fail('blobferry printed no summary');
  return run.summary;
}

function firstParagraph(text: string): string {
  return text.split('\n\n', 1)[0] ?? '';
}

process.exitCode = await main();
