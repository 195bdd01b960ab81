/** One embedded service with a source and a target bucket, and copies from one to the other by the real coordinator. */
import assert from 'node:assert/strict';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { openDriver } from '../../src/cli/composition.ts';
import { WORKER_URL } from '../../src/cli/own-files.ts';
import { runCopy } from '../../src/coordinator/coordinator.ts';
import { type CopyOptions, type CopySummary, exitCodeOf } from '../../src/core/job.ts';
import type { S3Spec } from '../../src/drivers/spec.ts';
import { bucketUrl, fill } from './outage-world.ts';
import { makeSmallTree, type SmallTree } from './small-tree.ts';
import { tempFolderFor } from './temp.ts';

const MIB = 1024 ** 2;
/** Two in parts, four of one request, two that are too small. */
const SIZES = [20 * MIB, 11 * MIB, MIB, 900_000, 300_000, 64 * 1024, 64 * 1024 - 1, 71];
/** So many of them are larger than one part. */
export const LARGE = 2;
/** So many are copied by a service that computes sha256. */
export const INSIDE = 6;

interface Hooks {
  after(fn: () => Promise<void>): void;
}

export interface Ran {
  readonly summary: CopySummary;
  readonly exitCode: number;
}

export class ServiceWorld {
  readonly server: S3Server;
  readonly tree: SmallTree;
  readonly journal: string;

  private constructor(server: S3Server, tree: SmallTree, journal: string) {
    this.server = server;
    this.tree = tree;
    this.journal = journal;
  }

  static async start(test: Hooks, options: S3ServerOptions = {}): Promise<ServiceWorld> {
    const server = await startS3Server({ buckets: ['source', 'target'], logsRequests: true, ...options });
    test.after(() => server.close());
    const tree = makeSmallTree({ seed: 'server side', blobBytes: SIZES });
    await fill(server, 'source', tree);
    return new ServiceWorld(server, tree, await tempFolderFor(test, 'journal'));
  }

  /** Arguments of the command. Parts are as large as without a bound on memory, whatever this process takes. */
  get command(): readonly string[] {
    const { endpoint } = this.server;
    const places = ['--from', bucketUrl('source', endpoint), '--to', bucketUrl('target', endpoint)];
    const sizes = ['--part-size', '8MiB', '--memory', '1GiB'];
    return ['copy', '--json', ...places, '--journal', this.journal, ...sizes];
  }

  async copy(given: Partial<CopyOptions> = {}, places: Partial<Places> = {}): Promise<Ran> {
    const { source = 'source', target = 'target', root = '' } = places;
    const summary = await runCopy(
      {
        source: this.#spec(source, ''),
        target: this.#spec(target, root),
        options: { ...OPTIONS, journalDirectory: this.journal, ...given },
      },
      {
        openDriver,
        workerUrl: WORKER_URL,
        signal: new AbortController().signal,
        onEvent: () => undefined,
        onCounters: () => undefined,
      },
    );
    return { summary, exitCode: exitCodeOf(summary) };
  }

  /** The blob of that place in the list of sizes. */
  blob(at: number): string {
    return this.tree.blobs[at] ?? assert.fail('no such blob');
  }

  bytesOf(blobs: readonly string[]): number {
    return blobs.reduce((sum, path) => sum + (this.tree.objects.get(path)?.length ?? 0), 0);
  }

  #spec(bucket: string, rootDirectory: string): S3Spec {
    return {
      kind: 's3',
      bucket,
      rootDirectory,
      region: 'us-east-1',
      endpoint: this.server.endpoint,
      isPathStyle: true,
      skipsTlsVerify: false,
      credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
      encrypt: false,
    };
  }
}

interface Places {
  readonly source: string;
  readonly target: string;
  readonly root: string;
}

const OPTIONS: Omit<CopyOptions, 'journalDirectory'> = {
  layout: 'auto',
  isFrozen: false,
  threads: 1,
  concurrency: 'auto',
  partBytes: 8 * MIB,
  memoryBytes: 1024 * MIB,
  engine: 'direct',
  serverSide: 'auto',
  readsTwice: false,
  intoNonempty: false,
  keepGoing: false,
  deletesExtra: false,
  deleteMax: 1_000,
  abortsUploads: false,
  outageMsMax: 60_000,
};

/** How many objects are proved by what; each that was copied by one thing. */
export function proofsOf(summary: CopySummary): CopySummary['objectsByProof'] {
  const { objectsByProof: by, objectsCopied, objectsUnproved } = summary;
  const sum = Object.values(by).reduce((all, one) => all + one, 0);
  assert.equal(sum, objectsCopied, 'each object that was copied has one proof');
  assert.equal(by.none, objectsUnproved);
  return by;
}
