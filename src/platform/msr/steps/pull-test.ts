/** Pulls a sample of what the backup names, as clients do: each tag leads to its digest, each blob is what it should be. */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { BlobferryError } from '../../../core/errors.ts';
import type { Effect, Step, StepContext, Ways } from '../../saga/step.ts';
import { FINAL_PASS, keptDamage } from '../../steps/known-damage.ts';
import { readTags, type TagSample } from '../backup/read-tags.ts';
import type { ByHand } from '../by-hand.ts';
import type { MsrSite } from '../msr-site.ts';
import { type GetAccess, PullError } from '../pull/http-get.ts';
import { RegistryPuller } from '../pull/registry-puller.ts';
import { takenBackup } from './backup.ts';
import { wasWritable } from './read-only-again.ts';
import { cronsByHand, savedCrons } from './saved-crons.ts';

export interface PullTestOptions {
  readonly id: 'pull-test' | 'pull-test-2';
  /** So many tags, spread evenly at random. */
  readonly tags: number;
  readonly access: GetAccess;
}

const PROBLEMS_NAMED = 10;

export function pullTest({ msr, byHand }: Pick<MsrSite, 'msr' | 'byHand'>, options: PullTestOptions): Step {
  const { id } = options;
  return {
    id,
    title:
      id === 'pull-test'
        ? 'Pull images from the new storage'
        : 'Pull images again, after the garbage collection',
    changes: '',
    kind: 'read',
    check: async ({ memory }) => ({ is: memory.get('pulled') === undefined ? 'todo' : 'done' }),
    do: async (ctx) => {
      const taken = takenBackup(ctx.memoryOf('backup-2'));
      if (!taken) throw new BlobferryError('There is no backup that says which tags there are');
      const archive = createReadStream(taken.file);
      const tags = await readTags(archive, basename(taken.file), options.tags, ctx.signal);
      if (tags.unreadable > 0) {
        throw new BlobferryError(`${tags.unreadable} rows of tags in the backup cannot be read`);
      }
      const puller = new RegistryPuller(msr, options.access);
      const damage = keptDamage(ctx.memoryOf(FINAL_PASS)).flatMap(({ digest }) => digest ?? []);
      const isLive = id === 'pull-test-2' || wasWritable(ctx);
      const pulls = new Pulls({ puller, isLive, damage: new Set(damage), signal: ctx.signal });
      const pulled = await pullAll(pulls, tags);
      // Some may be deleted; where all are gone, it is the metadata that is.
      if (id === 'pull-test' && tags.tags.length > 0 && pulls.tagsSeen === 0) {
        throw new BlobferryError(`The registry has none of ${tags.tags.length} tags of the backup`);
      }
      ctx.memory.keep('pulled', pulled);
    },
    effect: async ({ memory }): Promise<Effect> => {
      const pulled = memory.get('pulled');
      return typeof pulled === 'string'
        ? { is: 'shown', evidence: pulled }
        : { is: 'missing', why: 'nothing was pulled yet' };
    },
    ...(id === 'pull-test-2' ? { ways: (ctx: StepContext) => waysBehindCollection(byHand, ctx) } : {}),
  };
}

/** Never another collection: what cannot be pulled behind the first one may be what it took. */
function waysBehindCollection(byHand: ByHand, { memoryOf }: StepContext): Ways {
  return {
    forward: [
      'Copy again from the old storage what cannot be pulled, then run the same migration again',
      ...cronsByHand(byHand, savedCrons(memoryOf('crons-away'))),
    ],
    back: [],
  };
}

interface PullsOptions {
  readonly puller: RegistryPuller;
  /** People delete and move tags meanwhile. */
  readonly isLive: boolean;
  /** Digests that nobody could pull before either. */
  readonly damage: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

/** What came of pulling a sample. */
class Pulls {
  readonly problems: string[] = [];
  readonly #puller: RegistryPuller;
  readonly #isLive: boolean;
  readonly #damage: ReadonlySet<string>;
  readonly #signal: AbortSignal;
  readonly #seen = new Set<string>();
  #tags = 0;
  #gone = 0;
  #blobs = 0;
  #bytes = 0;
  /** Not pulled, as they are damaged for long. */
  readonly #left = new Set<string>();
  #tagsLeft = 0;

  constructor({ puller, isLive, damage, signal }: PullsOptions) {
    this.#puller = puller;
    this.#isLive = isLive;
    this.#damage = damage;
    this.#signal = signal;
  }

  get tagsSeen(): number {
    return this.#tags + this.#tagsLeft;
  }

  async tag({ repository, tag, digest }: TagSample['tags'][number]): Promise<void> {
    await this.#noting(`${repository}:${tag}`, async () => {
      if (this.#isLive && !(await this.#puller.hasTag(repository, tag, this.#signal))) {
        this.#gone += 1;
        return;
      }
      if (this.#isLeft(digest)) {
        this.#tagsLeft += 1;
        return;
      }
      const found = await this.#manifest(repository, tag);
      this.#tags += 1;
      if (found === digest || this.#isLive) return;
      this.problems.push(`${repository}:${tag} leads to ${found}, and to ${digest} in the backup`);
    });
  }

  text(count: number): string {
    const { redirectedTo } = this.#puller;
    const gone = this.#gone === 0 ? '' : `, ${this.#gone} more were deleted since`;
    const hosts = redirectedTo.size === 0 ? '' : `, clients are sent to ${[...redirectedTo].join(', ')}`;
    const left =
      this.#left.size === 0
        ? ''
        : `; not pulled, as the old storage has them damaged: ${[...this.#left].join(', ')}`;
    return `${this.#tags} of ${count} tags${gone}, ${this.#blobs} blobs, ${this.#bytes} bytes, each as its digest says${hosts}${left}`;
  }

  #isLeft(digest: string): boolean {
    if (!this.#damage.has(digest)) return false;
    this.#left.add(digest);
    return true;
  }

  async #manifest(repository: string, reference: string): Promise<string> {
    const { digest, blobs, children } = await this.#puller.manifest(repository, reference, this.#signal);
    for (const blob of blobs) {
      if (this.#isLeft(blob) || this.#seen.has(`${repository} ${blob}`)) continue;
      this.#seen.add(`${repository} ${blob}`);
      await this.#noting(`${repository}@${blob}`, async () => {
        this.#bytes += await this.#puller.blob(repository, blob, this.#signal);
        this.#blobs += 1;
      });
    }
    for (const child of children) {
      if (this.#isLeft(child)) continue;
      await this.#noting(
        `${repository}@${child}`,
        async () => void (await this.#manifest(repository, child)),
      );
    }
    return digest;
  }

  async #noting(what: string, pull: () => Promise<void>): Promise<void> {
    try {
      await pull();
    } catch (error) {
      if (!(error instanceof PullError)) throw error;
      this.problems.push(`${what}: ${error.message}`);
    }
  }
}

/** @returns what was pulled, as a sentence. @throws BlobferryError naming what could not be. */
async function pullAll(pulls: Pulls, sample: TagSample): Promise<string> {
  for (const tag of sample.tags) {
    await pulls.tag(tag);
    if (pulls.problems.length >= PROBLEMS_NAMED) break;
  }
  const { problems } = pulls;
  if (problems.length === 0) return pulls.text(sample.count);
  throw new BlobferryError(`Images cannot be pulled: ${problems.slice(0, PROBLEMS_NAMED).join('; ')}`, {
    hint: 'Compare them with the old storage, which is untouched, before anybody writes to the new one',
  });
}
