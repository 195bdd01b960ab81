/** The storages of one case, and what they really hold, read past every fault and without any code of the product. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RawClient } from '../../../bench/s3-server/client/raw-client.ts';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import type { StorageSpec } from '../../../src/drivers/spec.ts';
import type { FuseMount } from '../../support/fuse.ts';
import { sha256Hex } from '../../support/seeded.ts';
import { makeTempFolder } from '../../support/temp.ts';
import { readTree, type Tree, type TreeFile } from '../../support/tree.ts';
import type { CasePlan } from './plan-case.ts';

export interface Handle {
  assertUsedUp(): Promise<void>;
  used(): Promise<readonly number[]>;
  remove(): Promise<void>;
}

/** Where the one FUSE mount of the campaign lies, and what it shows. */
export interface FuseGround {
  readonly mount: FuseMount;
  readonly folder: string;
}

export class World {
  readonly folder: string;
  readonly journal: string;
  readonly server: S3Server;
  readonly #plan: CasePlan;
  readonly #ground: FuseGround;
  readonly #removeFolder: () => Promise<void>;

  private constructor(
    plan: CasePlan,
    ground: FuseGround,
    parts: { readonly folder: string; readonly remove: () => Promise<void>; readonly server: S3Server },
  ) {
    this.#plan = plan;
    this.#ground = ground;
    this.folder = parts.folder;
    this.journal = join(parts.folder, 'journal');
    this.server = parts.server;
    this.#removeFolder = parts.remove;
  }

  static async make(plan: CasePlan, ground: FuseGround): Promise<World> {
    const { path, remove } = await makeTempFolder('fault-case');
    const server = await startS3Server({
      buckets: ['source', 'target'],
      threads: 0,
      checksums: plan.server !== 'no-checksums',
      checksNothing: plan.server === 'checks-nothing',
    });
    const world = new World(plan, ground, { folder: path, remove, server });
    await mkdir(world.#real('source'), { recursive: true });
    await mkdir(world.#real('target'), { recursive: true });
    for (const [key, content] of plan.objects.contents) await world.putSource(key, content);
    return world;
  }

  spec(side: 'source' | 'target'): StorageSpec {
    if (this.#plan[side] === 'fs') return { kind: 'fs', rootDirectory: this.#seen(side) };
    return {
      kind: 's3',
      bucket: side,
      rootDirectory: '',
      region: 'us-east-1',
      endpoint: this.server.endpoint,
      isPathStyle: true,
      skipsTlsVerify: false,
      credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
      encrypt: false,
    };
  }

  url(side: 'source' | 'target'): string {
    if (this.#plan[side] === 'fs') return `file://${this.#seen(side)}`;
    return `s3://${side}?endpoint=${this.server.endpoint}&region=us-east-1`;
  }

  async putSource(key: string, content: Buffer): Promise<void> {
    const { source, digests, storesSha256, server } = this.#plan;
    if (source === 'fs') {
      const path = join(this.#real('source'), key);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    } else if (digests === 'none' || digests === 'twice') await this.#putWithoutMd5(key, content);
    else if (digests === 'stored' && storesSha256 && server !== 'no-checksums')
      await this.#putWithSha256(key, content);
    else await this.server.put('source', [{ key, body: content }]);
  }

  /** As an upload of one part its ETag is no MD5 of the content. */
  async #putWithoutMd5(key: string, content: Buffer): Promise<void> {
    await this.#withClient(async (client) => {
      const target = `/source/${encodeURI(key)}`;
      const begun = await client.send({ method: 'POST', target: `${target}?uploads=` });
      const id = /<UploadId>(.*)<\/UploadId>/.exec(begun.text)?.[1];
      const part = await client.send({
        method: 'PUT',
        target: `${target}?partNumber=1&uploadId=${id}`,
        body: content,
      });
      const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers['etag']}</ETag></Part></CompleteMultipartUpload>`;
      const done = await client.send({ method: 'POST', target: `${target}?uploadId=${id}`, body });
      if (done.status !== 200) throw new Error(`The source could not be filled: ${done.text}`);
    });
  }

  async #putWithSha256(key: string, content: Buffer): Promise<void> {
    await this.#withClient(async (client) => {
      const sum = Buffer.from(sha256Hex(content), 'hex').toString('base64');
      const headers = { 'x-amz-checksum-sha256': sum, 'x-amz-sdk-checksum-algorithm': 'SHA256' };
      const done = await client.send({
        method: 'PUT',
        target: `/source/${encodeURI(key)}`,
        headers,
        body: content,
      });
      if (done.status !== 200) throw new Error(`The source could not be filled: ${done.text}`);
    });
  }

  async #withClient(use: (client: RawClient) => Promise<void>): Promise<void> {
    const client = new RawClient(this.server.endpoint);
    try {
      await use(client);
    } finally {
      client.close();
    }
  }

  /** After a first copy: an object is gone from the target, and one that may change has changed in the source. */
  async disturb(): Promise<void> {
    const { small, mutable } = this.#plan.objects;
    await this.#withClient(async (client) => {
      await client.send({ method: 'DELETE', target: `/target/${encodeURI(small[0] ?? '')}` });
    });
    await this.putSource(mutable.key, mutable.other);
  }

  async misbehave(): Promise<Handle> {
    const { s3Rules, fuseRules, fuse } = this.#plan;
    if (fuse === undefined) return this.server.misbehave(s3Rules);
    const below = this.#name(fuse);
    return this.#ground.mount.misbehave(
      fuseRules.map((rule) => ({ ...rule, match: `^/${below}/.*${rule.match ?? ''}` })),
    );
  }

  /** Everything that is there; what the copier itself left over is `leftovers`' affair. */
  async read(side: 'source' | 'target'): Promise<Tree> {
    if (this.#plan[side] === 'fs') return readTree(this.#real(side), isOurs);
    const tree = new Map<string, TreeFile>();
    for (const { key, sizeBytes } of await this.server.keys(side)) {
      if (isOurs(key)) continue;
      const bytes = await this.server.get(side, key);
      if (bytes) tree.set(key, { sizeBytes, sha256: sha256Hex(bytes) });
    }
    return tree;
  }

  /** Temporary files and open uploads in the target. */
  async leftovers(): Promise<readonly string[]> {
    if (this.#plan.target === 'fs') return [...(await readTree(this.#real('target'))).keys()].filter(isOurs);
    const keys = (await this.server.keys('target')).map(({ key }) => key).filter(isOurs);
    let text = '';
    await this.#withClient(async (client) => {
      text = (await client.send({ target: '/target?uploads=' })).text;
    });
    return [
      ...keys,
      ...[...text.matchAll(/<Upload>.*?<Key>([^<]*)</gs)].map(([, key]) => `upload of ${key}`),
    ];
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.#removeFolder();
    const { fuse } = this.#plan;
    if (fuse !== undefined) await rm(this.#real(fuse), { recursive: true, force: true });
  }

  #name(side: 'source' | 'target'): string {
    return `case-${this.#plan.number}-${side}`;
  }

  /** Where the files lie. */
  #real(side: 'source' | 'target'): string {
    return this.#plan.fuse === side ? join(this.#ground.folder, this.#name(side)) : join(this.folder, side);
  }

  /** Where the copier sees them. */
  #seen(side: 'source' | 'target'): string {
    return this.#plan.fuse === side
      ? join(this.#ground.mount.path, this.#name(side))
      : join(this.folder, side);
  }
}

function isOurs(path: string): boolean {
  return path.startsWith('.blobferry-');
}
