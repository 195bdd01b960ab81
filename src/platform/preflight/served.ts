/**
 * Is the source the very folder that the registry uses? What the registry serves right now has to be in it. Nothing is
 * written: images are pulled, a few at random, and the smallest blob of each is looked for by its content.
 */
import type { WantedBlob, WantedFound } from '../engine-port.ts';
import type { MsrConnection } from '../msr/msr-connection.ts';
import { isMsrError, type MsrError } from '../msr/msr-error.ts';
import { type GetAccess, PullError } from '../msr/pull/http-get.ts';
import { RegistryPuller } from '../msr/pull/registry-puller.ts';
import { type Finding, note, ok, problem } from './finding.ts';

export interface ServedBlob extends WantedBlob {
  readonly repository: string;
  /** `team/app:1.2` */
  readonly image: string;
}

export interface ServedSample {
  readonly blobs: readonly ServedBlob[];
  /** Why there are none, or fewer: the first reason; undefined: there is nothing to be pulled. */
  readonly why?: string | undefined;
}

export interface Served {
  sample(signal: AbortSignal): Promise<ServedSample>;
  /** Does the registry give it out even now? */
  isStill(blob: ServedBlob, signal: AbortSignal): Promise<boolean>;
}

const REPOSITORIES_LISTED = 1_000;
const IMAGES = 20;
/** Repositories may be empty, and images damaged for long. */
const TRIES = 60;
/** Configurations have a few KiB. */
const BLOB_BYTES_MAX = 1024 * 1024;

export function servedBy(msr: MsrConnection, access: GetAccess): Served {
  const puller = new RegistryPuller(msr, access);
  return {
    sample: async (signal) => await sampled(puller, signal),
    isStill: async ({ repository, sha256 }, signal) => {
      const pulled = await unlessRefused(puller.blob(repository, `sha256:${sha256}`, signal));
      return !(pulled instanceof Error);
    },
  };
}

async function sampled(puller: RegistryPuller, signal: AbortSignal): Promise<ServedSample> {
  const listed = await unlessRefused(puller.repositories(REPOSITORIES_LISTED, signal));
  if (listed instanceof Error) return { blobs: [], why: listed.message };
  const blobs = new Map<string, ServedBlob>();
  let why: string | undefined;
  for (const repository of shuffled(listed).slice(0, TRIES)) {
    if (blobs.size >= IMAGES) break;
    const blob = await unlessRefused(smallestBlob(puller, repository, signal));
    if (blob instanceof Error) why ??= blob.message;
    else if (blob) blobs.set(blob.sha256, blob);
  }
  return { blobs: [...blobs.values()], why };
}

/** Of one of its images: pulled, so that it is known to be there. */
async function smallestBlob(
  puller: RegistryPuller,
  repository: string,
  signal: AbortSignal,
): Promise<ServedBlob | undefined> {
  const [tag] = shuffled(await puller.tags(repository, signal));
  if (tag === undefined) return undefined;
  let manifest = await puller.manifest(repository, tag, signal);
  const [child] = manifest.children;
  if (child !== undefined) manifest = await puller.manifest(repository, child, signal);
  const [smallest] = [...manifest.sizes].toSorted(([, one], [, other]) => one - other);
  if (!smallest || smallest[1] > BLOB_BYTES_MAX) return undefined;
  const [digest] = smallest;
  const sizeBytes = await puller.blob(repository, digest, signal);
  return { repository, image: `${repository}:${tag}`, sha256: digest.slice('sha256:'.length), sizeBytes };
}

export async function servedFindings(
  looked: {
    readonly served: Served;
    readonly sample: ServedSample;
    /** Display name of the source. */
    readonly name: string;
    readonly found: WantedFound | undefined;
  },
  signal: AbortSignal,
): Promise<readonly Omit<Finding, 'item'>[]> {
  const { served, sample, name, found } = looked;
  if (sample.blobs.length === 0 || !found) {
    const why = sample.why === undefined ? 'it has no image to be looked for' : sample.why;
    return [note(`that ${name} is the folder that MSR uses, nobody but you can tell: ${why}`)];
  }
  const lacking: ServedBlob[] = [];
  for (const blob of sample.blobs) {
    // An image that was deleted meanwhile is no news.
    if (found.absent.includes(blob.sha256) && (await served.isStill(blob, signal))) lacking.push(blob);
  }
  const count = sample.blobs.length;
  if (lacking.length > 0) {
    const named = lacking.slice(0, 3).map(({ image, sha256 }) => `sha256:${sha256} of ${image}`);
    const more = lacking.length > named.length ? ' and more' : '';
    return [
      problem(
        `MSR serves ${lacking.length} of ${count} blobs that ${name} does not have: ${named.join(', ')}${more}`,
        'Name the very folder that MSR has mounted, as it is now: a copy or a snapshot of it is older than what MSR serves',
      ),
    ];
  }
  if (found.found.length === 0)
    return [note(`none of ${count} blobs that MSR serves could be looked for in ${name} for sure`)];
  return [ok(`${name} has ${found.found.length} of ${count} blobs that MSR serves, taken at random`)];
}

/** A refusal is an answer here, of MSR's tokens as well; a stop is none. */
async function unlessRefused<T>(pulling: Promise<T>): Promise<T | PullError | MsrError> {
  try {
    return await pulling;
  } catch (error) {
    if (error instanceof PullError || isMsrError(error)) return error;
    throw error;
  }
}

function shuffled(names: readonly string[]): readonly string[] {
  return names
    .map((name) => ({ name, at: Math.random() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ name }) => name);
}
